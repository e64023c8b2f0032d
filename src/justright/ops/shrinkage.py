"""Shrinkage: small inputs are pulled to zero."""

from __future__ import annotations

import numpy as np

from justright.ops.base import activation

__all__: list[str] = []

activation(
    "softshrink",
    lambda x, lambd=0.5: x - np.clip(x, -lambd, lambd),
    lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0.0, 1.0),
    kinks=lambda lambd=0.5: (-lambd, lambd) if lambd else (),
)
activation(
    "hardshrink",
    lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0.0, x),
    lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0.0, 1.0),
    kinks=lambda lambd=0.5: (-lambd, lambd) if lambd else (),
)
activation("tanhshrink", lambda x: x - np.tanh(x), lambda x: np.square(np.tanh(x)))

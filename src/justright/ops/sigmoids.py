"""Functions that level off on both sides."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from justright.ops.base import activation

__all__: list[str] = []

EDGE = 3.0  # Howard et al. 2019, arXiv:1905.02244, section 5.2: ReLU6(x + 3) / 6

activation("sigmoid", expit, lambda x: expit(x) * expit(-x))
activation("tanh", np.tanh, lambda x: 1.0 / np.square(np.cosh(x)))
activation("softsign", lambda x: x / (1.0 + np.abs(x)), lambda x: 1.0 / np.square(1.0 + np.abs(x)))
activation(
    "hardsigmoid",
    lambda x: np.clip(x + EDGE, 0.0, 2.0 * EDGE) / (2.0 * EDGE),
    lambda x: np.where(np.abs(x) < EDGE, 0.5 / EDGE, 0.0),
    kinks=(-EDGE, EDGE),
)
activation(
    "hardtanh",
    lambda x, min_val=-1, max_val=1: np.clip(x, min_val, max_val),
    lambda x, min_val=-1, max_val=1: np.where((x > min_val) & (x < max_val), 1.0, 0.0),
    kinks=lambda min_val=-1, max_val=1: (float(min_val), float(max_val)),
)

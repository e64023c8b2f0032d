"""Rounding and signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.ops.base import activation, lattice, pointwise

__all__: list[str] = []


def _flat(x: Any) -> Any:
    return np.zeros(np.shape(x))


def _halves(decimals: int = 0) -> tuple[float, ...]:
    spacing = 10.0**-decimals
    return lattice(spacing, offset=spacing / 2)


def _copied_slope(input: Any, other: Any) -> Any:
    return np.sign(input) * np.copysign(1.0, other)


activation("floor", np.floor, _flat, kinks=lambda: lattice(1.0))
activation("ceil", np.ceil, _flat, kinks=lambda: lattice(1.0))
activation("round", lambda x, decimals=0: np.round(x, decimals), _flat, kinks=_halves)
activation(
    "trunc",
    np.trunc,
    _flat,
    kinks=lambda: tuple(point for point in lattice(1.0) if point),
)
activation("sign", np.sign, _flat, kinks=(0.0,))
activation("absolute", np.abs, np.sign, kinks=(0.0,))
pointwise(
    "copysign",
    np.copysign,
    input=_copied_slope,
    other=lambda: 0.0,
    kinks=lambda: (0.0,),
)

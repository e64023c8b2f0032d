"""Circular and hyperbolic functions and their inverses; the hyperbolic tangent is among the sigmoids."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.ops.base import activation, lattice, pointwise

__all__: list[str] = []


def _angle_kinks(other: Any) -> tuple[float, ...]:
    """List none on the right half of the plane; the angle jumps by 2π on the left one, by π in between."""
    return () if np.ndim(other) == 0 and other > 0 else (0.0,)


activation("sin", np.sin, np.cos)
activation("cos", np.cos, lambda x: -np.sin(x))
activation("tan", np.tan, lambda x: 1.0 + np.square(np.tan(x)), kinks=lambda: lattice(np.pi, offset=np.pi / 2))
activation("asin", np.arcsin, lambda x: np.divide(1.0, np.sqrt((1.0 - x) * (1.0 + x))), kinks=(-1.0, 1.0))
activation("acos", np.arccos, lambda x: np.divide(-1.0, np.sqrt((1.0 - x) * (1.0 + x))), kinks=(-1.0, 1.0))
activation("atan", np.arctan, lambda x: 1.0 / (1.0 + np.square(x)))
activation("sinh", np.sinh, np.cosh)
activation("cosh", np.cosh, np.sinh)
pointwise(
    "atan2",
    np.arctan2,
    input=lambda input, other: np.divide(other, np.square(input) + np.square(other)),
    other=lambda input, other: -np.divide(input, np.square(input) + np.square(other)),
    kinks=_angle_kinks,
)

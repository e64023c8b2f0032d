"""Powers, roots and reciprocals."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.ops.base import activation, pointwise

__all__: list[str] = []


def _power(input: Any, exponent: Any) -> Any:
    return np.float_power(input, exponent)


def _slope(input: Any, exponent: Any) -> Any:
    return np.where(np.equal(exponent, 0), 0.0, exponent * np.float_power(input, np.subtract(exponent, 1.0)))


def _exponent_slope(input: Any, exponent: Any) -> Any:
    vanishes = np.equal(input, 0) & np.greater_equal(exponent, 0)
    return np.where(vanishes, 0.0, np.float_power(input, exponent) * np.log(input))


def _power_kinks(exponent: Any) -> tuple[float, ...]:
    """List none for a polynomial; any other power ends, or has its pole, at zero."""
    polynomial = np.ndim(exponent) == 0 and exponent >= 0 and float(exponent).is_integer()
    return () if polynomial else (0.0,)


pointwise(
    "power",
    _power,
    input=_slope,
    exponent=_exponent_slope,
    kinks=_power_kinks,
)
activation("square", np.square, lambda x: 2.0 * x)
activation("sqrt", np.sqrt, lambda x: np.divide(0.5, np.sqrt(x)), kinks=(0.0,))
activation("rsqrt", lambda x: np.divide(1.0, np.sqrt(x)), lambda x: np.divide(-0.5, x * np.sqrt(x)), kinks=(0.0,))
activation("reciprocal", lambda x: np.divide(1.0, x), lambda x: np.divide(-1.0, np.square(x)), kinks=(0.0,))
pointwise(
    "hypot",
    np.hypot,
    input=lambda input, other: np.divide(input, np.hypot(input, other)),
    other=lambda input, other: np.divide(other, np.hypot(input, other)),
    kinks=lambda other: () if np.ndim(other) == 0 and other else (0.0,),
)

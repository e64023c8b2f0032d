"""The error function, the normal distribution function and the gamma function."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, erf, erfc, erfcx, erfinv, gammaln, log_ndtr, polygamma

from justright.ops.base import activation, lattice

__all__: list[str] = []


def _poles() -> tuple[float, ...]:
    """Zero and the negative integers."""
    return tuple(point for point in lattice(1.0) if point <= 0)


def _mills_ratio_inverse(x: Any) -> Any:
    """Divide the normal density by the distribution function, without the difference of two large logarithms."""
    return np.sqrt(2.0 / np.pi) / erfcx(-x / np.sqrt(2.0))


activation("erf", erf, lambda x: 2.0 / np.sqrt(np.pi) * np.exp(-np.square(x)))
activation("erfc", erfc, lambda x: -2.0 / np.sqrt(np.pi) * np.exp(-np.square(x)))
activation("erfinv", erfinv, lambda x: np.sqrt(np.pi) / 2.0 * np.exp(np.square(erfinv(x))), kinks=(-1.0, 1.0))
activation("log_ndtr", log_ndtr, _mills_ratio_inverse)
activation("lgamma", gammaln, digamma, kinks=_poles)
activation("digamma", digamma, lambda x: polygamma(1, x), kinks=_poles)

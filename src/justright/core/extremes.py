"""Largest elements, medians and log-sums of exchangeable Gaussian elements."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import logsumexp, ndtri

__all__ = ["log_sum_exp", "maximum_of_normals", "median_variance"]

NODES = 400
"""Nodes of the quantile integral: the moments below are right to 1e-4 up to 10^9 elements."""


@lru_cache(1024)
def maximum_of_normals(count: int) -> tuple[float, float]:
    """Return mean and variance of the largest of independent standard normal numbers.

    The maximum's distribution function is that of one to the power of their number (David & Nagaraja 2003, section
    2.1), so its quantile at p is that of one at ``p ** (1 / count)``.

    Examples
    --------
    >>> [round(each, 4) for each in maximum_of_normals(2)]  # 1 / sqrt(pi) and 1 - 1 / pi
    [0.5642, 0.6817]
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    angle = (nodes + 1.0) / 2.0  # p = 3 a² - 2 a³ bunches nodes where quantiles grow without bound
    p, density = angle**2 * (3.0 - 2.0 * angle), 6.0 * angle * (1.0 - angle)
    shares = weights / 2.0 * density
    quantiles = _upper(np.log(p) / count)
    mean = float(shares @ quantiles)
    return mean, float(shares @ quantiles**2) - mean**2


def _upper(log_p: np.ndarray) -> np.ndarray:
    """Quantile of the normal distribution at exp(log_p), without losing the upper tail."""
    return np.asarray(-ndtri(-np.expm1(log_p)))


def median_variance(count: int) -> float:
    """Return the variance of the median of independent standard normal numbers, to first order in 1 / count.

    1 / (4 n f(0)²) with the density f (David & Nagaraja 2003, section 10.2), which for n = 1 is bounded by one.
    """
    return min(1.0, np.pi / (2.0 * count + np.pi - 2.0))


DRAWN = 4096
"""Elements of a sum that are drawn; more of them are taken as groups of equal ones."""


@lru_cache(1024)
def log_sum_exp(count: int, variance: float) -> tuple[float, float]:
    """Return mean and variance of the log of the sum of exp(x) over independent Gaussian x of mean zero.

    While the sum concentrates, by its first terms in 1 / n (delta method); else by draws.
    """
    spread = np.expm1(variance) / count if variance < 500 else np.inf  # noqa: PLR2004  exp overflows at 709
    if spread < 0.05:  # noqa: PLR2004  the next term is of the order of its square
        return float(np.log(count) + variance / 2.0 - spread / 2.0), float(spread)
    drawn = min(count, DRAWN)
    rng = np.random.default_rng(0)
    values = logsumexp(rng.normal(0.0, np.sqrt(variance), (2**21 // drawn // 2, drawn)), axis=1)
    return float(values.mean() + np.log(count / drawn)), float(values.var())

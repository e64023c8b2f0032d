"""Quadratic forms of Gaussian numbers: the mean of one over such a form, and of the quotient of two.

With ``Q = sum_i l_i z_i²`` and standard normal z, ``1 / Q = int_0^inf exp(-s Q) ds`` gives

    E[1 / Q] = int prod_i (1 + 2 s l_i)^(-1/2) ds
    E[sum_i m_i z_i² / Q] = int sum_i m_i / (1 + 2 s l_i) prod_j (1 + 2 s l_j)^(-1/2) ds

and in the variable ln s the integrands are analytic, so sums over a grid converge geometrically.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from justright.core.axes import Array

__all__ = ["inverse_mean", "quotient_mean"]

STEP: Final = 0.1  # of ln s: the error of the trapezoidal rule is about exp(-2 pi (pi / 2) / 0.1), none

GRID: Final = np.arange(-32.0, 64.0, STEP)
"""Logarithms at which an integrand is summed: its tails are below 1e-13, from four independent numbers on."""


def inverse_mean(values: ArrayLike, counts: ArrayLike, *, added: float = 0.0, mean: float = 0.0) -> float:
    """Return E[1 / (Q + added)] E[Q + added], which is one or more.

    Parameters
    ----------
    values, counts
        Factors of the squares, not negative, and how often each occurs. With fewer than three squares there is no mean,
        and what the grid sees of it is returned.
    added
        What is added to the form.
    mean
        Squared length of the mean of the numbers with the first factor, times that factor.

    Examples
    --------
    >>> round(inverse_mean([1.0], [10.0]), 9)  # chi squared: n / (n - 2)
    1.25
    """
    factors, count = np.asarray(values, np.float64), np.asarray(counts, np.float64)
    total = float(factors @ count) + mean
    if total <= 0.0:
        return 1.0
    s = np.exp(GRID) / total
    logs = -s * added - s * mean / (1.0 + 2.0 * s * factors[0]) - _logarithms(s, factors, count)
    return float(max(np.sum(s * np.exp(logs)) * STEP * (total + added), 1.0))


def quotient_mean(above: ArrayLike, below: ArrayLike, counts: ArrayLike) -> float:
    """Return E[P / Q] E[Q] / E[P] for two forms of the same numbers.

    Parameters
    ----------
    above, below
        Factors of the squares in P and in Q, not negative.
    counts
        How often each pair of factors occurs.

    Examples
    --------
    >>> round(quotient_mean([1.0, 1.0], [1.0, 1.0], [4.0, 5.0]), 9)
    1.0
    """
    upper, lower, count = (np.asarray(each, np.float64) for each in (above, below, counts))
    if not (upper @ count > 0.0 and lower @ count > 0.0):
        return 1.0
    s = np.exp(GRID) / float(lower @ count)
    parts = (1.0 / (1.0 + 2.0 * s[:, None] * lower)) @ (upper * count)
    found = np.sum(s * parts * np.exp(-_logarithms(s, lower, count))) * STEP
    return float(found * (lower @ count) / (upper @ count))


def _logarithms(s: Array, factors: Array, counts: Array) -> Array:
    """Return half the sum of ln(1 + 2 s l) over all numbers."""
    return np.asarray(0.5 * np.log1p(2.0 * s[:, None] * factors) @ counts)

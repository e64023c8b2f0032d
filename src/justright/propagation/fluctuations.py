"""How far averages over finitely many elements lie from what they estimate: variances of a tensor's mean square.

The mean square of N independent Gaussian numbers has a relative variance of 2/N. Elements that go together count for
fewer: N is then the participation ratio (tr K)² / tr K² of their covariance K, which is an average over pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.moments import Moments, outer_means

__all__ = ["nearby", "own_variance", "shared_weights"]


def own_variance(moments: Moments, kurtosis: float = 3.0, near: Mapping[int, float] | None = None) -> float:
    """Return the variance of the mean square of a tensor over its square: two over the number of free elements.

    Parameters
    ----------
    moments
        Its moments.
    kurtosis
        E[x⁴] / E[x²]² of an element; correlated elements share their squares as Gaussian ones of that mean do.
    near
        For dimensions along which neighbours are alike, how many elements count as one.
    """
    second = moments.second_moment
    if not second > 0:
        return 0.0
    means = outer_means(moments, moments)
    covariance = moments.pairs - means
    squares = 2.0 * covariance**2 + 4.0 * means * covariance
    gaussian = moments.average(2.0 * moments.variance**2 + 4.0 * moments.mean**2 * moments.variance)
    excess = max(kurtosis * second**2 - moments.average(moments.second**2), 0.0) / gaussian if gaussian > 0 else 0.0
    return max(float(np.vdot(_shares(moments, near or {}), squares)), 0.0) * excess / second**2


def _shares(moments: Moments, near: Mapping[int, float]) -> Array:
    """Return the share of all pairs in each case, where so many neighbours along a dimension count as one element."""
    shares = np.ones(())
    for dim, axes in enumerate(moments.dims):
        for axis in axes:
            shares = np.multiply.outer(shares, _cases(axis, min(near.get(dim, 1.0), axis.size)))
    return shares


def _cases(axis: Axis, same: float) -> Array:
    """Return the share of the pairs along an axis in each case, if so many elements are the same one."""
    shares = axis.counts / axis.size**2
    rest = 1.0 - 1.0 / axis.size
    factors = np.full(shares.shape, (1.0 - same / axis.size) / rest if rest > 0 else 0.0)
    factors[: axis.groups] = same
    return np.asarray(shares * factors)


def nearby(extent: float) -> float:
    """Return how many positions count as one where their correlation has this variance: Σ c(d)², of a Gaussian c."""
    return max(math.sqrt(math.pi * extent), 1.0)


def shared_weights(moments: Moments, lengths: Mapping[int, int], units: int) -> float:
    """Return the variance of the logarithm of a sum's second moment that comes from its weights, which all rows share.

    Given the rows x, outputs are Gaussian with covariance x K x' and their mean square has the relative variance
    2 / units / (participation ratio of the second moments K of what is summed).

    Parameters
    ----------
    moments
        Moments of what is summed.
    lengths
        How many elements along each dimension are summed over; along all others it is one row.
    units
        Number of sums, each with weights of its own.
    """
    second = moments.second_moment
    if not second > 0:
        return 0.0
    shares = np.ones(())
    for dim, axes in enumerate(moments.dims):
        whole = math.prod(axis.size for axis in axes)
        for axis in axes:
            length = max(min(lengths.get(dim, 1) * axis.size / whole, axis.size), 1.0)
            shares = np.multiply.outer(shares, _cases(axis, axis.size / length))
    return 2.0 * float(np.vdot(shares, moments.pairs**2)) / second**2 / units

"""Normalization in moments: the mean over some dimensions taken away, and the division by the standard deviation.

The covariance that is left after centring says all: how large the empirical variance is, by how many independent
numbers it is averaged (its degrees of freedom), and how much of a gradient the normalization takes away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.forms import inverse_mean
from justright.core.moments import Moments, align

__all__ = ["Normalization", "centred", "uneven"]


def uneven(fan: float) -> float:
    """Return the root of E[1 / s²] E[s²] for units that are divided by a deviation s each, a sum over few weights.

    For n normal weights s² is chi squared over n, and E[1 / s²] = n / (n - 2).

    Parameters
    ----------
    fan
        Number of the weights of a unit; infinite where all deviations are the same.

    Examples
    --------
    >>> round(uneven(10.0) ** 2, 12)
    1.25
    """
    return math.sqrt(fan / max(fan - 2.0, fan / 2.0)) if math.isfinite(fan) else 1.0


def centred(x: Moments, dims: Sequence[int]) -> Moments:
    """Return the moments of a tensor minus its own mean over dimensions; exact.

    Parameters
    ----------
    x
        The tensor.
    dims
        Dimensions over which the mean is taken.
    """
    mean, _ = align(x.averaged(dims, keep=True), x)
    mixed = x.pairs
    for at in _positions(x, dims):
        each = np.moveaxis(np.tensordot(_partner(x.axes[at]), mixed, (1, at)), 0, at)
        mixed = np.take(each, x.axes[at].left, at)
    return x.with_values(x.mean - mean.mean, x.pairs - mixed - x.mirror(mixed) + mean.pairs)


def _positions(x: Moments, dims: Sequence[int]) -> list[int]:
    """Axes of some dimensions."""
    return [x.position(dim) + offset for dim in dims for offset in range(len(x.dims[dim]))]


@lru_cache(1024)
def _partner(axis: Axis) -> Array:
    """For an element of each stratum, the share of each case among the pairs with any element of the axis."""
    found = np.zeros((axis.groups, axis.cases))
    found[axis.left, np.arange(axis.cases)] = axis.counts / axis.size
    return found / np.asarray(axis.strata, dtype=np.float64)[:, None]


@dataclass(frozen=True)
class Normalization:
    """Division of a tensor by its standard deviation, or root mean square, over dimensions.

    Parameters
    ----------
    inner
        The tensor, its mean taken away if the normalization does that.
    dims
        Dimensions over which it is normalized.
    eps
        What is added to the variance.
    centres
        Whether the mean is taken away.
    """

    inner: Moments
    dims: tuple[int, ...]
    eps: float
    centres: bool

    @classmethod
    def of(cls, x: Moments, dims: Sequence[int], eps: float, *, centre: bool = True) -> Normalization:
        """Return the normalization of a tensor."""
        return cls(centred(x, dims) if centre else x, tuple(dims), eps, centre)

    @property
    def power(self) -> Moments:
        """Mean of the squares over the dimensions, as a number in every cell of the others."""
        squares = self.inner.with_values(self.inner.second, self.inner.pairs)
        mean = squares.averaged(self.dims, keep=True)
        return mean.with_values(np.maximum(mean.mean, 0.0), mean.left(mean.mean) * mean.right(mean.mean))

    @property
    def result(self) -> Moments:
        """Moments of the normalized tensor."""
        return self.inner.times(self.inverse())

    def inverse(self, factor: float = 1.0) -> Moments:
        """Return one over the standard deviation, its square `factor` times as large as for the mean variance."""
        power = self.power
        scale = 1.0 / np.sqrt(np.maximum(power.mean + self.eps, np.finfo(np.float64).tiny))
        return power.with_values(scale, factor * power.left(scale) * power.right(scale))

    def backward(self, gradient: Moments) -> Moments:
        """Return the gradient with respect to the tensor.

        The part along the mean and that along the normalized tensor are taken away, and the rest is divided by the
        standard deviation. For B independent Gaussian examples the former leaves (B - 2) / (B - 1) of what is centred,
        and E[1/variance] is (B - 1) / (B - 3) over the mean variance: Yang et al. 2019, theorem 3.9.
        """
        if self.centres:
            gradient = centred(gradient, self.dims)
        second = self.inner.second_moment
        share = second / (second + self.eps) if second > 0 else 0.0
        radial = 1.0 - share * (2.0 - share) * self._overlap(gradient)
        found = gradient.times(self.inverse(self._scatter()))
        return found.with_values(found.mean, found.pairs * max(radial, 0.0))

    def _overlap(self, gradient: Moments) -> float:
        """Mean share of a gradient's square that lies along the tensor: tr(K G) / (tr K tr G) within one group."""
        one, other = align(self.inner, gradient)
        size = 1
        pairs = one.pairs * other.pairs
        for at in reversed(range(len(one.axes))):
            axis = one.axes[at]
            if at in _positions(one, self.dims):
                pairs, size = np.tensordot(pairs, axis.counts, (at, 0)), size * axis.size
            else:
                pairs = np.tensordot(np.take(pairs, range(axis.groups), at), axis.weights, (at, 0))
        squares = one.second_moment * other.second_moment * float(size) ** 2
        return min(float(pairs) / squares, 1.0) if squares > 0 else 0.0

    def _scatter(self) -> float:
        """E[1 / (variance + eps)] of the empirical variance, over one by its mean.

        It is a quadratic form of Gaussian numbers; what the mean of the tensor adds is noncentral.
        """
        values, counts = self._spectrum()
        return inverse_mean(values, counts, added=self.eps, mean=self.inner.average_mean**2)

    def _spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues of the covariance within one group, over its size, and how often each occurs; constants first."""
        whole = self.inner.merged_strata()
        chosen = set(_positions(whole, self.dims))
        values, counts = whole.covariance, np.ones(())
        for at, axis in enumerate(whole.axes):
            if at not in chosen:
                values, counts = np.take(values, [0], at), np.multiply.outer(counts, np.ones(1))
                continue
            same, different = np.take(values, 0, at), np.take(values, 1, at)
            values = np.stack((same + (axis.size - 1) * different, same - different), at)
            counts = np.multiply.outer(counts, np.array([1.0, axis.size - 1.0]))
        return np.maximum(values.ravel(), 0.0) / counts.sum(), counts.ravel()

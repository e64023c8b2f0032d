"""First and second moments of every pair of elements of a tensor: what travels along an edge of the graph.

A tensor of a network at initialization is random, and its elements along most axes are alike. So its second moments
are one number for each way in which two elements can lie: the same example or another, the same position or another,
the same unit or another. That is a small array, with one axis of cases for each axis of the tensor; see
`justright.core.axes`. Sums, contractions and products of independent tensors are exact in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from justright.core.axes import Array, Axis, common_strata, element_shares
from justright.core.laid import Laid

__all__ = ["Moments", "align", "align_dim", "outer_means"]


@dataclass(frozen=True)
class Moments(Laid):
    """Moments of a tensor's elements and of their pairs.

    Parameters
    ----------
    dims
        For every dimension of the tensor the axes it is made of, outermost first; none where its length is one.
    mean
        Mean of an element: one array axis for each axis, one entry for each of its strata.
    pairs
        E[x x'] for every case of two elements: one array axis for each axis, one entry for each of its cases.

    Examples
    --------
    Sixteen examples of eight units, all independent, and the sum over the units:

    >>> x = Moments.independent((16, 8), mean=0.5, second=1.25)
    >>> x.second_moment, x.sum((1,)).second_moment
    (1.25, 24.0)
    """

    @classmethod
    def constant(cls, shape: Sequence[int], value: float) -> Moments:
        """Return the moments of one number everywhere."""
        return cls.independent(shape, value, value * value)

    @classmethod
    def independent(cls, shape: Sequence[int], mean: float, second: float) -> Moments:
        """Return the moments of independent elements of one distribution."""
        dims = tuple((Axis((int(length),)),) if length != 1 else () for length in shape)
        count = sum(map(len, dims))
        pairs = np.full((2,) * count, float(mean) ** 2)
        pairs[(0,) * count] = second
        return cls(dims, np.full((1,) * count, float(mean)), pairs)

    @cached_property
    def second(self) -> Array:
        """E[x²] of an element in each cell of strata, shaped as `mean`."""
        return np.asarray(self.pairs[tuple(slice(0, axis.groups) for axis in self.axes)])

    @property
    def variance(self) -> Array:
        """Variance of an element in each cell of strata, shaped as `mean`."""
        return np.maximum(self.second - self.mean**2, 0.0)

    def average(self, cells: Array) -> float:
        """Average an array shaped as `mean` over the elements of the tensor."""
        return float(np.vdot(element_shares(self.axes), cells)) if cells.size > 1 else float(cells.ravel()[0])

    @cached_property
    def second_moment(self) -> float:
        """E[x²] over the whole tensor."""
        return self.average(self.second)

    @property
    def average_mean(self) -> float:
        """E[x] over the whole tensor."""
        return self.average(self.mean)

    @property
    def rms(self) -> float:
        """Root of the second moment over the whole tensor."""
        return math.sqrt(max(self.second_moment, 0.0))

    @property
    def covariance(self) -> Array:
        """Covariance of every case of two elements, shaped as `pairs`."""
        return self.pairs - _means(self, self)

    def left(self, cells: Array) -> Array:
        """Spread an array shaped as `mean` over the cases of pairs, by the first element."""
        return np.broadcast_to(self._first(cells), self.pairs.shape)

    def right(self, cells: Array) -> Array:
        """Spread an array shaped as `mean` over the cases of pairs, by the second element."""
        return np.broadcast_to(self._last(cells), self.pairs.shape)

    def mirror(self, pairs: Array) -> Array:
        """Exchange first and second element in an array shaped as `pairs`."""
        for at, axis in enumerate(self.axes):
            if axis.groups > 1:
                pairs = pairs.take(axis.mirrored, at)
        return pairs

    def _first(self, cells: Array) -> Array:
        """Spread cells by the first element, along axes of several strata; along others they broadcast."""
        for at, axis in enumerate(self.axes):
            if axis.groups > 1:
                cells = cells.take(axis.left, at)
        return cells

    def _last(self, cells: Array) -> Array:
        for at, axis in enumerate(self.axes):
            if axis.groups > 1:
                cells = cells.take(axis.right, at)
        return cells

    def with_values(self, mean: Array, pairs: Array) -> Moments:
        """Return other values on the same axes."""
        return Moments(self.dims, np.asarray(mean, dtype=np.float64), np.asarray(pairs, dtype=np.float64))

    def scaled(self, factor: float) -> Moments:
        """Return the moments of `factor` times the tensor."""
        return self.with_values(self.mean * factor, self.pairs * factor * factor)

    def shifted(self, value: float) -> Moments:
        """Return the moments of the tensor plus a number."""
        pairs = self.pairs + value * (self._first(self.mean) + self._last(self.mean)) + value * value
        return self.with_values(self.mean + value, pairs)

    def plus(self, other: Moments, cross: Array | None = None) -> Moments:
        """Return the moments of a sum.

        Parameters
        ----------
        other
            The other term; it broadcasts.
        cross
            E[x y'] for every case of pairs, on the axes that `align` gives both; ``None`` if they are independent.
        """
        first, second = align(self, other)
        mixed = _means(first, second) if cross is None else cross
        pairs = first.pairs + second.pairs + mixed + first.mirror(mixed)
        return first.with_values(first.mean + second.mean, pairs)

    def times(self, other: Moments) -> Moments:
        """Return the moments of the product with an independent tensor; it broadcasts."""
        first, second = align(self, other)
        return first.with_values(first.mean * second.mean, first.pairs * second.pairs)

    def averaged(self, dims: Sequence[int], *, keep: bool = False) -> Moments:
        """Average over dimensions."""
        count = math.prod(self.shape[dim] for dim in dims)
        return self.sum(dims, keep=keep).scaled(1.0 / count)

    def mapped(self, function: Callable[[Array], Array]) -> Moments:
        """Apply a function to `mean` and `pairs` alike, entry by entry."""
        return replace(self, mean=function(self.mean), pairs=function(self.pairs))


def outer_means(first: Moments, second: Moments) -> Array:
    """Return E[x] E[y'] for every case of pairs of two aligned tensors."""
    return np.broadcast_to(_means(first, second), first.pairs.shape)


def _means(first: Moments, second: Moments) -> Array:
    """Return the same for as many cases as differ: it broadcasts against `pairs`."""
    return np.asarray(first._first(first.mean) * second._last(second.mean))


def align(first: Moments, second: Moments) -> tuple[Moments, Moments]:
    """Broadcast two tensors against each other and give them the same axes and strata."""
    if first.dims == second.dims:
        return first, second
    rank = max(len(first.dims), len(second.dims))
    first, second = (Moments((*((),) * (rank - len(each.dims)), *each.dims), each.mean, each.pairs)
                     for each in (first, second))  # fmt: skip
    for dim in range(rank):
        first, second = align_dim(first, dim, second, dim)
    return first, second


def align_dim(first: Moments, dim: int, second: Moments, other: int) -> tuple[Moments, Moments]:
    """Give a dimension of one tensor and a dimension of another the same axes and strata."""
    if first.dims[dim] == second.dims[other]:
        return first, second
    if not first.dims[dim]:
        return first.spread(dim, second.dims[other]), second
    if not second.dims[other]:
        return first, second.spread(other, first.dims[dim])
    sizes = _common_sizes(first.dims[dim], second.dims[other])
    first, second = first.regrouped(dim, sizes), second.regrouped(other, sizes)
    for offset in range(len(sizes)):
        here, there = first.position(dim) + offset, second.position(other) + offset
        strata = common_strata(first.axes[here], second.axes[there]).strata
        first, second = first.strata_at(here, strata), second.strata_at(there, strata)
    return first, second


def _common_sizes(first: tuple[Axis, ...], second: tuple[Axis, ...]) -> tuple[int, ...]:
    """Sizes, outermost first, into which both rows of axes can be cut; one size where they cannot."""
    cuts = sorted({*_suffixes(first), *_suffixes(second)})
    if any(large % small for small, large in pairwise(cuts)):
        return (cuts[-1],)
    return tuple(large // small for small, large in pairwise(cuts))[::-1]


def _suffixes(axes: tuple[Axis, ...]) -> list[int]:
    """Products of the sizes from each axis on to the last, and one."""
    return [math.prod(axis.size for axis in axes[start:]) for start in range(len(axes) + 1)]

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

from justright.core.axes import Array, Axis, common_strata, element_shares, joining, refining, splitting

__all__ = ["Moments", "align", "align_dim", "outer_means"]

Dims = tuple[tuple[Axis, ...], ...]


@dataclass(frozen=True)
class Moments:
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

    dims: Dims
    mean: Array
    pairs: Array

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
    def axes(self) -> tuple[Axis, ...]:
        """All axes in order, one for each axis of `mean` and `pairs`."""
        return tuple(axis for dim in self.dims for axis in dim)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(math.prod(axis.size for axis in dim) for dim in self.dims)

    @property
    def size(self) -> int:
        """Number of elements of the tensor."""
        return math.prod(axis.size for axis in self.axes)

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
        return self.pairs - outer_means(self, self)

    def left(self, cells: Array) -> Array:
        """Spread an array shaped as `mean` over the cases of pairs, by the first element."""
        return np.asarray(cells[np.ix_(*(axis.left for axis in self.axes))])

    def right(self, cells: Array) -> Array:
        """Spread an array shaped as `mean` over the cases of pairs, by the second element."""
        return np.asarray(cells[np.ix_(*(axis.right for axis in self.axes))])

    def mirror(self, pairs: Array) -> Array:
        """Exchange first and second element in an array shaped as `pairs`."""
        return np.asarray(pairs[np.ix_(*(axis.mirrored for axis in self.axes))])

    def with_values(self, mean: Array, pairs: Array) -> Moments:
        """Return other values on the same axes."""
        return Moments(self.dims, np.asarray(mean, dtype=np.float64), np.asarray(pairs, dtype=np.float64))

    def scaled(self, factor: float) -> Moments:
        """Return the moments of `factor` times the tensor."""
        return self.with_values(self.mean * factor, self.pairs * factor * factor)

    def shifted(self, value: float) -> Moments:
        """Return the moments of the tensor plus a number."""
        pairs = self.pairs + value * (self.left(self.mean) + self.right(self.mean)) + value * value
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
        mixed = outer_means(first, second) if cross is None else cross
        pairs = first.pairs + second.pairs + mixed + first.mirror(mixed)
        return first.with_values(first.mean + second.mean, pairs)

    def times(self, other: Moments) -> Moments:
        """Return the moments of the product with an independent tensor; it broadcasts."""
        first, second = align(self, other)
        return first.with_values(first.mean * second.mean, first.pairs * second.pairs)

    # --- axes ---------------------------------------------------------------------------------------------------------

    def position(self, dim: int) -> int:
        """Return where the axes of a dimension begin among all axes."""
        return sum(len(each) for each in self.dims[:dim])

    def replaced(self, dim: int, axes: tuple[Axis, ...], mean: Array, pairs: Array) -> Moments:
        """Return values in which the axes of one dimension are others."""
        return Moments((*self.dims[:dim], axes, *self.dims[dim + 1 :]), mean, pairs)

    def strata_at(self, position: int, strata: tuple[int, ...]) -> Moments:
        """Give the axis at a position other strata."""
        axis = self.axes[position]
        if axis.strata == strata:
            return self
        cases, single = refining(axis, strata)
        return self._with_axes(
            position, (Axis(strata),), _applied(single, self.mean, position), _applied(cases, self.pairs, position)
        )

    def merged_strata(self) -> Moments:
        """Return the moments with one stratum an axis: what is known when elements are drawn blindly."""
        found = self
        for position, axis in enumerate(self.axes):
            found = found.strata_at(position, (axis.size,))
        return found

    def split_at(self, position: int, inner: int) -> Moments:
        """Cut the axis at a position into an outer one and one of `inner` elements, in the same dimension."""
        axis = self.axes[position]
        if any(size % inner for size in axis.strata):
            return self.strata_at(position, (axis.size,)).split_at(position, inner)
        outer, within, cases = splitting(axis, inner)
        mean = np.expand_dims(self.mean, position + 1)
        return self._with_axes(position, (outer, within), mean, np.take(self.pairs, cases, position))

    def join_at(self, position: int) -> Moments:
        """Join the axis at a position with the next one, which must be of the same dimension."""
        outer, inner = self.axes[position : position + 2]
        joined, cases, single = joining(outer, inner)
        mean = np.moveaxis(np.tensordot(single, self.mean, ((1, 2), (position, position + 1))), 0, position)
        pairs = np.moveaxis(np.tensordot(cases, self.pairs, ((1, 2), (position, position + 1))), 0, position)
        whole = self._with_axes(position + 1, (), mean, pairs)
        return whole._with_axes(position, (joined,), mean, pairs)

    def in_one_axis(self, dim: int) -> Moments:
        """Join all axes of a dimension to one; a dimension of length one gets an axis of one element."""
        found = self
        while len(found.dims[dim]) > 1:
            found = found.join_at(found.position(dim))
        if not found.dims[dim]:
            at = found.position(dim)
            pairs = np.repeat(np.expand_dims(found.pairs, at), 2, at)
            found = found.replaced(dim, (Axis((1,)),), np.expand_dims(found.mean, at), pairs)
        return found

    def regrouped(self, dim: int, sizes: tuple[int, ...]) -> Moments:
        """Cut and join the axes of a dimension so that they have these sizes."""
        found, at = self, self.position(dim)
        if tuple(axis.size for axis in self.dims[dim]) == sizes:
            return self
        for offset, size in enumerate(sizes):
            while (have := found.dims[dim][offset].size) != size:
                if have > size and have % size == 0:
                    found = found.split_at(at + offset, have // size)
                else:
                    found = found.join_at(at + offset)
        return found

    def permuted(self, order: Sequence[int]) -> Moments:
        """Reorder the dimensions."""
        moved = [
            position
            for dim in order
            for position in range(self.position(dim), self.position(dim) + len(self.dims[dim]))
        ]
        dims = tuple(self.dims[dim] for dim in order)
        return Moments(dims, np.transpose(self.mean, moved), np.transpose(self.pairs, moved))

    def reshaped(self, shape: Sequence[int]) -> Moments:
        """Give the tensor another shape; axes are kept apart as long as they lie within one new dimension."""
        flat = Moments((self.axes,), self.mean, self.pairs)
        dims: list[int] = []
        for length in shape:
            dims.append(_take_off(flat, sum(dims), int(length)))
            if dims[-1] < 0:
                flat = flat._cut(sum(dims[:-1]), int(length))
                dims[-1] = _take_off(flat, sum(dims[:-1]), int(length))
        ends = np.cumsum([0, *dims])
        parts = tuple(flat.dims[0][start:end] for start, end in pairwise(ends))
        return Moments(parts, flat.mean, flat.pairs)

    def _cut(self, start: int, length: int) -> Moments:
        """Cut and join axes of the only dimension from `start` on until some of them have this length together."""
        found, at, have = self, start, 1
        while have != length:
            size = found.dims[0][at].size
            if length % (have * size) == 0:
                have, at = have * size, at + 1
            elif length % have == 0 and size % (length // have) == 0:
                return found.split_at(at, size // (length // have))
            elif at > start:
                found, at, have = found.join_at(at - 1), start, 1
            else:
                found = found.join_at(at)
        return found

    def expanded(self, shape: Sequence[int]) -> Moments:
        """Repeat dimensions of length one, and add dimensions in front."""
        found = Moments((*((),) * (len(shape) - len(self.dims)), *self.dims), self.mean, self.pairs)
        for dim, length in enumerate(shape):
            if length not in (1, -1) and not found.dims[dim]:
                found = found.spread(dim, (Axis((int(length),)),))
        return found

    def spread(self, dim: int, axes: tuple[Axis, ...]) -> Moments:
        """Repeat a dimension of length one along axes: all elements along them are equal."""
        mean, pairs, at = self.mean, self.pairs, self.position(dim)
        for axis in reversed(axes):
            mean = np.repeat(np.expand_dims(mean, at), axis.groups, at)
            pairs = np.repeat(np.expand_dims(pairs, at), axis.cases, at)
        return self.replaced(dim, axes, mean, pairs)

    def sliced(self, dim: int, start: int, stop: int, step: int = 1) -> Moments:
        """Take elements `start` to `stop` of a dimension, every `step`-th."""
        inner = math.prod(axis.size for axis in self.dims[dim][1:])
        if len(self.dims[dim]) > 1 and step == 1 and start % inner == 0 and stop % inner == 0:
            return self._sliced_axis(dim, start // inner, stop // inner, 1)
        return self.in_one_axis(dim)._sliced_axis(dim, start, stop, step)

    def _sliced_axis(self, dim: int, start: int, stop: int, step: int) -> Moments:
        at = self.position(dim)
        axis = self.axes[at]
        kept = [
            len(range(start + -(-max(low - start, 0) // step) * step, min(high, stop), step))
            for low, high in pairwise(axis.bounds)
        ]
        chosen = np.flatnonzero(kept)
        target = Axis(tuple(kept[stratum] for stratum in chosen))
        first, second = chosen[target.left], chosen[target.right]
        same = np.arange(target.cases) < target.groups
        cases = np.where(same, first, axis.groups + first * axis.groups + second)
        mean, pairs = np.take(self.mean, chosen, at), np.take(self.pairs, cases, at)
        axes = (target, *self.dims[dim][1:])
        found = self.replaced(dim, axes, mean, pairs)
        return found.without_axis(at) if target.size == 1 else found

    def without_axis(self, position: int) -> Moments:
        """Drop an axis of one element."""
        mean, pairs = np.take(self.mean, 0, position), np.take(self.pairs, 0, position)
        return self._with_axes(position, (), mean, pairs)

    def sum(self, dims: Sequence[int], *, keep: bool = False) -> Moments:
        """Sum over dimensions; with `keep` they stay with length one."""
        found = self
        for dim in dims:
            at = found.position(dim)
            mean, pairs = found.mean, found.pairs
            for axis in found.dims[dim]:
                mean = np.tensordot(np.asarray(axis.strata, dtype=np.float64), mean, (0, at))
                pairs = np.tensordot(axis.counts, pairs, (0, at))
            found = found.replaced(dim, (), mean, pairs)
        if keep:
            return found
        left = tuple(axes for dim, axes in enumerate(found.dims) if dim not in set(dims))
        return Moments(left, found.mean, found.pairs)

    def averaged(self, dims: Sequence[int], *, keep: bool = False) -> Moments:
        """Average over dimensions."""
        count = math.prod(self.shape[dim] for dim in dims)
        return self.sum(dims, keep=keep).scaled(1.0 / count)

    def mapped(self, function: Callable[[Array], Array]) -> Moments:
        """Apply a function to `mean` and `pairs` alike, entry by entry."""
        return replace(self, mean=function(self.mean), pairs=function(self.pairs))

    def _with_axes(self, position: int, axes: tuple[Axis, ...], mean: Array, pairs: Array) -> Moments:
        """Return values in which the axis at a position is replaced, in the dimension to which it belongs."""
        dims, seen = [], 0
        for dim in self.dims:
            offset = position - seen
            inside = 0 <= offset < len(dim)
            dims.append((*dim[:offset], *axes, *dim[offset + 1 :]) if inside else dim)
            seen += len(dim)
        return Moments(tuple(dims), mean, pairs)


def outer_means(first: Moments, second: Moments) -> Array:
    """Return E[x] E[y'] for every case of pairs of two aligned tensors."""
    return first.left(first.mean) * second.right(second.mean)


def align(first: Moments, second: Moments) -> tuple[Moments, Moments]:
    """Broadcast two tensors against each other and give them the same axes and strata."""
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


def _take_off(flat: Moments, start: int, length: int) -> int:
    """Return how many axes of the only dimension from `start` on have this length together; -1 if none do."""
    have, count, axes = 1, 0, flat.dims[0][start:]
    while have < length and count < len(axes):
        have, count = have * axes[count].size, count + 1
    return count if have == length else -1


def _applied(matrix: Array, values: Array, position: int) -> Array:
    """Apply a matrix to one axis of an array."""
    return np.moveaxis(np.tensordot(matrix, values, (1, position)), 0, position)

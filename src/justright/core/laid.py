"""Arrays over the cases of pairs, and what happens to them when a tensor is cut, joined, reshaped, sliced or summed.

Every change of an axis is a matrix applied to its cases; see `justright.core.axes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np

from justright.core.axes import Array, Axis, joining, refining, splitting

__all__ = ["Dims", "Laid"]

Dims = tuple[tuple[Axis, ...], ...]
"""For every dimension of a tensor the axes it is made of, outermost first; none where its length is one."""


@dataclass(frozen=True)
class Laid:
    """Values laid out on the axes of a tensor: one for every cell of strata, and one for every case of two elements.

    Parameters
    ----------
    dims
        For every dimension of the tensor the axes it is made of, outermost first; none where its length is one.
    mean
        Value of an element: one array axis for each axis, one entry for each of its strata.
    pairs
        Value of two elements: one array axis for each axis, one entry for each of its cases.
    """

    dims: Dims
    mean: Array
    pairs: Array

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

    def position(self, dim: int) -> int:
        """Return where the axes of a dimension begin among all axes."""
        return sum(len(each) for each in self.dims[:dim])

    def replaced(self, dim: int, axes: tuple[Axis, ...], mean: Array, pairs: Array) -> Self:
        """Return values in which the axes of one dimension are others."""
        return type(self)((*self.dims[:dim], axes, *self.dims[dim + 1 :]), mean, pairs)

    def strata_at(self, position: int, strata: tuple[int, ...]) -> Self:
        """Give the axis at a position other strata."""
        axis = self.axes[position]
        if axis.strata == strata:
            return self
        cases, single = refining(axis, strata)
        return self._with_axes(
            position, (Axis(strata),), _applied(single, self.mean, position), _applied(cases, self.pairs, position)
        )

    def merged_strata(self) -> Self:
        """Return the moments with one stratum an axis: what is known when elements are drawn blindly."""
        found = self
        for position, axis in enumerate(self.axes):
            found = found.strata_at(position, (axis.size,))
        return found

    def split_at(self, position: int, inner: int) -> Self:
        """Cut the axis at a position into an outer one and one of `inner` elements, in the same dimension."""
        axis = self.axes[position]
        if any(size % inner for size in axis.strata):
            return self.strata_at(position, (axis.size,)).split_at(position, inner)
        outer, within, cases = splitting(axis, inner)
        mean = np.expand_dims(self.mean, position + 1)
        return self._with_axes(position, (outer, within), mean, np.take(self.pairs, cases, position))

    def join_at(self, position: int) -> Self:
        """Join the axis at a position with the next one, which must be of the same dimension."""
        outer, inner = self.axes[position : position + 2]
        joined, cases, single = joining(outer, inner)
        mean = _applied(single.reshape(len(single), -1), self.mean, position, 2)
        pairs = _applied(cases.reshape(len(cases), -1), self.pairs, position, 2)
        whole = self._with_axes(position + 1, (), mean, pairs)
        return whole._with_axes(position, (joined,), mean, pairs)

    def in_one_axis(self, dim: int) -> Self:
        """Join all axes of a dimension to one; a dimension of length one gets an axis of one element."""
        found = self
        while len(found.dims[dim]) > 1:
            found = found.join_at(found.position(dim))
        if not found.dims[dim]:
            at = found.position(dim)
            pairs = np.repeat(np.expand_dims(found.pairs, at), 2, at)
            found = found.replaced(dim, (Axis((1,)),), np.expand_dims(found.mean, at), pairs)
        return found

    def regrouped(self, dim: int, sizes: tuple[int, ...]) -> Self:
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

    def permuted(self, order: Sequence[int]) -> Self:
        """Reorder the dimensions."""
        starts = [self.position(dim) for dim in range(len(self.dims))]
        moved = [starts[dim] + offset for dim in order for offset in range(len(self.dims[dim]))]
        dims = tuple(self.dims[dim] for dim in order)
        return type(self)(dims, np.transpose(self.mean, moved), np.transpose(self.pairs, moved))

    def reshaped(self, shape: Sequence[int]) -> Self:
        """Give the tensor another shape; axes are kept apart as long as they lie within one new dimension."""
        flat = type(self)((self.axes,), self.mean, self.pairs)
        dims: list[int] = []
        for length in shape:
            dims.append(_take_off(flat, sum(dims), int(length)))
            if dims[-1] < 0:
                flat = flat._cut(sum(dims[:-1]), int(length))
                dims[-1] = _take_off(flat, sum(dims[:-1]), int(length))
        ends = np.cumsum([0, *dims])
        parts = tuple(flat.dims[0][start:end] for start, end in pairwise(ends))
        return type(self)(parts, flat.mean, flat.pairs)

    def _cut(self, start: int, length: int) -> Self:
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

    def expanded(self, shape: Sequence[int]) -> Self:
        """Repeat dimensions of length one, and add dimensions in front."""
        found = type(self)((*((),) * (len(shape) - len(self.dims)), *self.dims), self.mean, self.pairs)
        for dim, length in enumerate(shape):
            if length not in (1, -1) and not found.dims[dim]:
                found = found.spread(dim, (Axis((int(length),)),))
        return found

    def spread(self, dim: int, axes: tuple[Axis, ...]) -> Self:
        """Repeat a dimension of length one along axes: all elements along them are equal."""
        mean, pairs, at = self.mean, self.pairs, self.position(dim)
        for axis in reversed(axes):
            mean, pairs = _repeated(mean, axis.groups, at), _repeated(pairs, axis.cases, at)
        return self.replaced(dim, axes, mean, pairs)

    def sliced(self, dim: int, start: int, stop: int, step: int = 1) -> Self:
        """Take elements `start` to `stop` of a dimension, every `step`-th."""
        inner = math.prod(axis.size for axis in self.dims[dim][1:])
        if len(self.dims[dim]) > 1 and step == 1 and start % inner == 0 and stop % inner == 0:
            return self._sliced_axis(dim, start // inner, stop // inner, 1)
        return self.in_one_axis(dim)._sliced_axis(dim, start, stop, step)

    def _sliced_axis(self, dim: int, start: int, stop: int, step: int) -> Self:
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

    def without_axis(self, position: int) -> Self:
        """Drop an axis of one element."""
        mean, pairs = np.take(self.mean, 0, position), np.take(self.pairs, 0, position)
        return self._with_axes(position, (), mean, pairs)

    def sum(self, dims: Sequence[int], *, keep: bool = False) -> Self:
        """Sum over dimensions; with `keep` they stay with length one."""
        found = self
        for dim in dims:
            at = found.position(dim)
            mean, pairs = found.mean, found.pairs
            for axis in found.dims[dim]:
                mean = _applied(axis.counts[None, : axis.groups], mean, at)[(slice(None),) * at + (0,)]
                pairs = _applied(axis.counts[None], pairs, at)[(slice(None),) * at + (0,)]
            found = found.replaced(dim, (), mean, pairs)
        if keep:
            return found
        left = tuple(axes for dim, axes in enumerate(found.dims) if dim not in set(dims))
        return type(self)(left, found.mean, found.pairs)

    def _with_axes(self, position: int, axes: tuple[Axis, ...], mean: Array, pairs: Array) -> Self:
        """Return values in which the axis at a position is replaced, in the dimension to which it belongs."""
        dims, seen = [], 0
        for dim in self.dims:
            offset = position - seen
            inside = 0 <= offset < len(dim)
            dims.append((*dim[:offset], *axes, *dim[offset + 1 :]) if inside else dim)
            seen += len(dim)
        return type(self)(tuple(dims), mean, pairs)


def _take_off(flat: Laid, start: int, length: int) -> int:
    """Return how many axes of the only dimension from `start` on have this length together; -1 if none do."""
    have, count, axes = 1, 0, flat.dims[0][start:]
    while have < length and count < len(axes):
        have, count = have * axes[count].size, count + 1
    return count if have == length else -1


def _applied(matrix: Array, values: Array, position: int, width: int = 1) -> Array:
    """Apply a matrix to as many neighbouring axes of an array, taken as one."""
    before, behind = values.shape[:position], values.shape[position + width :]
    flat = values.reshape(math.prod(before), matrix.shape[1], math.prod(behind))
    return np.asarray(matrix @ flat).reshape(*before, len(matrix), *behind)


def _repeated(values: Array, count: int, at: int) -> Array:
    """Repeat values along a new axis, in no memory of their own."""
    return np.broadcast_to(np.expand_dims(values, at), (*values.shape[:at], count, *values.shape[at:]))

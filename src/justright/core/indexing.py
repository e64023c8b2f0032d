"""Elements of a tensor chosen by their index: slices, rolls, lookups, and what writes them back.

Along an axis, elements ``index[k]`` of the old tensor become elements k of the new one. In which case a pair of new
elements lies in the old tensor is counted, so forward and backward are exact for given indices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import MOST_STRATA, Array, Axis
from justright.core.moments import Moments

__all__ = ["Piece", "merged_alike", "pairing", "placed", "taken"]

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Piece:
    """Elements ``(start + step * k) % length`` of a dimension, for k below `count`: a slice, a flip or a roll.

    Parameters
    ----------
    dim, length
        The dimension and its length.
    start, step, count
        Which elements.
    dropped
        Whether the dimension goes; then `count` is one.
    """

    dim: int
    length: int
    start: int
    step: int
    count: int
    dropped: bool = False

    @property
    def index(self) -> Index:
        """Old index of every new element."""
        return (self.start + self.step * np.arange(self.count)) % self.length

    def view(self, x: Moments) -> Moments:
        """Take the elements."""
        whole = taken(x, self.dim, self.index)
        return _dropped(whole, self.dim) if self.dropped else whole

    def back(self, gradient: Moments) -> Moments:
        """Put gradients of the elements where they belong, with zeros elsewhere."""
        whole = _inserted(gradient, self.dim) if self.dropped else gradient
        return placed(whole, self.dim, self.index, self.length)

    def beside(self, other: Piece, pairs: Moments, like: Moments) -> Moments:
        """Return E[x x'] for x in this piece and x' in another, given those of the tensors they are pieces of.

        Parameters
        ----------
        other
            A piece of the same dimension and size.
        pairs
            E[x x'] of the whole tensors.
        like
            A piece, with the strata that the answer shall have where it can.
        """
        whole = pairs.in_one_axis(self.dim)
        at = whole.position(self.dim)
        target = Axis((1,)) if self.count == 1 else like.in_one_axis(self.dim).axes[at]
        cases, single = _beside(whole.axes[at], self, other, target)
        found = whole.replaced(self.dim, (target,), _applied(single, whole.mean, at), _applied(cases, whole.pairs, at))
        if self.count == 1:
            found = found.without_axis(at)
        return _dropped(found, self.dim) if self.dropped else found


@lru_cache(1024)
def _beside(axis: Axis, one: Piece, other: Piece, target: Axis) -> tuple[Array, Array]:
    return pairing(axis, one.index, other.index, target)


def _dropped(x: Moments, dim: int) -> Moments:
    return Moments((*x.dims[:dim], *x.dims[dim + 1 :]), x.mean, x.pairs)


def _inserted(x: Moments, dim: int) -> Moments:
    return Moments((*x.dims[:dim], (), *x.dims[dim:]), x.mean, x.pairs)


def pairing(axis: Axis, first: Index, second: Index, target: Axis) -> tuple[Array, Array]:
    """Count in which case of an axis pairs of indices lie.

    Parameters
    ----------
    axis
        Axis of the old elements.
    first, second
        Old index of every new element, on the left and on the right of a pair.
    target
        Axis of the new elements.

    Returns
    -------
    tuple
        The matrix from old cases to new ones, and that for single elements (on the left).
    """
    bounds = np.asarray(axis.bounds)
    left, right = (np.searchsorted(bounds, each, side="right") - 1 for each in (first, second))
    new = np.repeat(np.arange(target.groups), target.strata)
    equal = first == second
    cases = np.zeros((target.cases, axis.cases))
    np.add.at(cases, (new, np.where(equal, left, _different(axis, left, right))), 1.0)
    total = np.multiply.outer(_tally(new, left, target, axis.groups), _tally(new, right, target, axis.groups))
    np.subtract.at(total, (new, left, new, right), 1.0)
    shared = _shared(axis, first, second, new, target)
    np.subtract.at(shared, (new[equal], new[equal], left[equal]), 1.0)
    cases[target.groups :, : axis.groups] = shared.reshape(-1, axis.groups)
    total = total.transpose(0, 2, 1, 3).copy()
    stratum = np.arange(axis.groups)
    total[:, :, stratum, stratum] -= shared
    cases[target.groups :, axis.groups :] = total.reshape(target.groups**2, -1)
    return _rows(cases, target), _tally(new, left, target, axis.groups) / np.asarray(target.strata)[:, None]


def _different(axis: Axis, left: Index, right: Index) -> Index:
    return axis.groups + left * axis.groups + right


def _tally(new: Index, old: Index, target: Axis, groups: int) -> Array:
    """Count elements by new and old stratum."""
    counts = np.bincount(new * groups + old, minlength=target.groups * groups)
    return np.asarray(counts.reshape(target.groups, groups), dtype=np.float64)


def _shared(axis: Axis, first: Index, second: Index, new: Index, target: Axis) -> Array:
    """Count pairs that are one old element, by new strata and by its old stratum."""
    uses = [_uses(each, new, target, axis.size) for each in (first, second)]
    products = np.multiply(uses[0][:, None], uses[1][None])
    return np.asarray(np.add.reduceat(products, axis.bounds[:-1], axis=-1))


def _uses(index: Index, new: Index, target: Axis, size: int) -> Array:
    """Count how often every old element is used by each new stratum."""
    counts = np.bincount(new * size + index, minlength=target.groups * size)
    return np.asarray(counts.reshape(target.groups, size), dtype=np.float64)


def _rows(cases: Array, target: Axis) -> Array:
    """Turn counts into averages; pairs that do not exist are given the values of their own stratum."""
    for case in np.flatnonzero(cases.sum(axis=1) == 0):
        cases[case] = cases[target.left[case]]
    return np.asarray(cases / cases.sum(axis=1, keepdims=True))


def taken(x: Moments, dim: int, index: Index) -> Moments:
    """Return the moments of elements chosen along a dimension by their index; they may repeat."""
    found, at, inner = _indexable(x, dim, index, x.shape[dim])
    axis = found.axes[at]
    target = _runs(np.searchsorted(np.asarray(axis.bounds), inner, side="right") - 1)
    cases, single = _taking(axis, inner.tobytes(), target)
    return _with_axis(found, dim, at, target, (cases, single))


@lru_cache(1024)
def _taking(axis: Axis, index: bytes, target: Axis) -> tuple[Array, Array]:
    old = np.frombuffer(index, dtype=np.intp)
    return pairing(axis, old, old, target)


def placed(gradient: Moments, dim: int, index: Index, length: int) -> Moments:
    """Return the moments of elements added up at their index along a dimension, with zeros elsewhere."""
    found, at, inner = _indexable(gradient, dim, index, length)
    size = length * inner.size // index.size
    axis = found.axes[at]
    new = np.repeat(np.arange(axis.groups), axis.strata)
    labels = np.bincount(inner, minlength=size) * (axis.groups + 1.0)
    labels[inner] += new
    target = _runs(labels)
    return _with_axis(found, dim, at, target, _placing(axis, inner.tobytes(), target))


@lru_cache(1024)
def _placing(axis: Axis, index: bytes, target: Axis) -> tuple[Array, Array]:
    old = np.frombuffer(index, dtype=np.intp)
    cases, single = pairing(target, old, old, axis)
    counts = (cases * axis.counts[:, None]).T / np.maximum(target.counts, 1.0)[:, None]
    for case in np.flatnonzero(target.counts == 0):
        counts[case] = counts[target.left[case]]
    return counts, (single * np.asarray(axis.strata)[:, None]).T / np.asarray(target.strata)[:, None]


def _indexable(x: Moments, dim: int, index: Index, length: int) -> tuple[Moments, int, Index]:
    """Give a dimension of old or of new elements one axis, and the index on it: whole blocks stay blocks.

    `length` is the number of old elements.
    """
    block = math.prod(axis.size for axis in x.dims[dim][1:])
    if len(x.dims[dim]) > 1 and index.size % block == 0 and length % block == 0:
        blocks = index.reshape(-1, block)
        if np.all(blocks[:, 0] % block == 0) and np.all(blocks == blocks[:, :1] + np.arange(block)):
            return x, x.position(dim), np.ascontiguousarray(blocks[:, 0] // block)
    return x.in_one_axis(dim), x.position(dim), np.ascontiguousarray(index, dtype=np.intp)


def _runs(labels: Any) -> Axis:  # noqa: ANN401
    """Cut an axis where labels change; not at all where they change too often."""
    starts = np.flatnonzero(np.diff(labels)) + 1
    if starts.size >= MOST_STRATA:
        return Axis((len(labels),))
    return Axis(tuple(int(size) for size in np.diff([0, *starts, len(labels)])))


def _with_axis(x: Moments, dim: int, at: int, target: Axis, matrices: tuple[Array, Array]) -> Moments:
    cases, single = matrices
    axes = (target, *x.dims[dim][at - x.position(dim) + 1 :])
    found = x.replaced(dim, axes, _applied(single, x.mean, at), _applied(cases, x.pairs, at))
    return found.without_axis(at) if target.size == 1 else found


def merged_alike(x: Moments, position: int, tolerance: float = 1e-6) -> Moments:
    """Lump all strata of an axis if they are alike.

    Parameters
    ----------
    x
        The tensor.
    position
        Position of the axis.
    tolerance
        Largest change of any second moment, as a share of the largest.
    """
    axis = x.axes[position]
    if axis.groups == 1:
        return x
    lumped = x.strata_at(position, (axis.size,))
    fine = lumped.strata_at(position, axis.strata)
    exists = (axis.counts > 0).reshape([-1 if at == position else 1 for at in range(x.pairs.ndim)])
    scale = float(np.max(np.abs(x.pairs), initial=0.0))
    alike = np.all(np.abs(fine.pairs - x.pairs) * exists <= tolerance * scale)
    return lumped if alike and np.all(np.abs(fine.mean - x.mean) <= math.sqrt(tolerance * scale) * 1e-3) else x


def _applied(matrix: Array, values: Array, position: int) -> Array:
    return np.moveaxis(np.tensordot(matrix, values, (1, position)), 0, position)

"""Tensors laid side by side along a dimension: each is a stratum of its own until it turns out that they are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from justright.core.axes import MOST_STRATA, Array, Axis
from justright.core.indexing import merged_alike
from justright.core.moments import Moments, align, align_dim

__all__ = ["joined", "overwritten"]

Between = Callable[[int, int], Array | None]
"""From the numbers of two pieces to E[x x'] on their common axes; ``None`` if they are independent."""


def joined(pieces: Sequence[Moments], dim: int, between: Between) -> Moments:
    """Return the moments of tensors laid side by side.

    Parameters
    ----------
    pieces
        Moments of the tensors.
    dim
        The dimension.
    between
        What is known of pairs of pieces.

    Returns
    -------
    Moments
        With a stratum for every piece, and one stratum for all of them if that changes nothing.
    """
    if len(pieces) > MOST_STRATA:
        pieces, between = _lumped(pieces, dim, between)
    parts = _alike(pieces, dim)
    if sum(part.axes[parts[0].position(dim)].groups for part in parts) > MOST_STRATA:
        parts = [_one_stratum(part, dim) for part in parts]
    at = parts[0].position(dim)
    target = Axis(tuple(size for part in parts for size in part.axes[at].strata))
    shape = [target.cases if each == at else axis.cases for each, axis in enumerate(parts[0].axes)]
    pairs = np.moveaxis(np.zeros(shape), at, 0)
    starts = np.cumsum([0, *(part.axes[at].groups for part in parts)])
    for i, first in enumerate(parts):
        groups = first.axes[at].groups
        own = np.moveaxis(first.pairs, at, 0)
        pairs[starts[i] : starts[i] + groups] = own[:groups]
        _enter(pairs, target, (starts[i], starts[i]), own[groups:].reshape(groups, groups, *own.shape[1:]))
        for j in range(i):
            block = _across(first, parts[j], at, between(i, j))
            _enter(pairs, target, (starts[i], starts[j]), block)
            _enter(pairs, target, (starts[j], starts[i]), _mirrored(block, first, at))
    dims = (*parts[0].dims[:dim], (target, *parts[0].dims[dim][1:]), *parts[0].dims[dim + 1 :])
    mean = np.concatenate([part.mean for part in parts], at)
    return merged_alike(Moments(dims, mean, np.moveaxis(pairs, 0, at)), at)


def _enter(pairs: Array, target: Axis, start: tuple[int, int], block: Array) -> None:
    """Enter values for pairs of different elements of strata from `start` on."""
    for row, values in enumerate(block):
        first = target.groups + (int(start[0]) + row) * target.groups + int(start[1])
        pairs[first : first + len(values)] = values


def _one_stratum(part: Moments, dim: int) -> Moments:
    at = part.position(dim)
    return part.strata_at(at, (part.axes[at].size,))


def _alike(pieces: Sequence[Moments], dim: int) -> list[Moments]:
    """Give all pieces the same axes, and one axis to be joined; axes within it stay if all have them."""
    inner = {part.dims[dim][1:] for part in pieces}
    blocks = len(inner) == 1 and all(part.dims[dim] for part in pieces)
    parts = list(pieces) if blocks else [part.in_one_axis(dim) for part in pieces]
    for other in range(len(parts[0].dims)):
        if other == dim:
            continue
        for _ in range(2):  # the second time all follow what the last one asked for
            for at in range(1, len(parts)):
                parts[0], parts[at] = align_dim(parts[0], other, parts[at], other)
    return parts


def _across(first: Moments, second: Moments, at: int, known: Array | None) -> Array:
    """E[x x'] across two pieces: by stratum of either, then by the cases of all other axes."""
    axis = first.axes[at]
    rest = first.pairs.shape[:at] + first.pairs.shape[at + 1 :]
    if known is not None and known.shape == rest:  # pieces without this axis, each a slice of it
        return np.broadcast_to(known, (axis.groups, second.axes[at].groups, *rest))
    if known is None or known.shape != first.pairs.shape or axis != second.axes[at]:
        left, right = (_spread(part, at, side) for part, side in ((first, "left"), (second, "right")))
        return np.asarray(left[:, None] * right[None])
    known = np.moveaxis(known, at, 0)
    block = known[axis.groups :].reshape(axis.groups, axis.groups, *known.shape[1:]).copy()
    for stratum, size in enumerate(axis.strata):  # places are equal for one pair in as many as the stratum has elements
        block[stratum, stratum] += (known[stratum] - block[stratum, stratum]) / size
    return np.asarray(block)


def _spread(part: Moments, at: int, side: str) -> Array:
    """Means by stratum of the joined axis, and on all other axes by the first or second element of every case."""
    places = [getattr(axis, side) for axis in part.axes]
    places[at] = np.arange(part.axes[at].groups)
    return np.moveaxis(part.mean[np.ix_(*places)], at, 0)


def _mirrored(block: Array, like: Moments, at: int) -> Array:
    """Exchange first and second element in what `_across` returns."""
    places = [np.arange(block.shape[0]), np.arange(block.shape[1])]
    places += [axis.mirrored for each, axis in enumerate(like.axes) if each != at]
    return np.swapaxes(block[np.ix_(*places)], 0, 1)


def _lumped(pieces: Sequence[Moments], dim: int, between: Between) -> tuple[list[Moments], Between]:
    """Take runs of neighbouring pieces as one each; what pairs of pieces share is looked up in the middle of runs."""
    parts = [_one_stratum(part.in_one_axis(dim), dim) for part in _alike(pieces, dim)]
    bounds = [int(bound) for bound in np.linspace(0, len(parts), MOST_STRATA + 1)]
    middles = [(start + end) // 2 for start, end in pairwise(bounds)]
    runs = [_run(parts[start:end], dim, between, start) for start, end in pairwise(bounds)]
    single = all(each.shape[dim] == 1 for each in pieces)
    return runs, lambda i, j: between(middles[i], middles[j]) if single else None


def _run(parts: Sequence[Moments], dim: int, between: Between, start: int) -> Moments:
    """Lay pieces of one stratum each side by side, as if all their elements were alike."""
    at = parts[0].position(dim)
    sizes = np.asarray([part.shape[dim] for part in parts], dtype=np.float64)
    total = float(sizes.sum())
    own = [np.moveaxis(part.pairs, at, 0) for part in parts]
    same = sum(size * each[0] for size, each in zip(sizes, own, strict=True)) / total
    shared = between(start, start + 1) if len(parts) > 1 else None
    known = shared if shared is not None and shared.shape == own[0].shape[1:] else None
    inside = sum(size * (size - 1.0) * each[1] for size, each in zip(sizes, own, strict=True))
    means = [[side[0] for side in (_spread(part, at, "left"), _spread(part, at, "right"))] for part in parts]
    left, right = (sum(size * each[side] for size, each in zip(sizes, means, strict=True)) for side in (0, 1))
    alone = sum(size * size * each[0] * each[1] for size, each in zip(sizes, means, strict=True))
    across = left * right - alone if known is None else known * (total * total - float(np.sum(sizes**2)))
    different = (inside + across) / max(total * (total - 1.0), 1.0) if total > 1 else same
    mean = sum(size * part.mean for size, part in zip(sizes, parts, strict=True)) / total
    pairs = np.moveaxis(np.stack((same, different)), 0, at)
    return parts[0].replaced(dim, (Axis((int(total),)),), np.asarray(mean), pairs)


def overwritten(x: Moments, added: Moments, written: Moments) -> Moments:
    """Return the moments of a tensor some of whose elements are written over.

    Parameters
    ----------
    x
        The tensor, independent of what is written.
    added
        What is written, and zero elsewhere.
    written
        One where something is written, and zero elsewhere.
    """
    written, added = align(written, added)
    x, added = align(x, added)
    x, written = align(x, written)
    added, written = align(added, written)
    kept = x.times(written.scaled(-1.0).shifted(1.0))
    value = np.divide(added.mean, written.mean, out=np.zeros_like(added.mean), where=written.mean > 0)
    apart = written.right(written.mean) - written.pairs  # only the second one of a pair is written
    return kept.plus(added, x.left(x.mean) * added.right(value) * apart)

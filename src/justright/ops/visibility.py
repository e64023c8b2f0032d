"""Which keys a query sees, counted: what masks of any kind mean for averages over the weights of attention.

A mask is summed up by its rows: how many keys they see, and how many of these two rows share. Rows of about equally
many keys make a stratum, so that the first tokens under a causal mask, which see few, are told from the last ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array, Axis

__all__ = ["Visibility", "everything", "visibility"]

MOST_KINDS: Final = 6
"""Strata of queries at most: pairs of them, squared, are what a layer of attention takes, 0.3 MB with six."""

MOST_MASKS: Final = 8
"""Masks of a stack (one an example, a window, a head) that are looked at, evenly spread."""


@dataclass(frozen=True)
class Visibility:
    """What rows of a mask see, for rows that are the same, and different ones, of every two strata.

    With n(t) the keys that row t sees, all sums are weighted with 1 / (n n').

    Parameters
    ----------
    queries, keys
        Strata of both axes.
    counts
        Harmonic mean of n over the rows of each query stratum that see any key.
    share
        Mean over a stratum's rows of the share n_b / n of their keys in each key stratum.
    shared
        For every case of two rows and every key stratum: keys there that both see.
    distinct
        For every case of two rows and every pair of key strata: pairs of different keys that are seen.
    """

    queries: Axis
    keys: Axis
    counts: Array
    share: Array
    shared: Array
    distinct: Array


@lru_cache(256)
def everything(keys: Axis) -> Visibility:
    """Return the visibility of rows that see all of a run of keys."""
    count = keys.size
    each = np.asarray(keys.strata, dtype=np.float64)
    shared, distinct = (np.tile(part / count**2, (2, 1)) for part in np.split(keys.counts, [keys.groups]))
    return Visibility(Axis((1,)), keys, np.array([float(count)]), each[None] / count, shared, distinct)


def visibility(visible: NDArray[np.bool_], queries: Axis, keys: Axis) -> Visibility:
    """Count what the rows of a stack of masks see.

    Parameters
    ----------
    visible
        Whether a query sees a key: [masks, queries, keys].
    queries, keys
        Strata that both axes have already.
    """
    stack = visible[_evenly(len(visible), MOST_MASKS)] > 0
    counts = stack.sum(axis=2)
    bounds = _bounds(counts)
    square = stack.shape[1] == stack.shape[2] and len(bounds) > 2  # noqa: PLR2004
    queries = _cut(queries, bounds)
    keys = _cut(keys, bounds if square else (0, stack.shape[2]))
    return _counted(stack, queries, keys)


def _bounds(counts: Array) -> tuple[int, ...]:
    """Bounds of the runs of rows that see equally many keys but for a factor."""
    least, most = max(counts.min(), 1), max(counts.max(), 1)
    octaves = max(np.log2(most / least) / (MOST_KINDS - 1), 1.0)
    kinds = np.floor(np.log2(np.maximum(counts, 0.5)) / octaves).astype(int)
    changes = np.flatnonzero(np.any(np.diff(kinds, axis=1) != 0, axis=0)) + 1
    bounds = (0, *(int(each) for each in changes), counts.shape[1])
    return bounds if len(bounds) <= MOST_KINDS + 2 else (0, counts.shape[1])


def _cut(axis: Axis, bounds: tuple[int, ...]) -> Axis:
    """Cut an axis at more bounds, unless that makes too many strata: then at these alone."""
    both = sorted({*axis.bounds, *bounds})
    chosen = both if len(both) <= MOST_KINDS + 2 else list(bounds) if len(bounds) > 2 else list(axis.bounds)  # noqa: PLR2004
    return Axis(tuple(end - start for start, end in pairwise(chosen)))


def _evenly(size: int, most: int) -> Array:
    """Return at most so many positions, evenly spread over a run."""
    count = min(size, most)
    return np.asarray(((np.arange(count) + 0.5) * size / count).astype(int))


def _counted(stack: Array, queries: Axis, keys: Axis) -> Visibility:
    """Average over the rows of each stratum, and over the masks."""
    parts = np.add.reduceat(stack, keys.bounds[:-1], axis=2, dtype=np.float64)
    total = parts.sum(axis=2)
    inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    weighted = parts * inverse[..., None]
    number = np.asarray(queries.strata, dtype=np.float64)
    inverses = _summed(inverse, queries).mean(axis=0) / _summed(total > 0, queries).mean(axis=0).clip(1e-9)
    return Visibility(
        queries,
        keys,
        np.divide(1.0, inverses, out=np.ones_like(inverses), where=inverses > 0),
        _summed(weighted, queries).mean(axis=0) / number[:, None],
        *_of_pairs(stack, inverse, weighted, queries, keys),
    )


def _of_pairs(stack: Array, inverse: Array, weighted: Array, queries: Axis, keys: Axis) -> tuple[Array, Array]:
    """Return `Visibility.shared` and `Visibility.distinct`."""
    member = np.repeat(np.eye(queries.groups), queries.strata, axis=1)
    columns = np.matmul(member * inverse[:, None], stack.astype(np.float64))
    both = np.einsum("mak,mbk->mabk", columns, columns)
    shared = np.add.reduceat(both, keys.bounds[:-1], axis=3).mean(axis=0)
    own = _summed(weighted * inverse[..., None], queries).mean(axis=0)
    sums = _summed(weighted, queries)
    seen = np.einsum("mab,mcd->acbd", sums, sums) / len(stack)
    mine = _summed(np.einsum("mqb,mqd->mqbd", weighted, weighted), queries).mean(axis=0)
    alike = np.arange(keys.groups)
    seen[..., alike, alike] -= shared
    mine[..., alike, alike] -= own
    return _by_case(own, shared, queries), _by_case(mine, seen, queries)


def _summed(rows: Array, queries: Axis) -> Array:
    """Sum over the rows of each stratum, along the second axis."""
    return np.asarray(np.add.reduceat(rows, queries.bounds[:-1], axis=1, dtype=np.float64))


def _by_case(own: Array, pairs: Array, queries: Axis) -> Array:
    """Average sums over the rows of strata, and over all pairs of rows of two strata, for the cases of two rows."""
    own, pairs = own.reshape(queries.groups, -1), pairs.reshape(queries.groups**2, -1)
    sizes = np.asarray(queries.strata, dtype=np.float64)[:, None]
    within = np.arange(queries.groups) * (queries.groups + 1)
    pairs[within] = np.where(sizes > 1, pairs[within] - own, own)  # one row alone has no other: it stands for both
    counts = queries.counts[queries.groups :].copy()
    counts[within] = np.maximum(counts[within], 1.0)
    return np.concatenate((own / sizes, pairs / counts[:, None]))

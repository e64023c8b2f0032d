"""Rows of a table chosen by integers of any shape: what is equal in two results is how often two integers are equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product
from typing import Any

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.moments import Moments

__all__ = ["added_up", "equal_shares", "gathered", "joint_shares", "looked_up", "ungathered"]


def equal_shares(index: Any, shape: Sequence[int], size: int) -> Array:  # noqa: ANN401
    """Return the share of pairs of integers that are equal, for every way in which two of them can lie.

    Parameters
    ----------
    index
        The integers; ``None`` if they are not known: then different ones are drawn independently.
    shape
        Their shape.
    size
        Number of rows from which they choose.

    Returns
    -------
    numpy.ndarray
        One axis a dimension, with entries for the same and for different places along it.

    Examples
    --------
    >>> equal_shares(np.array([[0, 1, 2], [0, 1, 2]]), (2, 3), 10)  # positions, for two examples
    array([[1., 0.],
           [1., 0.]])
    """
    rank = len(shape)
    if index is None:
        found = np.full((2,) * rank, 1.0 / size)
        for case in np.ndindex(found.shape):
            if all(not different or length == 1 for different, length in zip(case, shape, strict=True)):
                found[case] = 1.0
        return found
    return _counted(np.asarray(index).reshape(tuple(shape)))


def _counted(index: Any) -> Array:  # noqa: ANN401
    rank = index.ndim
    agree = np.zeros((2,) * rank)
    for case in product((0, 1), repeat=rank):
        agree[case] = _coincidences(index, [dim for dim in range(rank) if case[dim] == 0])
    for dim, length in enumerate(index.shape):  # pairs at any places, less those at the same one
        some, same = (np.take(agree, each, dim) for each in (1, 0))
        different = same if length == 1 else some - same
        agree = np.stack((same, different), dim)
    counts = _case_counts(index.shape)
    return np.asarray(np.clip(agree / np.maximum(counts, 1.0), 0.0, 1.0))


def _coincidences(index: Any, held: list[int]) -> float:  # noqa: ANN401
    """Count pairs of equal integers that lie at the same place along the dimensions held."""
    key = index.astype(np.int64) - index.min(initial=0)
    span = int(key.max(initial=0)) + 1
    for dim in held:
        places = np.arange(index.shape[dim]).reshape([-1 if each == dim else 1 for each in range(index.ndim)])
        key = key * index.shape[dim] + places
    small = span * math.prod(index.shape[dim] for dim in held) <= 4 * index.size + 1024
    counts = np.bincount(key.ravel()) if small else np.unique(key, return_counts=True)[1]
    return float(np.sum(counts.astype(np.float64) ** 2))


def _case_counts(shape: Sequence[int]) -> Array:
    """Ordered pairs in every case; a dimension of length one counts as the same and as different."""
    counts = np.ones(())
    for length in shape:
        counts = np.multiply.outer(counts, np.asarray((length, max(length * (length - 1), 1)), dtype=np.float64))
    return counts


def _plain(x: Moments) -> Moments:
    """Give every dimension one axis of one stratum."""
    for dim in range(len(x.dims)):
        x = x.in_one_axis(dim)
    return x.merged_strata()


def _tidy(shape: Sequence[int], mean: Array, pairs: Array) -> Moments:
    """Make moments of arrays that have an axis for every dimension, also for those of length one."""
    found = Moments(tuple((Axis((length,)),) for length in shape), mean, pairs)
    for dim in reversed(range(len(shape))):
        if shape[dim] == 1:
            found = found.without_axis(dim)
    return found


def joint_shares(indices: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> Array:
    """Return how often indices of several dimensions agree in some of them and differ in the others.

    Parameters
    ----------
    indices
        Integers for every dimension, all of one shape; ``None`` where they are not known.
    shape
        Their shape.
    sizes
        Number of elements of every dimension from which they choose.

    Returns
    -------
    numpy.ndarray
        Shares, with an axis for every dimension of `shape` as in `equal_shares`, and one for each of the indices.
    """
    count = len(indices)
    known = [at for at in range(count) if indices[at] is not None]
    found = np.ones((2,) * (len(shape) + count))
    agree = {
        chosen: _agreement([indices[at] for at in chosen], [sizes[at] for at in chosen], shape)
        for chosen in _subsets(known)
    }
    for combination in product((0, 1), repeat=count):
        same = [at for at in known if combination[at] == 0]
        rest = [at for at in known if combination[at] == 1]
        share = sum((-1.0) ** len(extra) * agree[tuple(sorted((*same, *extra)))] for extra in _subsets(rest))
        for at in set(range(count)) - set(known):
            alone = equal_shares(None, shape, sizes[at])
            share = share * (1.0 - alone if combination[at] else alone)
        places: tuple[Any, ...] = (..., *combination)
        found[places] = share
    return np.asarray(np.clip(found, 0.0, 1.0))


def _subsets(places: Sequence[int]) -> list[tuple[int, ...]]:
    return [each for size in range(len(places) + 1) for each in combinations(places, size)]


def _agreement(indices: Sequence[Any], sizes: Sequence[int], shape: Sequence[int]) -> Array:
    """Share of pairs that agree in all of these indices."""
    if not indices:
        return np.ones((2,) * len(shape))
    return equal_shares(np.ravel_multi_index(tuple(indices), tuple(sizes)), shape, math.prod(sizes))


def looked_up(table: Moments, shares: Array, shape: Sequence[int]) -> Moments:
    """Return the moments of elements of a table at integers of a shape, one for each of its first dimensions.

    Parameters
    ----------
    table
        The table.
    shares
        How often the integers agree; see `joint_shares`, or `equal_shares` for the first dimension alone.
    shape
        Their shape; other dimensions of the table follow it.
    """
    rank = len(shape)
    count = max(shares.ndim - rank, 1)
    weights = shares if shares.ndim > rank else np.stack((shares, 1.0 - shares), -1)
    whole = _plain_front(table, count)
    pairs = np.tensordot(weights, whole.pairs, (range(rank, rank + count), range(count)))
    rest = whole.mean.shape[count:]
    mean = np.array(np.broadcast_to(whole.mean.reshape(rest), (1,) * rank + rest))
    found = Moments((*((Axis((length,)),) for length in shape), *whole.dims[count:]), mean, pairs)
    for dim in reversed(range(rank)):
        if shape[dim] == 1:
            found = found.without_axis(dim)
    return found


def _plain_front(x: Moments, count: int) -> Moments:
    """Give the first dimensions one axis of one stratum each."""
    for dim in range(count):
        x = x.in_one_axis(dim)
        x = x.strata_at(dim, (x.axes[dim].size,))
    return x


def added_up(gradient: Moments, shares: Array, rank: int, sizes: Sequence[int]) -> Moments:
    """Return the moments of a table into which elements are added up, at integers that agree as often as these shares.

    Parameters
    ----------
    gradient
        The elements; its first `rank` dimensions are those of the integers.
    shares
        How often the integers agree; see `joint_shares`, or `equal_shares` for one dimension.
    rank
        Number of dimensions of the integers.
    sizes
        Sizes of the first dimensions of the table.
    """
    whole = _plain_front(gradient, rank)
    shape = gradient.shape[:rank]
    weights = shares if shares.ndim > rank else np.stack((shares, 1.0 - shares), -1)
    counts = np.where(_exists(shape), _case_counts(shape), 0.0)
    counts = counts.reshape(counts.shape + (1,) * len(sizes))
    pairs = np.tensordot(counts * weights, whole.pairs, (range(rank), range(rank)))
    places = _case_counts(sizes)
    pairs = pairs / places.reshape(places.shape + (1,) * (pairs.ndim - places.ndim))
    mean = whole.mean.reshape((1,) * len(sizes) + whole.mean.shape[rank:]) * math.prod(shape) / math.prod(sizes)
    found = Moments((*((Axis((size,)),) for size in sizes), *whole.dims[rank:]), mean, pairs)
    for dim in reversed(range(len(sizes))):
        if sizes[dim] == 1:
            found = found.without_axis(dim)
    return found


def _exists(shape: Sequence[int]) -> Any:  # noqa: ANN401
    """Say which cases occur: different places along a dimension of length one do not."""
    found = np.ones((2,) * len(shape), dtype=bool)
    for dim, length in enumerate(shape):
        if length == 1:
            found[(slice(None),) * dim + (1,)] = False
    return found


def gathered(x: Moments, dim: int, shares: Array, shape: Sequence[int]) -> Moments:
    """Return the moments of ``x[..., index, ...]``, for an index with all dimensions of `x`, along one of them.

    Parameters
    ----------
    x
        The tensor.
    dim
        Dimension along which the index chooses.
    shares
        Share of equal integers, with an axis for every dimension.
    shape
        Of the index.
    """
    whole = _plain(x)
    same, different = (np.expand_dims(np.take(whole.pairs, case, dim), dim) for case in (0, 1))
    return _tidy(shape, whole.mean, shares * same + (1.0 - shares) * different)


def ungathered(gradient: Moments, dim: int, shares: Array, size: int) -> Moments:
    """Return the moments of a tensor into which elements are added along a dimension, as `gathered` reads them."""
    whole = _plain(gradient)
    count = gradient.shape[dim]
    counts = np.asarray((count, count * (count - 1.0)))
    counts = counts.reshape([-1 if each == dim else 1 for each in range(whole.pairs.ndim)])
    same = np.sum(counts * shares * whole.pairs, axis=dim) / size
    different = np.sum(counts * (1.0 - shares) * whole.pairs, axis=dim) / max(size * (size - 1), 1)
    pairs = np.stack((same, same if size == 1 else different), dim)
    shape = [size if each == dim else length for each, length in enumerate(gradient.shape)]
    return _tidy(shape, whole.mean * count / size, pairs)

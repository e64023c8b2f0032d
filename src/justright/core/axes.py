"""Axes of exchangeable elements: how two elements of a tensor can lie to each other along one axis.

Along an exchangeable axis two elements are either the same one or different ones, and nothing else matters. An axis
whose elements are not all alike (positions under a causal mask, pieces that were concatenated) is cut into *strata* of
alike neighbours; then a pair is the same element of stratum a, or different elements of strata a and b. Whatever is
known of pairs of elements is an array with one axis of these cases for each axis of the tensor, and every change of an
axis (cutting, joining, summing over it) is a matrix applied to its cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MOST_STRATA",
    "Array",
    "Axis",
    "common_strata",
    "element_shares",
    "joining",
    "lumping",
    "pair_shares",
    "refining",
    "splitting",
]

Array = NDArray[np.float64]

MOST_STRATA: Final = 12
"""Strata of an axis beyond which neighbours are lumped: cases grow with the square of their number."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A run of elements in strata of alike neighbours.

    Parameters
    ----------
    strata
        Number of elements of each stratum, in order.

    Examples
    --------
    >>> axis = Axis((1, 3))
    >>> axis.size, axis.groups, axis.cases
    (4, 2, 6)
    >>> axis.counts  # same in each stratum, then different: (0, 0), (0, 1), (1, 0), (1, 1)
    array([1., 3., 0., 3., 3., 6.])
    """

    strata: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return sum(self.strata)

    @property
    def groups(self) -> int:
        """Number of strata."""
        return len(self.strata)

    @property
    def cases(self) -> int:
        """Number of ways in which two elements can lie: the same of a stratum, or different ones of two."""
        return self.groups * (self.groups + 1)

    @property
    def counts(self) -> Array:
        """Ordered pairs of elements in each case; they add up to ``size ** 2``."""
        return _counts(self.strata)

    @property
    def weights(self) -> Array:
        """Share of the elements in each stratum."""
        return np.asarray(self.strata) / self.size

    @property
    def left(self) -> NDArray[np.intp]:
        """Stratum of the first element of each case."""
        return _sides(self.groups)[0]

    @property
    def right(self) -> NDArray[np.intp]:
        """Stratum of the second element of each case."""
        return _sides(self.groups)[1]

    @property
    def mirrored(self) -> NDArray[np.intp]:
        """For each case, the one with first and second element exchanged."""
        return _sides(self.groups)[2]

    @property
    def bounds(self) -> tuple[int, ...]:
        """Where strata begin, and where the last one ends."""
        return tuple(accumulate(self.strata, initial=0))


@lru_cache(4096)
def _counts(strata: tuple[int, ...]) -> Array:
    sizes = np.asarray(strata, dtype=np.float64)
    different = np.outer(sizes, sizes) - np.diag(sizes)
    return np.concatenate((sizes, different.ravel()))


@lru_cache(256)
def _sides(groups: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    same = np.arange(groups)
    first, second = (each.ravel() for each in np.indices((groups, groups)))
    mirrored = np.concatenate((same, groups + second * groups + first))
    return np.concatenate((same, first)), np.concatenate((same, second)), mirrored


@lru_cache(4096)
def element_shares(axes: tuple[Axis, ...]) -> Array:
    """Return the share of a tensor's elements in each cell of strata, one array axis for each axis."""
    shares = np.ones(())
    for axis in axes:
        shares = np.multiply.outer(shares, axis.weights)
    return shares


@lru_cache(1024)
def pair_shares(axes: tuple[Axis, ...]) -> Array:
    """Return the share of all pairs of a tensor's elements in each case, one array axis for each axis."""
    shares = np.ones(())
    for axis in axes:
        shares = np.multiply.outer(shares, axis.counts / axis.size**2)
    return shares


@lru_cache(4096)
def common_strata(first: Axis, second: Axis) -> Axis:
    """Cut two axes of one size at the bounds of both, at most `MOST_STRATA` of them."""
    bounds = sorted({*first.bounds, *second.bounds})
    while len(bounds) > MOST_STRATA + 1:
        sizes = np.diff(bounds)
        smallest = int(np.argmin(sizes[:-1] + sizes[1:]))
        del bounds[smallest + 1]
    return Axis(tuple(int(size) for size in np.diff(bounds)))


@lru_cache(4096)
def refining(axis: Axis, strata: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the matrices that give an axis other bounds: for cases, and for single elements.

    What a new stratum gets is the mean over the elements, or pairs of elements, that lie in it.
    """
    fine = Axis(tuple(int(size) for size in np.diff(sorted({*axis.bounds, *Axis(strata).bounds}))))
    starts = np.asarray(fine.bounds[:-1])
    old = np.searchsorted(axis.bounds, starts, side="right") - 1
    new = np.searchsorted(Axis(strata).bounds, starts, side="right") - 1
    return lumping(axis, fine, old, Axis(strata), new)


def lumping(axis: Axis, fine: Axis, old: NDArray[np.intp], target: Axis, new: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return matrices from one axis to another through a finer one, given where each fine stratum lies in both."""
    single = np.zeros((target.groups, axis.groups))
    np.add.at(single, (new, old), np.asarray(fine.strata, dtype=np.float64))
    cases = np.zeros((target.cases, axis.cases))
    into, out_of = _case_of(target, new, fine), _case_of(axis, old, fine)
    np.add.at(cases, (into, out_of), fine.counts)
    empty = np.flatnonzero(cases.sum(axis=1) == 0)  # pairs that do not exist: one element alone in its stratum
    for case in empty:
        cases[case] = cases[target.left[case]]
    return cases / cases.sum(axis=1, keepdims=True), single / single.sum(axis=1, keepdims=True)


def _case_of(axis: Axis, place: NDArray[np.intp], fine: Axis) -> NDArray[np.intp]:
    """For each case of a finer axis, the case of this one in which it lies."""
    same = np.arange(fine.cases) < fine.groups
    first, second = place[fine.left], place[fine.right]
    return np.where(same, first, axis.groups + first * axis.groups + second)


@lru_cache(4096)
def splitting(axis: Axis, inner: int) -> tuple[Axis, Axis, NDArray[np.intp]]:
    """Cut an axis into an outer and an inner one; the strata must be multiples of the inner size.

    Returns
    -------
    tuple
        Both axes, and for each pair of their cases the case of the axis as it was.
    """
    outer = Axis(tuple(size // inner for size in axis.strata))
    different = axis.groups + outer.left * axis.groups + outer.right
    same = np.where(np.arange(outer.cases) < outer.groups, np.arange(outer.cases), different)
    return outer, Axis((inner,)), np.stack((same, different), axis=1)


@lru_cache(4096)
def joining(outer: Axis, inner: Axis) -> tuple[Axis, Array, Array]:
    """Join an outer and an inner axis to one with the outer's strata.

    Returns
    -------
    tuple
        The axis, the matrix from (outer case, inner case) to its cases, and that for single elements.
    """
    joined = Axis(tuple(size * inner.size for size in outer.strata))
    cases = np.zeros((joined.cases, outer.cases, inner.cases))
    pairs = np.outer(outer.counts, inner.counts)
    for case, part in np.ndindex(outer.cases, inner.cases):
        first, second = int(outer.left[case]), int(outer.right[case])
        same = case < outer.groups and part < inner.groups
        cases[first if same else joined.groups + first * joined.groups + second, case, part] = pairs[case, part]
    flat = cases.reshape(joined.cases, -1)
    for case in np.flatnonzero(flat.sum(axis=1) == 0):
        flat[case] = flat[joined.left[case]]
    flat = flat / flat.sum(axis=1, keepdims=True)
    single = np.zeros((joined.groups, outer.groups, inner.groups))
    single[np.arange(outer.groups), np.arange(outer.groups)] = inner.weights
    return joined, flat.reshape(cases.shape), single

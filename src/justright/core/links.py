"""Linear maps along an axis: which elements of one axis meet which of another, and what that does to pairs.

A convolution, a pooling window and an interpolation are sums over links: an output position, an input position and,
for a convolution, the tap of the kernel that joins them. The second moments of the result are sums over pairs of links,
and all that is needed of those is how many there are for each way in which their ends can lie. Nothing is assumed but
that the elements of an axis are alike within strata, so borders, strides and dilation are counted exactly.

>>> from justright.core.moments import Moments
>>> x = Moments.independent((8, 4), 0.0, 1.0)
>>> halves = mixing(np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]))
>>> linked(x, halves, {"i": 1}, "o").second_moment
0.5
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import MOST_STRATA, Array, Axis
from justright.core.moments import Moments

__all__ = ["Links", "linked", "mixing", "unlinked", "windows"]

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Links:
    """Links between positions of axes.

    Any two different links share at most one end; with two roles that means that a pair of positions is linked once.

    Parameters
    ----------
    places
        For every role, ``"o"`` output, ``"i"`` input and ``"t"`` tap, its position at each link.
    sizes
        For every role the number of its positions.
    values
        Factor of each link.
    """

    places: Mapping[str, Index]
    sizes: Mapping[str, int]
    values: Array


@lru_cache(512)
def windows(size: int, kernel: int, stride: int, padding: int, dilation: int, out: int) -> Links:
    """Return the links of a sliding window: tap t joins output o with input ``o * stride - padding + t * dilation``.

    Parameters
    ----------
    size, out
        Number of input and of output positions; what lies outside is not linked.
    kernel, stride, padding, dilation
        As of a convolution along this axis.
    """
    o, t = (each.ravel() for each in np.indices((out, kernel)))
    i = o * stride - padding + t * dilation
    inside = (i >= 0) & (i < size)
    places = {"o": o[inside], "t": t[inside], "i": i[inside]}
    return Links(places, {"o": out, "t": kernel, "i": size}, np.ones(int(inside.sum())))


def mixing(matrix: Array) -> Links:
    """Return the links of a matrix from input to output positions."""
    o, i = np.nonzero(matrix)
    return Links({"o": o, "i": i}, {"o": matrix.shape[0], "i": matrix.shape[1]}, np.asarray(matrix[o, i], np.float64))


def linked(
    x: Moments, links: Links, dims: Mapping[str, int], out: str, strata: tuple[int, ...] | None = None
) -> Moments:
    """Return the moments of a sum over links.

    Parameters
    ----------
    x
        The tensor, or the product of two independent ones with a dimension for the positions of each.
    links
        The links.
    dims
        Dimension of `x` for every role but that of the result.
    out
        Role of the result; its dimension takes the place of the first of `dims`, the others go.
    strata
        Strata of the result; by default as the strata of `x` suggest.
    """
    for dim in dims.values():
        x = x.in_one_axis(dim)
    axes = {role: x.dims[dim][0] for role, dim in dims.items()}
    target = Axis(strata or _image(links, axes, out))
    cases, single = _maps(links, tuple(axes.items()), out, target)
    at = [x.position(dim) for dim in dims.values()]
    many = list(range(1, len(at) + 1))
    mean = np.moveaxis(np.tensordot(single, x.mean, (many, at)), 0, min(at))
    pairs = np.moveaxis(np.tensordot(cases, x.pairs, (many, at)), 0, min(at))
    first = min(dims.values())
    kept = [axes for dim, axes in enumerate(x.dims) if dim == first or dim not in dims.values()]
    found = Moments(tuple(kept), mean, pairs).replaced(first, (target,), mean, pairs)
    return found.without_axis(found.position(first)) if target.size == 1 else found


def unlinked(x: Moments, links: Links, dim: int) -> Moments:
    """Return the moments of what each link sees of the input: position and tap in place of one dimension.

    Parameters
    ----------
    x
        The tensor.
    links
        The links; a position and a tap without an input see a zero.
    dim
        Dimension of the input positions; those of outputs and of taps take its place.
    """
    x = x.in_one_axis(dim)
    x = x.strata_at(x.position(dim), (x.shape[dim],))
    axes = tuple(Axis((links.sizes[role],)) for role in "ot")
    counts = np.multiply.outer(axes[0].counts, axes[1].counts)[..., None]
    cases, _ = _maps(links, (("t", axes[1]), ("i", x.dims[dim][0])), "o", axes[0])
    cases = cases * axes[0].counts[:, None, None] / np.maximum(counts, 1.0)
    share = len(links.values) / (axes[0].size * axes[1].size)
    at = x.position(dim)
    pairs = np.moveaxis(np.tensordot(cases, x.pairs, (2, at)), (0, 1), (at, at + 1))
    dims = (*x.dims[:dim], (axes[0],), (axes[1],), *x.dims[dim + 1 :])
    found = Moments(dims, np.expand_dims(x.mean * share, at), pairs)
    for each in (dim + 1, dim):
        if found.shape[each] == 1:
            found = found.without_axis(found.position(each))
    return found


def _image(links: Links, axes: Mapping[str, Axis], out: str) -> tuple[int, ...]:
    """Strata of the result: cut where the positions that are linked cross into another stratum."""
    cut = {role: axis for role, axis in axes.items() if axis.groups > 1 and "t" not in (role, out)}
    size = links.sizes[out]
    if not cut:
        return (size,)
    role, axis = next(iter(cut.items()))
    count = np.bincount(links.places[out], minlength=size)
    total = np.bincount(links.places[out], links.places[role].astype(np.float64), size)
    middle = np.where(count > 0, total / np.maximum(count, 1), 0.0)
    place = np.searchsorted(axis.bounds, np.maximum.accumulate(middle), side="right")
    sizes = tuple(int(each) for each in np.bincount(place) if each)
    return sizes if len(sizes) <= MOST_STRATA else (size,)


@lru_cache(1024)
def _maps(links: Links, axes: tuple[tuple[str, Axis], ...], out: str, target: Axis) -> tuple[Array, Array]:
    """Return what maps cases, and single elements, of the given axes to those of the result."""
    roles = {out: target, **dict(axes)}
    strata = {role: np.searchsorted(axis.bounds, links.places[role], side="right") - 1 for role, axis in roles.items()}
    shape = [axis.groups for axis in roles.values()]
    cell = np.ravel_multi_index(tuple(strata.values()), shape)
    cells = int(np.prod(shape))
    single = np.bincount(cell, links.values, cells).reshape(shape)
    single = single / np.asarray(target.strata).reshape(-1, *(1,) * len(axes))
    cases = _pairs(links, roles, cell, cells)
    counts = target.counts
    cases = cases / np.maximum(counts, 1.0).reshape(-1, *(1,) * len(axes))
    for case in np.flatnonzero(counts == 0):  # a stratum of one element has no two different ones
        cases[case] = cases[target.left[case]]
    return cases, single


def _pairs(links: Links, roles: Mapping[str, Axis], cell: Index, cells: int) -> Array:
    """Count ordered pairs of links, by the case in which their ends lie for every role.

    Two different links share at most one end, so counts over all pairs, over pairs that share one end and over equal
    links give those that share exactly that much.
    """
    found = np.zeros([axis.cases for axis in roles.values()])
    once = np.bincount(cell, links.values, cells)
    equal = np.diag(np.bincount(cell, links.values**2, cells))
    apart = np.outer(once, once) + (len(roles) - 1) * equal
    for role in roles:
        size = links.sizes[role]
        flat = np.bincount(links.places[role] * cells + cell, links.values, size * cells).reshape(size, cells)
        sharing = flat.T @ flat
        apart -= sharing
        _enter(found, roles, {role}, sharing - equal)
    _enter(found, roles, set(), apart)
    _enter(found, roles, set(roles), equal)
    return found


def _enter(found: Array, roles: Mapping[str, Axis], same: set[str], counts: NDArray[Any]) -> None:
    """Add counts by the cells of both links to those by case, given the roles in which both are the same element."""
    shape = [axis.groups for axis in roles.values()]
    first, second = (np.unravel_index(each.ravel(), shape) for each in np.indices(counts.shape))
    index = tuple(
        one if role in same else axis.groups + one * axis.groups + other
        for (role, axis), one, other in zip(roles.items(), first, second, strict=True)
    )
    chosen = counts.ravel() != 0
    np.add.at(found, tuple(each[chosen] for each in index), counts.ravel()[chosen])

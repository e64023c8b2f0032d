"""Fewer elements of a large tensor, such that every stratum keeps its share and pairs keep their cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Axis
from justright.core.draws import resized
from justright.core.moments import Moments

__all__ = ["FEWEST", "Thinned", "taken", "thinned", "thinned_axes", "whole"]

FEWEST: Final = 4
"""Elements that an axis keeps: two different ones are a pair, and more average over pairs."""


@dataclass(frozen=True)
class Thinned:
    """Which elements of a dimension are kept.

    Parameters
    ----------
    full
        Axes of the dimension.
    places
        For each of them the elements that are kept, ascending.
    """

    full: tuple[Axis, ...]
    places: tuple[NDArray[np.intp], ...]

    @property
    def small(self) -> tuple[Axis, ...]:
        """Axes of what is kept, in the same strata."""
        return tuple(_counted(axis, places) for axis, places in zip(self.full, self.places, strict=True))

    @property
    def index(self) -> NDArray[np.intp]:
        """Elements of the dimension that are kept."""
        sizes = tuple(axis.size for axis in self.full)
        grid = np.meshgrid(*self.places, indexing="ij")
        return np.ravel_multi_index(tuple(grid), sizes).ravel()

    def axes(self, own: tuple[Axis, ...]) -> tuple[Axis, ...] | None:
        """Return what is left of a tensor's own axes along this dimension; ``None`` where they are cut otherwise."""
        if [axis.size for axis in own] == [axis.size for axis in self.full]:
            left = tuple(_counted(axis, places) for axis, places in zip(own, self.places, strict=True))
        elif len(own) == 1:
            left = (_counted(own[0], self.index),)
        else:
            return None
        return left if all(all(axis.strata) for axis in left) else None


def thinned_axes(axes: tuple[Axis, ...], most: int) -> Thinned:
    """Keep at most about `most` elements of a dimension, at least `FEWEST` an axis and one a stratum."""
    lengths = [axis.size for axis in axes]
    while math.prod(lengths) > most and max(lengths) > FEWEST:
        longest = int(np.argmax(lengths))
        lengths[longest] = max(lengths[longest] // 2, FEWEST)
    return Thinned(axes, tuple(_spaced(axis, length) for axis, length in zip(axes, lengths, strict=True)))


def _spaced(axis: Axis, length: int) -> NDArray[np.intp]:
    """Choose elements evenly within each stratum, by its share."""
    found = []
    for start, size in zip(axis.bounds, axis.strata, strict=False):
        count = min(size, max(min(2, size), round(size * length / axis.size)))
        found.append(start + (np.arange(count) * size) // count)
    return np.concatenate(found)


def _counted(axis: Axis, places: NDArray[np.intp]) -> Axis:
    stratum = np.searchsorted(axis.bounds, places, side="right") - 1
    return Axis(tuple(int(count) for count in np.bincount(stratum, minlength=axis.groups)))


def thinned(moments: Moments, cuts: Mapping[int, Thinned]) -> Moments:
    """Return moments of a tensor of which only some elements are kept, along dimensions counted from the last one.

    Dimensions of length one stay.
    """
    for back, cut in cuts.items():
        dim = len(moments.dims) + back
        if dim < 0 or not moments.dims[dim]:
            continue
        left = cut.axes(moments.dims[dim])
        if left is None:
            moments = moments.in_one_axis(dim)
            moments = moments.strata_at(moments.position(dim), (moments.shape[dim],))
            left = (Axis((cut.index.size,)),)
        moments = resized(moments, (*moments.dims[:dim], left, *moments.dims[dim + 1 :]))
    return moments


def taken(values: NDArray[np.generic], cuts: Mapping[int, Thinned]) -> NDArray[np.generic]:
    """Keep the same elements of an array, along dimensions counted from the last one."""
    for back, cut in cuts.items():
        dim = values.ndim + back
        if dim >= 0 and values.shape[dim] != 1:
            values = np.take(values, cut.index, dim)
    return values


def whole(moments: Moments, dims: Sequence[tuple[Axis, ...]]) -> Moments:
    """Return the moments of the tensor of which these are the kept elements' ones."""
    return resized(moments, tuple(dims))

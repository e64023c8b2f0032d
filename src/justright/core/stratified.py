"""Moments of known values that change along their axes: masks, positions, waves."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from justright.core.axes import Axis
from justright.core.moments import Moments
from justright.core.observed import observed

__all__ = ["stratified"]

PARTS: Final = 8
"""Strata that values get at most along a dimension, such as the rows of a triangle."""

LARGEST: Final = 2**16
"""Elements beyond which only some are looked at, evenly spread in every stratum."""


def stratified(values: Any) -> Moments:  # noqa: ANN401
    """Return the moments of given values, with strata along dimensions on whose slices the mean depends.

    Parameters
    ----------
    values
        Array of numbers.

    Examples
    --------
    >>> stratified(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])).dims
    ((Axis(strata=(2,)),), (Axis(strata=(2, 1)),))
    """
    array = np.asarray(values)
    cut = [_strata(array, dim) for dim in range(array.ndim)]
    fewer = (LARGEST / max(array.size, 1)) ** (1.0 / max(array.ndim, 1)) if array.size > LARGEST else 1.0
    chosen = [_chosen(strata, fewer) for strata in cut]
    part = array[np.ix_(*(np.concatenate(each) for each in chosen))] if array.ndim else array
    found = observed(part, tuple(tuple(len(each) for each in every) for every in chosen))
    dims = tuple((Axis(strata),) if sum(strata) != 1 else () for strata in cut)
    return Moments(dims, found.mean, found.pairs)


def _chosen(strata: tuple[int, ...], share: float) -> list[Any]:
    """Choose a share of the elements of every stratum, at least two where there are two."""
    bounds = Axis(strata).bounds
    counts = [min(size, max(2, math.ceil(size * share))) for size in strata]
    return [
        start + ((np.arange(count) + 0.5) * size / count).astype(int)
        for start, size, count in zip(bounds, strata, counts, strict=False)
    ]


def _strata(values: Any, dim: int) -> tuple[int, ...]:  # noqa: ANN401
    """Cut a dimension where the mean over all others changes, or in equal parts if it drifts all the time."""
    length = values.shape[dim]
    others = tuple(each for each in range(values.ndim) if each != dim)
    means = values.mean(axis=others, dtype=np.float64) if others else values.astype(np.float64)
    starts = np.flatnonzero(np.abs(np.diff(means)) > 1e-9 * np.max(np.abs(means), initial=0.0)) + 1
    if starts.size >= PARTS:
        parts = np.unique(np.linspace(0, length, PARTS + 1).astype(int)[1:-1])
        starts = parts if _drifts(means) else starts[:0]
    return tuple(int(size) for size in np.diff([0, *starts, length]))


def _drifts(means: Any) -> bool:  # noqa: ANN401
    """Say whether neighbouring means are more alike than any two of them."""
    return bool(np.mean(np.diff(means) ** 2) < np.var(means))  # it is twice the variance for means in no order

"""Units that are identical: equal incoming weights and equal gradients, so that training never tells them apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["identical_rows"]

PREFIX = 16
"""Columns compared first; rows that were drawn at random differ there already."""

TOLERANCE = 1e-5
"""Relative difference up to which two gradients that should be equal may differ by the order of their sums."""


def identical_rows(values: NDArray[Any], slopes: NDArray[Any], axis: int) -> tuple[tuple[int, ...], ...]:
    """Find the units of a weight that are equal and will stay equal.

    Parameters
    ----------
    values, slopes
        Weight and its gradient, of one shape.
    axis
        Axis of the output units.

    Returns
    -------
    tuple of tuple of int
        Groups of two or more units, each sorted.

    Examples
    --------
    >>> weight = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    >>> identical_rows(weight, np.ones((3, 2)), axis=0)
    ((0, 2),)
    >>> identical_rows(weight, np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), axis=0)
    ()
    """
    candidates = _candidates(np.moveaxis(values, axis, 0))
    groups = _equal(_rows(values, axis), candidates) if candidates.size else []
    if not groups:
        return ()
    gradient = _rows(slopes, axis)
    return tuple(part for group in groups for part in _close(gradient, group))


def _candidates(rows: NDArray[Any]) -> NDArray[np.intp]:
    """Rows whose first two elements, narrowed to float32, are those of another row; no other row is equal to any."""
    width = math.prod(rows.shape[1:])
    if width < 2:  # noqa: PLR2004  nothing to make a pair of
        return np.arange(len(rows) if width else 0)
    places: tuple[Any, ...] = (slice(None), *np.unravel_index([0, 1], rows.shape[1:]))
    with np.errstate(all="ignore"):
        first = rows[places].real.astype(np.float32, order="C") + np.float32(0)  # the sum has no -0.0
    keys = first.view(np.uint64)[:, 0]
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.flatnonzero(np.isin(keys, repeated)) if repeated.size else np.arange(0)


def _rows(values: NDArray[Any], axis: int) -> NDArray[Any]:
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _equal(rows: NDArray[Any], members: NDArray[np.intp]) -> list[tuple[int, ...]]:
    """Group equal rows: by their first columns, then, where those agree, by all."""
    prefix = _grouped(rows[members, :PREFIX], members)
    if rows.shape[1] <= PREFIX:
        return prefix
    return [part for group in prefix for part in _grouped(rows[list(group)], np.asarray(group))]


def _grouped(rows: NDArray[Any], members: NDArray[np.intp]) -> list[tuple[int, ...]]:
    _, inverse, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    order = np.argsort(inverse, kind="stable")
    ends = np.cumsum(counts)
    return [
        tuple(members[order[end - count : end]].tolist())
        for end, count in zip(ends.tolist(), counts.tolist(), strict=True)
        if count > 1
    ]


def _close(gradient: NDArray[Any], group: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Split a group of equal units by their gradients, equal up to rounding.

    Rows are sorted along a random direction, so that equal ones become neighbours: n log n instead of all pairs.
    """
    members = np.asarray(group)
    rows = gradient[members]
    direction = np.random.default_rng(0).standard_normal(rows.shape[1]).astype(rows.dtype)
    along = rows @ direction
    order = np.argsort(along, kind="stable")
    sizes = np.linalg.norm(rows, axis=1)[order] * float(np.linalg.norm(direction))
    breaks = np.flatnonzero(np.diff(along[order]) > TOLERANCE * sizes[1:]) + 1
    runs = [run for run in np.split(order, breaks) if len(run) > 1]
    parts = [run[_alike(rows[run])] for run in runs]
    return [tuple(sorted(members[part].tolist())) for part in parts if len(part) > 1]


def _alike(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Say of every row whether it equals the first one up to rounding."""
    largest = float(np.abs(rows[0]).max(initial=0.0))
    alike: NDArray[np.bool_] = np.abs(rows - rows[0]).max(axis=1, initial=0.0) <= TOLERANCE * largest
    return alike

"""Where the elements of a function of random sources lie: on a grid of the only source, or at draws of several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from justright.core.axes import Array, element_shares
from justright.core.moments import Moments, align
from justright.core.signals import Signal
from justright.core.sobol import sobol
from justright.core.sources import Source, cross

__all__ = ["FIRST", "MANY", "cells_of", "computing", "draws", "even_grid", "largest_of", "segments"]

MANY: Final = 10**6
"""Elements for which kurtosis and sensitivity are computed: five deviations to each side."""

GRID: Final = 193
"""Values of the only source at which a function is computed: steps of a sixteenth of its deviation at most."""

DRAWS: Final = 1024
"""Draws of several sources: shares are right to 1 %, moments come from the signal itself."""

MOST_CELLS: Final = 8
"""Cells of strata that are told apart; neighbours are alike, so that every n-th stands for the others."""

FIRST: Final = math.exp(-float(np.euler_gamma))
"""Expected number of elements beyond the expected largest of many, from Gumbel's law: its mean is Euler's constant."""


def segments(signal: Signal, sources: list[Source]) -> tuple[Array, Array, Array]:
    """Return shares, lower and upper magnitudes of segments."""
    points, weights = even_grid(signal.moments.size, _bends(signal)) if len(sources) == 1 else draws(len(sources))
    cells, computed = computing(signal, sources, points)
    values = computed()
    if len(sources) > 1:
        values = np.sort(values, axis=1)
    inner = np.nan_to_num(values)
    mass = cells[:, None] * (weights[:-1] + weights[1:]) / 2.0
    return _folded(inner[:, :-1], inner[:, 1:], mass)


def computing(signal: Signal, sources: list[Source], points: Array) -> tuple[Array, Callable[..., Array]]:
    """Return shares of cells, and what computes the signal at points of its sources, or at a multiple of each."""
    fixed = {source: np.asarray(source.moments.average_mean) for source in signal.sources if source.certain}
    cells, means, roots = _systems(signal, sources)
    steps = np.einsum("cij,nj->icn", roots, points)

    def computed(factors: Sequence[float] = ()) -> Array:
        scale = factors or (1.0,) * len(sources)
        values = {source: scale[at] * (means[at][:, None] + steps[at]) for at, source in enumerate(sources)}
        with np.errstate(all="ignore"):
            found = np.asarray(signal.values({**fixed, **values}), dtype=np.float64)
        return np.broadcast_to(found, steps.shape[1:])

    return cells, computed


def _folded(first: Array, last: Array, mass: Array) -> tuple[Array, Array, Array]:
    """Return segments of magnitudes; those through zero become two."""
    through = first * last < 0
    a, b = np.abs(first), np.abs(last)
    part = np.divide(a, a + b, out=np.ones_like(a), where=through)
    low = np.where(through, 0.0, np.minimum(a, b))
    shares = np.concatenate([(mass * np.where(through, part, 1.0)).ravel(), (mass * (1 - part))[through]])
    lows = np.concatenate([low.ravel(), np.zeros(int(through.sum()))])
    return shares, lows, np.concatenate([np.where(through, a, np.maximum(a, b)).ravel(), b[through]])


def largest_of(shares: Array, high: Array, count: int, *, grid: bool) -> float:
    """Return the expected largest magnitude of so many elements.

    Draws end where one in a thousand elements lies; beyond them the tail is continued like Weibull's,
    ``-ln P(> a) = (a / c)^k`` through its last two octaves.
    """
    order = np.argsort(-high)
    tail = np.cumsum(shares[order])
    wanted = min(FIRST / max(count, 1), 1.0)
    at = high[order]
    if grid or wanted >= 4.0 / DRAWS:
        return float(at[min(int(np.searchsorted(tail, wanted)), len(at) - 1)])
    places = (min(int(np.searchsorted(tail, level)), len(at) - 1) for level in (32.0 / DRAWS, 4.0 / DRAWS))
    near, far = (float(at[place]) for place in places)
    levels = math.log(DRAWS / 32.0), math.log(DRAWS / 4.0)
    if not 0 < near < far:
        return far
    power = max(math.log(levels[1] / levels[0]) / math.log(far / near), 0.5)  # no heavier than a square of a square
    return far * (-math.log(wanted) / levels[1]) ** (1.0 / power)


def cells_of(moments: Moments, *parts: Array) -> tuple[Array, list[Array]]:
    """Return the share of the elements in each cell of strata, and what is known of it; a few cells of many."""
    shares = element_shares(moments.axes)
    flat = np.concatenate([shares.reshape(1, -1), *(np.broadcast_to(each, shares.shape).reshape(1, -1)
                                                    for each in parts)])  # fmt: skip
    if flat.shape[1] > MOST_CELLS:
        order = np.argsort(flat[-1], kind="stable")
        groups = np.array_split(order, MOST_CELLS)
        weights = flat[0]
        flat = np.stack([
            np.concatenate(([weights[group].sum()], flat[1:, group] @ weights[group] / weights[group].sum()))
            for group in groups
        ], axis=1)  # fmt: skip
    return flat[0], list(flat[1:])


def _systems(signal: Signal, sources: list[Source]) -> tuple[Array, Array, Array]:
    """Return shares of cells, means by source and cell, and roots of the sources' covariance in each cell."""
    whole = signal.moments
    spread = [align(source.moments, whole)[0] for source in sources]
    for each in spread:
        whole, _ = align(whole, each)
    spread = [align(each, whole)[0] for each in spread]
    count = len(sources)
    parts = [each.mean for each in spread]
    parts += [_together(sources, spread, i, j, whole) for i in range(count) for j in range(count)]
    shares, flat = cells_of(whole, *parts)
    covariance = np.stack(flat[count:], axis=1).reshape(-1, count, count)
    values, vectors = np.linalg.eigh((covariance + covariance.transpose(0, 2, 1)) / 2.0)
    return shares, np.stack(flat[:count]), vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


def _together(sources: list[Source], spread: list[Moments], i: int, j: int, whole: Moments) -> Array:
    """Return the covariance of two sources at one element, in each cell."""
    if i == j:
        return spread[i].variance
    one, two = sources[i], sources[j]
    first, _ = align(one.moments, two.moments)
    pairs = align(first.with_values(first.mean, cross(one, two)), whole)[0].pairs
    return np.asarray(pairs[tuple(slice(0, axis.groups) for axis in whole.axes)]) - spread[i].mean * spread[j].mean


def _bends(signal: Signal) -> Array:
    """Return where, in deviations of the only source in each cell, a function of it is not smooth."""
    line = signal.arguments[0].line if signal.kinks else None
    if line is None or line[0] == 0:
        return np.zeros(0)
    factor, source, shift = line
    variance = source.moments.variance.ravel()
    moving = variance > 0
    places = (np.asarray(signal.kinks)[:, None] - shift) / factor - source.moments.mean.ravel()[moving]
    return np.asarray(places / np.sqrt(variance[moving])).ravel()[: len(signal.kinks) * MOST_CELLS]


def even_grid(count: int, bends: Array = np.zeros(0)) -> tuple[Array, Array]:  # noqa: B008  it is never written to
    """Return even values of a standard normal, out to beyond the largest of so many, and their shares.

    Each bend is a value too, so that no segment runs across it.
    """
    end = -float(ndtri(min(FIRST / max(count, 1), 0.1) / 4.0))
    points = np.union1d(np.linspace(-end, end, GRID), bends[np.abs(bends) < end])
    edges = ndtr(np.append(np.append(-np.inf, (points[1:] + points[:-1]) / 2.0), np.inf))
    return points[:, None], np.diff(edges)


_DRAWN: dict[int, Array] = {}


def draws(count: int) -> tuple[Array, Array]:
    """Return draws of so many standard normals, each of mean zero and variance one, and their shares."""
    if count not in _DRAWN:
        points = ndtri(np.clip(sobol(count, DRAWS), 1e-9, 1 - 1e-9))
        _DRAWN[count] = (points - points.mean(axis=0)) / points.std(axis=0)
    return _DRAWN[count], np.full(DRAWS, 1.0 / DRAWS)

"""The values of a function of Gaussian sources: over an even grid of the only one, or over draws of several."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from justright.core.axes import Array, element_shares
from justright.core.moments import Moments, align
from justright.core.signals import Signal
from justright.core.sobol import sobol
from justright.core.sources import Source, cross

__all__ = ["DRAWS", "FIRST", "cells_of", "computing", "draws", "grid", "segments"]

GRID: Final = 193
"""Values of the only source at which a function is computed: steps of a sixteenth of its deviation at most."""

DRAWS: Final = 1024
"""Draws of several sources: shares are right to 1 %, moments come from the signal itself."""

MOST_CELLS: Final = 8
"""Cells of strata that are told apart; neighbours are alike, so that every n-th stands for the others."""

FIRST: Final = math.exp(-float(np.euler_gamma))
"""Expected number of elements beyond the expected largest of many, from Gumbel's law: its mean is Euler's constant."""


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


def segments(signal: Signal, sources: list[Source]) -> tuple[Array, Array, Array]:
    """Return shares, lower and upper magnitudes of segments."""
    points, weights = grid(signal.moments.size, _bends(signal)) if len(sources) == 1 else draws(len(sources))
    cells, computed = computing(signal, sources, points)
    values = computed(1.0)
    if len(sources) > 1:
        values = np.sort(values, axis=1)
    inner = np.nan_to_num(values)
    mass = cells[:, None] * (weights[:-1] + weights[1:]) / 2.0
    return _folded(inner[:, :-1], inner[:, 1:], mass)


def computing(signal: Signal, sources: list[Source], points: Array) -> tuple[Array, Callable[[float], Array]]:
    """Return shares of cells, and what computes the signal where its sources are at points, and at multiples."""
    fixed = {source: np.asarray(source.moments.average_mean) for source in signal.sources if source.certain}
    cells, means, roots = _systems(signal, sources)
    steps = np.einsum("cij,nj->icn", roots, points)

    def computed(factor: float) -> Array:
        values = {source: means[at][:, None] + factor * steps[at] for at, source in enumerate(sources)}
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


def grid(count: int, bends: Array = np.zeros(0)) -> tuple[Array, Array]:  # noqa: B008  it is never written to
    """Return even values of a standard normal, out to beyond the largest of so many, and their shares.

    Each bend is a value too, so that no segment runs across it.
    """
    end = -float(ndtri(min(FIRST / max(count, 1), 0.1) / 4.0))
    points = np.union1d(np.linspace(-end, end, GRID), bends[np.abs(bends) < end])
    edges = ndtr(np.append(np.append(-np.inf, (points[1:] + points[:-1]) / 2.0), np.inf))
    return points[:, None], np.diff(edges)


_DRAWN: dict[int, Array] = {}


def draws(count: int) -> tuple[Array, Array]:
    """Return draws of so many standard normal numbers, and the share of each draw."""
    if count not in _DRAWN:
        points = ndtri(np.clip(sobol(count, DRAWS), 1e-9, 1 - 1e-9))
        _DRAWN[count] = (points - points.mean(axis=0)) / points.std(axis=0)
    return _DRAWN[count], np.full(DRAWS, 1.0 / DRAWS)

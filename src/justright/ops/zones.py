"""Where a nonlinearity is flat, and where it is off.

A sigmoid's unit far from zero passes no gradient; a rectifier's unit below zero passes neither gradient nor signal.
The intervals are found from the function and its derivative alone, so that a new activation has them at once, and so
has one that a model writes out of smaller operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.zones import Zones
from justright.ops.base import Array
from justright.ops.search import CORE, SPAN, changes, grid

__all__ = ["zones"]

BOUNDED: Final = 2.0
"""A slope that grows by more than this factor from `CORE` to `SPAN` counts as unbounded."""

VANISHING: Final = 1e-3
"""A tail whose slope at `SPAN` is above this part of the largest one does not level off: it is a leak."""

MOST: Final = 8
"""More stretches of small slope than this are the crests of a wave."""

PROBE: Final = 1e-9
"""A slope that grows further from the grid to this distance of a kink has a pole there, such as a square root's."""

SNAP: Final = 1e-9
"""Ends this near to a kink, relative to its size, are the kink."""

Function = Callable[[Array], Array]
Labels = Callable[[Array], NDArray[np.bool_]]
Interval = tuple[float, float]


def zones(function: Function, derivative: Function, kinks: Iterable[float], threshold: float = 0.05) -> Zones:
    """Return the intervals of the input on which a nonlinearity is flat, and those on which it is off.

    The slope is negligible where it is at most `threshold` times the largest one. A stretch of negligible slope is
    flat if it reaches an infinity and the slope vanishes there, or if the slope is exactly zero on it. So GELU is not
    flat around its minimum, and a leaky rectifier, which passes gradient everywhere, is not flat at all. A function
    whose slope is unbounded has no scale to compare with: it keeps only the tails that are exactly flat up to a kink,
    as a squared rectifier does and the exponential does not. A function without slope (rounding) or with more than
    eight stretches of small slope (the sine) has no zones.

    The flat part is off where the function is exactly zero throughout, or, if the function is flat towards one
    infinity only, where ``|f(x)| <= threshold * max|f'| * |x|``.

    Parameters
    ----------
    function, derivative
        The nonlinearity and its derivative, elementwise on a float64 array.
    kinks
        Inputs at which they are not smooth; ends of intervals fall exactly on them.
    threshold
        Largest slope, relative to the largest of all, that counts as negligible.

    Returns
    -------
    Zones
        Closed intervals, ascending and disjoint. Inputs beyond 1000 in size are taken to go on as they are there.

    Examples
    --------
    >>> from justright.ops.base import OPERATORS
    >>> entry = OPERATORS["relu6"]
    >>> zones(lambda x: entry.phi(input=x), lambda x: entry.partials["input"](input=x), entry.kinks())
    Zones(flat=((-inf, 0.0), (6.0, inf)), off=((-inf, 0.0),))
    """
    bends = tuple(float(kink) for kink in kinks if abs(kink) <= SPAN)
    slope = _Slope(function, derivative)
    points = grid(bends)
    typical, peak = _steepest(slope, points, np.array(bends))
    if peak == 0 or not np.isfinite(peak):
        return Zones((), ())
    exact, small = _intervals(lambda x: _at_most(np.abs(slope(x)), (0.0, threshold * peak)), points, bends)
    exact = [each for each in exact if _wide(each, points)]
    if peak > BOUNDED * typical:
        flat = [(low, high) for low, high in exact if _one_tail(low, high) and (low in bends or high in bends)]
    else:
        tails = [each for each in small if len(small) <= MOST and _levels_off(each, slope, peak)]
        inner = [each for each in exact if len(small) <= MOST and not any(_within(each, tail) for tail in tails)]
        flat = sorted(tails + inner)
    return Zones(tuple(flat), tuple(_off(function, flat, points, bends, threshold * peak)))


def _steepest(slope: Function, points: Array, bends: Array) -> tuple[float, float]:
    """Return the largest slope in the core apart from kinks, and the largest anywhere, also close to a kink."""
    reach = PROBE * np.maximum(1.0, np.abs(bends))
    everywhere = np.abs(slope(np.concatenate([points, bends - reach, bends + reach])))
    apart = np.all(np.abs(points[:, None] - bends) > 100 * PROBE, axis=1)
    core = apart & (np.abs(points) <= CORE)
    return float(np.max(everywhere[: points.size][core])), float(np.max(everywhere))


@dataclass(frozen=True)
class _Slope:
    """The derivative, or a central difference where it is NaN, as when a chain multiplies an overflow by zero."""

    function: Function
    derivative: Function

    def __call__(self, x: Array) -> Array:
        slope = np.broadcast_to(self.derivative(x), x.shape)
        lost = np.isnan(slope)
        if not lost.any():
            return slope
        step = np.finfo(np.float64).eps ** (1 / 3) * np.maximum(1.0, np.abs(x[lost]))  # optimal for central ones
        slope = slope.copy()
        with np.errstate(invalid="ignore", over="ignore"):
            rise = self.function(x[lost] + step) - self.function(x[lost] - step)
            slope[lost] = rise / (2.0 * step)
        return slope


def _at_most(values: Array, bounds: tuple[float, ...]) -> NDArray[np.bool_]:
    """Compare with several bounds, a row each."""
    return np.stack([values <= bound for bound in bounds])


def _intervals(labels: Labels, points: Array, snaps: tuple[float, ...]) -> list[list[Interval]]:
    """Return for every label the maximal intervals on which it holds; at the ends of the grid they go on for ever."""
    below, above, rows = changes(labels, points)
    first = labels(points[:1])[:, 0]
    return [_pairs(below[rows == row], above[rows == row], bool(holds), snaps) for row, holds in enumerate(first)]


def _pairs(below: Array, above: Array, holds: bool, snaps: tuple[float, ...]) -> list[Interval]:
    """Pair the changes of one label, which holds at the left end or not; an end is the last point on which it does."""
    sides = [(low, high) if holds else (high, low) for low, high in zip(below, above, strict=True)]
    ends = [_snap(float(side[index % 2]), snaps) for index, side in enumerate(sides)]
    ends = [-np.inf, *ends] if holds else ends
    ends = [*ends, np.inf] if len(ends) % 2 else ends
    return list(zip(ends[::2], ends[1::2], strict=True))


def _snap(end: float, points: tuple[float, ...]) -> float:
    """Move an end onto the point that it was meant to be."""
    near = (point for point in points if abs(end - point) <= SNAP * max(abs(point), SNAP))
    return next(near, end)


def _wide(interval: Interval, points: Array) -> bool:
    """Say whether an interval is longer than a cell of the grid, not a place where the slope passes through zero."""
    low, high = interval
    return bool(np.count_nonzero((points >= low) & (points <= high)) > 1)


def _one_tail(low: float, high: float) -> bool:
    return bool(np.isinf(low)) != bool(np.isinf(high))


def _within(inner: Interval, outer: Interval) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _levels_off(interval: Interval, slope: Function, peak: float) -> bool:
    """Say whether an interval reaches an infinity at which the slope vanishes."""
    ends = np.array([sign * SPAN for sign, end in zip((-1, 1), interval, strict=True) if np.isinf(end)])
    return bool(ends.size and np.all(np.abs(slope(ends)) <= VANISHING * peak))


def _off(
    function: Function, flat: list[Interval], points: Array, snaps: tuple[float, ...], rate: float
) -> list[Interval]:
    """Return the parts of the flat intervals on which the unit contributes nothing."""
    one_sided = sum(bool(np.isinf(end)) for interval in flat for end in interval) == 1
    off: list[Interval] = []
    for low, high in flat:
        inside = points[(points >= low) & (points <= high)]
        if not np.any(function(inside)):
            off.append((low, high))
        elif one_sided and _one_tail(low, high):
            off += _faint(function, (low, high), inside, snaps, rate)
    return off


def _faint(function: Function, tail: Interval, inside: Array, snaps: tuple[float, ...], rate: float) -> list[Interval]:
    """Return the parts of a tail on which the function is small beside its input."""
    finite = [end for end in tail if np.isfinite(end)]
    points = np.unique(np.concatenate([inside, finite]))
    (parts,) = _intervals(lambda x: (np.abs(function(x)) <= rate * np.abs(x))[None, :], points, (*snaps, *finite))
    return [(max(low, tail[0]), min(high, tail[1])) for low, high in parts]

"""From the moments of a tensor to the statistics of its elements: largest magnitude, zeros, histogram of exponents.

Elements of a source are Gaussian in each cell of strata. A function of sources is followed through them: over an even
grid of the only source, or over quasi-random draws of several. Either way its distribution is a row of segments, each
with a share of the elements spread evenly from one value to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from justright.core.axes import Array
from justright.core.moments import Moments
from justright.core.profile import TensorStatistics
from justright.core.signals import Signal
from justright.core.sources import Source
from justright.propagation.densities import DRAWS, FIRST, cells_of, computing, draws, grid, segments

__all__ = ["Marginals", "Shape"]

FINE: Final = 128
"""Parts of an octave to which deviations are told apart for histograms: half a per cent."""

COARSE: Final = 8
"""The same for kurtosis and sensitivity, of which intervals take the root."""

MANY: Final = 10**6
"""Elements for which kurtosis and sensitivity are computed: five deviations to each side."""

LOWEST, HIGHEST = -149, 127
"""Binary exponents of a histogram, those of float32."""

NUDGE: Final = 1.05
"""Factor on all sources by which it is seen how a second moment follows theirs: the difference of a few per cent."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the elements of a tensor are distributed, whatever their scale.

    Parameters
    ----------
    kurtosis
        E[x⁴] / E[x²]².
    sensitivity
        How much ln E[x²] grows for each unit by which the logarithm of the variance of its sources grows; 1 for a
        source of mean zero.
    """

    kurtosis: float = 3.0
    sensitivity: float = 1.0


class Marginals:
    """Makes statistics of signals and of gradients; alike ones once.

    Histograms of tensors whose deviations differ by less than half a per cent are the same to that precision; their
    mean, RMS and standard deviation are always their own.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, TensorStatistics] = {}
        self._shapes: dict[Hashable, Shape] = {}

    def shape(self, signal: Signal) -> Shape:
        """Return how the elements of a signal are distributed."""
        sources = [source for source in signal.sources if not source.certain]
        if signal.line is not None or not sources:
            return _shape_of_cells(signal.moments)
        key = _key(signal, COARSE)
        if key not in self._shapes:
            self._shapes[key] = _shape_of_function(signal, sources)
        return self._shapes[key]

    def of_signal(self, signal: Signal) -> TensorStatistics:
        """Return the statistics of a signal."""
        sources = [source for source in signal.sources if not source.certain]
        if signal.line is not None or not sources:
            return self.of_gaussian(signal.moments)
        return self._own(_key(signal, FINE), signal.moments, lambda: _of_function(signal, sources))

    def of_gaussian(self, moments: Moments) -> TensorStatistics:
        """Return the statistics of a tensor whose elements are Gaussian in each cell of strata."""
        mean, variance = moments.mean, moments.variance
        if mean.size > 1 or not variance.ravel()[0] > 0:
            key = (moments.size, *_rounded(mean, variance, FINE))
            return self._own(key, moments, lambda: _of_cells(moments))
        octave = math.frexp(math.sqrt(float(variance.ravel()[0])))[1]
        unit = moments.scaled(math.ldexp(1.0, -octave))
        key = (moments.size, *_rounded(unit.mean, unit.variance, FINE))
        return _shifted(self._own(key, unit, lambda: _of_cells(unit)), octave, moments)

    def _own(self, key: Hashable, moments: Moments, make: Callable[[], TensorStatistics]) -> TensorStatistics:
        if key not in self._kept:
            self._kept[key] = make()
        return replace(self._kept[key], **_numbers(moments))


def _key(signal: Signal, steps: int) -> Hashable:
    """Say what function of which sources a signal is, up to a step of their size."""
    order = {source: position for position, source in enumerate(signal.sources)}
    parts = [part for each in signal.sources for part in _rounded(each.moments.mean, each.moments.variance, steps)]
    return signal.signature(order), signal.moments.shape, *parts


def _rounded(mean: Array, variance: Array, steps: int) -> tuple[bytes, bytes]:
    """Round deviations to parts of an octave, and means to parts of the deviation, as a key."""
    with np.errstate(divide="ignore"):
        log = np.where(variance > 0, np.rint(steps / 2 * np.log2(variance)), -np.inf)
    step = np.where(variance > 0, np.sqrt(variance) / steps, np.abs(mean))
    return log.tobytes(), np.divide(mean, step, out=np.zeros(mean.shape), where=step > 0).round().tobytes() + (
        b"" if np.all(variance > 0) else mean.tobytes()
    )


def _numbers(moments: Moments) -> dict[str, Any]:
    mean, second = moments.average_mean, max(moments.second_moment, 0.0)
    return {"mean": mean, "rms": math.sqrt(second), "std": math.sqrt(max(second - mean * mean, 0.0))}


def _shifted(unit: TensorStatistics, octave: int, moments: Moments) -> TensorStatistics:
    """Multiply by a power of two."""
    moved = [(min(max(exponent + octave, LOWEST), HIGHEST), count) for exponent, count in unit.histogram]
    counts: dict[int, int] = {}
    for exponent, count in moved:
        counts[exponent] = counts.get(exponent, 0) + count
    ends = {name: math.ldexp(getattr(unit, name), octave) for name in ("absmax", "min_nonzero")}
    numbers: dict[str, Any] = {**_numbers(moments), **ends}
    return replace(unit, **numbers, histogram=tuple(sorted(counts.items())))


def _shape_of_cells(moments: Moments) -> Shape:
    mean, variance = moments.mean, moments.variance
    second = moments.second_moment
    if not second > 0:
        return Shape()
    mean2, variance = mean**2 / second, variance / second  # before they are squared: small squares may be zero
    fourth = moments.average(mean2**2 + 6 * mean2 * variance + 3 * variance**2)  # of a Gaussian
    return Shape(fourth, moments.average(variance))


def _of_cells(moments: Moments) -> TensorStatistics:
    shares, (means, deviations) = cells_of(moments, moments.mean, np.sqrt(moments.variance))
    count = moments.size
    largest = max(map(_largest, means, deviations, shares * count), default=0.0)

    def below(edges: Array) -> Array:
        edges = edges[:, None]
        spread = np.where(deviations > 0, deviations, 1.0)
        inside = ndtr((edges - means) / spread) - ndtr((-edges - means) / spread)
        return np.asarray(np.where(deviations > 0, inside, np.abs(means) < edges) @ shares - zeros)

    zeros = float(shares[(deviations == 0) & (means == 0)].sum())
    return _statistics(moments, largest, zeros, below)


def _largest(mean: float, deviation: float, count: float) -> float:
    """Return the expected largest magnitude of so many Gaussian elements."""
    if deviation == 0 or count <= 1:
        return abs(mean) + (deviation * math.sqrt(2 / math.pi) if count > 0 else 0.0)  # of one: E|z|
    tail = min(FIRST / count, 0.5)
    near = -float(ndtri(tail))
    far = math.exp(-2 * abs(mean) / deviation * max(near, 0.0))  # the other side's density there, over this one's
    return abs(mean) - deviation * float(ndtri(tail / (1 + far)))


def _statistics(moments: Moments, largest: float, zeros: float, below: Callable[[Array], Array]) -> TensorStatistics:
    """Make statistics, given which share of the elements that are not zero lies below magnitudes."""
    count, own = moments.size, _numbers(moments)
    if not largest > 0 or not math.isfinite(largest):
        missing = zeros if largest == 0 else 0.0
        return TensorStatistics(count, **own, absmax=largest, min_nonzero=math.nan, zeros=missing)
    top = min(max(math.frexp(largest)[1] - 1, LOWEST), HIGHEST)
    exponents = np.arange(max(LOWEST, top - 63), top + 1)
    with np.errstate(all="ignore"):
        inner = below(np.ldexp(1.0, exponents))
    shares = np.diff(np.append(inner, 1.0 - zeros))
    counts = np.maximum(np.rint(shares * count), 0.0).astype(np.int64)
    counts[-1] = max(counts[-1], 1)
    histogram = tuple((int(e), int(n)) for e, n in zip(exponents, counts, strict=True) if n)
    ends: dict[str, Any] = {"absmax": largest, "min_nonzero": _least(histogram, largest)}
    return TensorStatistics(count, **own, **ends, zeros=zeros, histogram=histogram)


def _least(histogram: tuple[tuple[int, int], ...], largest: float) -> float:
    """Return the expected smallest magnitude: elements of the last bin that holds any are spread evenly over it."""
    exponent, count = histogram[0]
    low = math.ldexp(1.0, exponent)
    high = min(2 * low, largest)
    return min(low + (high - low) / (count + 1), largest)


# --- functions of sources ---------------------------------------------------------------------------------------------


def _of_function(signal: Signal, sources: list[Source]) -> TensorStatistics:
    shares, low, high = segments(signal, sources)
    whole = shares.sum()
    shares = shares / whole if whole > 0 else shares
    moments = signal.moments
    zero = (low == 0) & (high == 0)
    zeros = float(shares[zero].sum())
    moving = ~zero
    shares, low, high = shares[moving], low[moving], high[moving]

    def below(edges: Array) -> Array:
        width = np.where(high > low, high - low, 1e-300)
        inside = np.clip((edges[:, None] - low) / width, 0.0, 1.0)
        return np.asarray(inside @ shares)

    largest = _far(shares, high, moments.size, even=len(sources) == 1) if shares.size else 0.0
    return _statistics(moments, largest, zeros, below)


def _shape_of_function(signal: Signal, sources: list[Source]) -> Shape:
    points, weights = grid(MANY) if len(sources) == 1 else draws(len(sources))
    cells, computed = computing(signal, sources, points)
    values, nudged, weights = computed(1.0), computed(NUDGE), cells[:, None] * weights
    good = np.isfinite(values) & np.isfinite(nudged)
    weights = np.where(good, weights, 0.0)
    square, other = (np.where(good, each, 0.0) ** 2 for each in (values, nudged))
    second, grown = (weights * square).sum(), (weights * other).sum()
    if not second > 0 or not grown > 0:
        return Shape()
    kurtosis = (weights * (square / second) ** 2).sum() * weights.sum()
    return Shape(float(kurtosis), max(float(np.log(grown / second) / (2 * math.log(NUDGE))), 0.0))


def _far(shares: Array, high: Array, count: int, *, even: bool) -> float:
    """Return the expected largest magnitude of so many elements.

    Draws end where one in a thousand elements lies; beyond them the tail is continued like Weibull's,
    ``-ln P(> a) = (a / c)^k`` through its last two octaves.
    """
    order = np.argsort(-high)
    tail = np.cumsum(shares[order])
    wanted = min(FIRST / max(count, 1), 1.0)
    at = high[order]
    if even or wanted >= 4.0 / DRAWS:
        return float(at[min(int(np.searchsorted(tail, wanted)), len(at) - 1)])
    places = (min(int(np.searchsorted(tail, level)), len(at) - 1) for level in (32.0 / DRAWS, 4.0 / DRAWS))
    near, far = (float(at[place]) for place in places)
    levels = math.log(DRAWS / 32.0), math.log(DRAWS / 4.0)
    if not 0 < near < far:
        return far
    power = max(math.log(levels[1] / levels[0]) / math.log(far / near), 0.5)  # no heavier than a square of a square
    return far * (-math.log(wanted) / levels[1]) ** (1.0 / power)

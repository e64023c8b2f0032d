"""Which of three distributions independent numbers have: uniform, normal, or normal with its tails cut off.

All three are fitted by maximum likelihood from moments and extremes, which are exact however large a tensor is; the
goodness of the fit is the Kolmogorov-Smirnov test of a sample, with the parameters estimated in a way that leaves its
p-value valid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import kolmogorov, ndtr

__all__ = ["Fit", "Summary", "fit", "p_value"]

Array = NDArray[np.float64]

BLOCK: Final = 1 << 16  # elements: half a megabyte of float64, which a cache holds
EVIDENCE: Final = 3.0  # nats: the likelihood of one distribution is exp(3) = 20 times that of the other
OVER_UNIFORM: Final = 7.0  # nats: two parameters more gain Gamma(1) of a uniform, above 7 with probability 1e-3
OVER_NORMAL: Final = 12.0  # nats: extremes as bounds gain Gamma(2) of a normal, above 12 with probability 1e-4
NARROWEST: Final = 0.05  # a normal cut at 0.05 sigmas is uniform to one part in 800
WIDEST: Final = 6.5  # sigmas: float32 draws of a normal end there, one element in twelve thousand million is beyond


@dataclass(frozen=True, slots=True)
class Summary:
    """What of many numbers decides between the distributions.

    Parameters
    ----------
    size
        How many there are.
    mean, std, kurtosis
        Mean, standard deviation, and fourth central moment over the squared variance, less 3.
    low, high
        Smallest and largest number.
    """

    size: int
    mean: float
    std: float
    kurtosis: float
    low: float
    high: float

    @classmethod
    def of(cls, x: NDArray[Any]) -> Summary:
        """Return the summary of finite numbers ``[n]``, one or more; computed in float64, block by block."""
        low, high = float(x.min()), float(x.max())
        largest = max(abs(low), abs(high)) or 1.0  # so that tiny and huge numbers have squares
        blocks = [slice(start, start + BLOCK) for start in range(0, x.size, BLOCK)]
        mean = math.fsum(float(np.sum(x[block].astype(np.float64) / largest)) for block in blocks) / x.size
        second = fourth = 0.0
        for block in blocks:
            squares = np.square(x[block].astype(np.float64) / largest - mean)
            second, fourth = second + float(np.sum(squares)), fourth + float(squares @ squares)
        kurtosis = x.size * fourth / second**2 - 3.0 if second else 0.0
        return cls(x.size, largest * mean, largest * math.sqrt(second / x.size), kurtosis, low, high)

    @property
    def half(self) -> float:
        """Half of the distance between the extremes."""
        return 0.5 * self.high - 0.5 * self.low

    @property
    def middle(self) -> float:
        """Point between the extremes."""
        return 0.5 * self.high + 0.5 * self.low


@dataclass(frozen=True, slots=True)
class Fit:
    """A distribution with its parameters.

    Parameters
    ----------
    family
        ``"uniform"``, ``"normal"`` or ``"truncated_normal"``.
    centre
        Mean of a normal, before truncation; middle of a uniform.
    scale
        Standard deviation of the normal before truncation; that of the uniform.
    half
        Half of the width between the bounds; infinite for a normal.
    """

    family: str
    centre: float
    scale: float
    half: float = math.inf

    @property
    def truncation(self) -> float:
        """Where the normal is cut, in its own standard deviations."""
        return self.half / self.scale


def fit(summary: Summary) -> tuple[Fit, ...]:
    """Return the distribution that the numbers look like; two where they are too few to tell.

    A truncated normal is preferred to the other two, which are its limits, only where the numbers prove it.

    Parameters
    ----------
    summary
        Of numbers that are not all equal.

    Returns
    -------
    tuple
        The likelier distribution first.
    """
    normal = Fit("normal", summary.mean, summary.std)
    uniform = _uniform(summary)
    truncated = _truncated(summary)
    n = summary.size
    of_normal = -n * (math.log(summary.std) + 0.5 * math.log(2.0 * math.pi * math.e))
    of_uniform = -n * math.log(2.0 * uniform.half)
    if truncated is not None:
        of_truncated = _likelihood(truncated, summary)
        over_uniform = of_truncated + n * math.log(2.0 * summary.half)
        if over_uniform > OVER_UNIFORM and of_truncated - of_normal > OVER_NORMAL:
            return (_widened(truncated, n),)
    best, other = (normal, uniform) if of_normal > of_uniform else (uniform, normal)
    return (best,) if abs(of_normal - of_uniform) > EVIDENCE else (best, other)


def p_value(found: Fit, x: Array, summary: Summary) -> float:
    """Return how probable a Kolmogorov-Smirnov distance as large as this one is if the distribution is right.

    Given the extremes of a sample, its other elements are independent on the interval between them: that makes the
    test of a uniform exact with estimated bounds. The mean and the standard deviation of a normal, truncated or not,
    are estimated from every other element and tested on all: then the distance has the distribution that it has for
    known parameters, in large samples [DAgostino1986, section 4.17].

    Parameters
    ----------
    found
        The distribution.
    x
        Elements ``[n]``, more than three, in an order that says nothing of their sizes.
    summary
        Of all elements that x is a part of.
    """
    low, high = min(summary.low, float(x.min())), max(summary.high, float(x.max()))
    inner = x[(x > low) & (x < high)] if found.family != "normal" else x
    if inner.size < 4:  # noqa: PLR2004  fewer have no distribution
        return math.nan
    half = Summary.of(inner[::2])
    if found.family == "uniform":
        cdf = (np.sort(inner) - low) / (high - low)
    elif found.family == "normal":
        cdf = ndtr((np.sort(inner) - half.mean) / half.std)
    else:
        cdf = _cut(np.sort(inner), half, low, high)
    return _kolmogorov(cdf)


def _kolmogorov(cdf: Array) -> float:
    n = cdf.size
    steps = np.arange(n + 1) / n
    distance = max(float(np.max(steps[1:] - cdf)), float(np.max(cdf - steps[:-1])))
    root = math.sqrt(n)
    return float(kolmogorov((root + 0.12 + 0.11 / root) * distance))  # [DAgostino1986], table 4.2: for finite n


def _uniform(summary: Summary) -> Fit:
    n = summary.size
    half = summary.half * (n + 1) / max(n - 1, 1)  # the expected range of n draws is (n - 1)/(n + 1) of the width
    return Fit("uniform", summary.middle, half / math.sqrt(3.0), half)


def _truncated(summary: Summary) -> Fit | None:
    """Return the normal with the variance between the extremes, if there is one."""
    share = (summary.std / summary.half) ** 2
    if not _share(WIDEST) < share < _share(NARROWEST):
        return None
    scale = summary.half / float(brentq(lambda c: _share(c) - share, NARROWEST, WIDEST))
    slope = (summary.std / scale) ** 2  # of the mean after truncation by the mean before
    return Fit("truncated_normal", summary.middle + (summary.mean - summary.middle) / slope, scale, summary.half)


def _share(c: float) -> float:
    """Return the variance of a normal cut at c sigmas over the squared bound: [Johnson1994], section 13.10.1."""
    density = math.exp(-0.5 * c * c) / math.sqrt(2.0 * math.pi)
    return (1.0 - 2.0 * c * density / float(ndtr(c) - ndtr(-c))) / c**2


def _likelihood(found: Fit, summary: Summary) -> float:
    low, high = ((edge - found.centre) / found.scale for edge in (summary.low, summary.high))
    mass = float(ndtr(high) - ndtr(low))
    square = (summary.std**2 + (summary.mean - found.centre) ** 2) / found.scale**2
    return -summary.size * (math.log(found.scale * mass * math.sqrt(2.0 * math.pi)) + 0.5 * square)


def _widened(found: Fit, n: int) -> Fit:
    """Return the distribution with its bounds moved out: on average, the extremes of n draws lie so far inside."""
    c = found.truncation
    density = math.exp(-0.5 * c * c) / math.sqrt(2.0 * math.pi) / float(ndtr(c) - ndtr(-c)) / found.scale
    return Fit(found.family, found.centre, found.scale, found.half + 1.0 / (n * density))


def _cut(ordered: Array, half: Summary, low: float, high: float) -> Array:
    between = Summary(half.size, half.mean, half.std, half.kurtosis, low, high)
    found = _truncated(between)
    if found is None:
        return (ordered - low) / (high - low)
    a, b = (low - found.centre) / found.scale, (high - found.centre) / found.scale
    return np.asarray((ndtr((ordered - found.centre) / found.scale) - ndtr(a)) / (ndtr(b) - ndtr(a)))

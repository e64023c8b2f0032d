"""Floating-point formats: which elements of a tensor would overflow, lose digits or vanish if it were stored in one.

Everything is read from a tensor's histogram of binary exponents, so that one run in float32 answers for every format.
Within the first and the last bin, whose elements reach from the smallest to the largest magnitude, and within the bin
that an edge of the format cuts, elements are taken to be spread evenly over the logarithm of their magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from justright.core.profile import TensorStatistics

__all__ = [
    "FORMATS",
    "LOST",
    "FloatFormat",
    "LossScaleWindow",
    "headroom",
    "loss_scale_window",
    "share_over",
    "share_subnormal",
    "share_under",
]

LOST: Final = 0.01
"""Share of a gradient's elements that may vanish: the smallest 1 % hold at most 1 % of its square, so that losing them
turns it by at most asin(sqrt(0.01)) = 6 degrees."""

NOISE: Final = 2.0**-24
"""Half a unit in the last place of float32, relative to the largest magnitude: what rounding leaves of a zero."""


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point format with gradual underflow, rounding to the nearest and ties to even.

    Parameters
    ----------
    name
        Name of the dtype, ``"float16"``.
    exponent_bits, mantissa_bits
        Bits of the exponent, and of the mantissa without the leading one.
    largest
        Largest finite magnitude.
    smallest_normal, smallest_subnormal
        Smallest magnitude with all digits, and smallest above zero.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int
    largest: float
    smallest_normal: float
    smallest_subnormal: float

    @property
    def overflow(self) -> float:
        """Magnitude from which on rounding gives no finite number: half a step above the largest."""
        return self.largest + math.ldexp(1.0, math.frexp(self.largest)[1] - 2 - self.mantissa_bits)

    @property
    def underflow(self) -> float:
        """Magnitude up to which rounding gives zero: half of the smallest number, the tie included."""
        return self.smallest_subnormal / 2

    @property
    def subnormal(self) -> float:
        """Magnitude up to which rounding gives a subnormal number or zero."""
        return self.smallest_normal - self.smallest_subnormal / 2


def _format(name: str, exponent_bits: int, mantissa_bits: int) -> FloatFormat:
    """Make a format of IEEE 754-2019, section 3.3: the largest exponent is kept for infinities and NaN."""
    bias = 2 ** (exponent_bits - 1) - 1
    largest = (2 - 2.0**-mantissa_bits) * 2.0**bias
    return FloatFormat(
        name, exponent_bits, mantissa_bits, largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias - mantissa_bits)
    )


FORMATS: Final[Mapping[str, FloatFormat]] = MappingProxyType(
    {
        each.name: each
        for each in (
            _format("float32", 8, 23),  # IEEE 754-2019, binary32
            _format("float16", 5, 10),  # IEEE 754-2019, binary16
            _format("bfloat16", 8, 7),  # the upper half of binary32: arXiv 1905.12322
            FloatFormat("float8_e4m3fn", 4, 3, 448.0, 2.0**-6, 2.0**-9),  # no infinities: arXiv 2209.05433, table 1
            _format("float8_e5m2", 5, 2),  # arXiv 2209.05433, table 1
        )
    }
)
"""Formats by the name of their dtype, the widest first."""


def share_over(statistics: TensorStatistics, format: FloatFormat, scale: float = 1.0) -> float:
    """Return the share of all elements that would overflow, those already infinite included.

    Parameters
    ----------
    statistics
        Of the tensor, in a wider format.
    format
        The format it would be stored in.
    scale
        Factor on every element before that.

    Returns
    -------
    float
        From 0 to 1; ``nan`` where the histogram is missing.

    Examples
    --------
    >>> wide = TensorStatistics(4, 0, 1, 1, 2.0**17, 1.0, 0, histogram=((0, 3), (17, 1)))
    >>> share_over(wide, FORMATS["float16"]), share_over(wide, FORMATS["bfloat16"])
    (0.25, 0.0)
    """
    infinite = statistics.positive_inf + statistics.negative_inf
    over = sum(count for _, count in statistics.histogram) - _below(statistics, format.overflow / scale, closed=False)
    return _share(statistics, infinite + over, statistics.count)


def share_under(statistics: TensorStatistics, format: FloatFormat, scale: float = 1.0) -> float:
    """Return the share of the elements that are not zero which would round to zero.

    Parameters
    ----------
    statistics
        Of the tensor, in a wider format.
    format
        The format it would be stored in.
    scale
        Factor on every element before that.

    Returns
    -------
    float
        From 0 to 1; ``nan`` where the histogram is missing.

    Examples
    --------
    >>> small = TensorStatistics(4, 0, 1, 1, 1.0, 2.0**-30, 0, histogram=((-30, 1), (0, 3)))
    >>> share_under(small, FORMATS["float16"]), share_under(small, FORMATS["float16"], scale=2.0**10)
    (0.25, 0.0)
    """
    return _share(statistics, _below(statistics, format.underflow / scale), _nonzero(statistics))


def share_subnormal(statistics: TensorStatistics, format: FloatFormat, scale: float = 1.0) -> float:
    """Return the share of the elements that are not zero which would be subnormal: kept, but with fewer digits.

    Parameters
    ----------
    statistics
        Of the tensor, in a wider format.
    format
        The format it would be stored in.
    scale
        Factor on every element before that.

    Returns
    -------
    float
        From 0 to 1; ``nan`` where the histogram is missing.
    """
    small = _below(statistics, format.subnormal / scale, closed=False) - _below(statistics, format.underflow / scale)
    return _share(statistics, small, _nonzero(statistics))


def headroom(statistics: TensorStatistics, format: FloatFormat) -> tuple[float, float]:
    """Return how many binades of a format are free above and below a tensor.

    Parameters
    ----------
    statistics
        Of the tensor.
    format
        The format it would be stored in.

    Returns
    -------
    tuple of float
        log₂ of the largest finite number over the largest magnitude, and of the smallest magnitude above zero over the
        smallest subnormal; below zero where elements lie outside. For a tensor of zeros both are infinite.
    """
    above = math.inf if statistics.absmax == 0 else -_log2(statistics.absmax / format.largest)
    small = statistics.min_nonzero
    return above, math.inf if math.isnan(small) else _log2(small / format.smallest_subnormal)


@dataclass(frozen=True, slots=True)
class LossScaleWindow:
    """Loss scales that suit every gradient, as powers of two [Micikevicius2018].

    Parameters
    ----------
    low, high
        Ends of the interval as log₂ of the scale, both included; whole numbers, or infinite where nothing binds that
        end. The interval is empty where `low` is above `high`.
    low_site, high_site
        Sites that bind each end; empty where nothing does.
    """

    low: float
    high: float
    low_site: str = ""
    high_site: str = ""

    @property
    def empty(self) -> bool:
        """Whether no scale suits every gradient."""
        return self.low > self.high or self.high == -math.inf

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; an end that nothing binds, and one that nothing can meet, is a string."""
        low, high = (end if math.isfinite(end) else str(end) for end in (self.low, self.high))
        return {"low": low, "high": high, "low_site": self.low_site, "high_site": self.high_site}


def loss_scale_window(
    gradients: Mapping[str, TensorStatistics],
    format: FloatFormat,
    lost: float = LOST,
) -> LossScaleWindow:
    """Return the loss scales at which no gradient overflows and none loses more than a share of its elements.

    Parameters
    ----------
    gradients
        Statistics of the unscaled gradients by site. Those that are all zero, or without a histogram, bind nothing; one
        that is not finite leaves no scale.
    format
        The format they are stored in.
    lost
        Largest share of the nonzero elements of a gradient that may round to zero, from 0 to 1. Elements smaller than
        the rounding of the largest one, as those of a key bias behind a softmax, are noise and do not count.

    Examples
    --------
    >>> tiny = TensorStatistics(4, 0, 1, 1, 2.0**-20, 2.0**-30, 0, histogram=((-30, 2), (-20, 2)))
    >>> loss_scale_window({"fc": tiny}, FORMATS["float16"])
    LossScaleWindow(low=6.0, high=35.0, low_site='fc', high_site='fc')
    """
    least = {site: _least(each, format, lost) for site, each in gradients.items()}
    most = {site: _most(each, format) for site, each in gradients.items()}
    lowest = max(least, key=least.__getitem__, default="")
    highest = min(most, key=lambda site: (most[site], -gradients[site].absmax), default="")
    low, high = least.get(lowest, -math.inf), most.get(highest, math.inf)
    return LossScaleWindow(low, high, lowest if low > -math.inf else "", highest if high < math.inf else "")


def _most(statistics: TensorStatistics, format: FloatFormat) -> float:
    """Largest k for which 2**k times the largest magnitude does not overflow."""
    if statistics.nonfinite or not math.isfinite(statistics.absmax):
        return -math.inf
    if statistics.absmax == 0:
        return math.inf
    most = math.floor(_log2(format.overflow) - _log2(statistics.absmax)) + 1  # one more, since the logarithms round
    while statistics.absmax >= _scaled(format.overflow, -most):
        most -= 1
    return float(most)


def _least(statistics: TensorStatistics, format: FloatFormat, lost: float) -> float:
    """Smallest k for which 2**k times the tensor loses at most this share of its nonzero elements."""
    noise = _below(statistics, statistics.absmax * NOISE, closed=False) if math.isfinite(statistics.absmax) else 0.0
    allowed = noise + lost * (_nonzero(statistics) - noise)
    reached = _quantile(statistics, allowed)
    if reached is None:
        return -math.inf
    least = math.floor(_log2(format.underflow) - _log2(reached)) - 1  # one less, since the logarithms round
    while _below(statistics, _scaled(format.underflow, -least)) > allowed:
        least += 1
    return float(least)


def _quantile(statistics: TensorStatistics, allowed: float) -> float | None:
    """Magnitude below which more than so many elements surely lie; ``None`` if there are no more."""
    seen = 0
    for _, high, count in _bins(statistics):
        seen += count
        if seen > allowed:
            return high
    return None


def _below(statistics: TensorStatistics, edge: float, *, closed: bool = True) -> float:
    """Count the finite nonzero elements whose magnitude lies below an edge, or on it if `closed`."""
    total = 0.0
    for low, high, count in _bins(statistics):
        if high < edge or (closed and high == edge):
            total += count
        elif low < edge:
            total += count * _log2(edge / low) / _log2(high / low)
    return total


def _bins(statistics: TensorStatistics) -> Iterator[tuple[float, float, int]]:
    """Smallest and largest magnitude, and number of elements, of every bin; both extremes are bins of their own."""
    smallest, largest = statistics.min_nonzero, statistics.absmax
    last = len(statistics.histogram) - 1
    for place, (exponent, count) in enumerate(statistics.histogram):
        low, high = _scaled(1.0, exponent), _scaled(1.0, exponent + 1)
        rest = count
        if place == 0:
            low, rest = smallest, rest - 1
            yield smallest, smallest, 1
        if place == last and math.isfinite(largest):
            high, rest = largest, rest - 1
        if rest > 0:
            yield low, high, rest
        if place == last and math.isfinite(largest) and (last > 0 or count > 1):
            yield largest, largest, 1


def _nonzero(statistics: TensorStatistics) -> int:
    return sum(count for _, count in statistics.histogram) + statistics.nonfinite


def _share(statistics: TensorStatistics, part: float, whole: int) -> float:
    """Divide; ``nan`` if there are elements that are neither zero nor in the histogram, 0 for none at all."""
    if not statistics.histogram and statistics.nonfinite < statistics.count and statistics.zeros < 1:
        return math.nan if statistics.count else 0.0
    return part / whole if whole else 0.0


def _log2(value: float) -> float:
    return math.log2(value) if value > 0 else (-math.inf if value == 0 else math.nan)


def _scaled(value: float, power: int) -> float:
    """Multiply by a power of two; infinite where a double ends."""
    try:
        return math.ldexp(value, power)
    except OverflowError:
        return math.inf

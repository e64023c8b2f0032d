"""The heat map: at which binary exponents the elements of every tensor lie, as compact data for the page.

Each tensor is a few bytes: where its histogram begins, how many bins it has, and one level a bin. A level is the
logarithm of a share of the tensor's elements, so that one outlier in a million still shows.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Sequence
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from justright.core.formats import FORMATS

if TYPE_CHECKING:
    from justright.core.profile import SiteRecord, TensorStatistics

__all__ = ["DECADES", "SHOWN_FORMATS", "heatmap", "level"]

DECADES: Final = 6
"""Decades of shares that the colours tell apart: down to one element in a million."""

SHOWN_FORMATS: Final = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
"""Formats that a network in float32 may be moved to."""

SHORT_NAMES: Final = {
    "float16": "fp16",
    "bfloat16": "bf16",
    "float8_e4m3fn": "fp8 e4m3",
    "float8_e5m2": "fp8 e5m2",
}
"""Names short enough for the margin of a picture."""


def heatmap(records: Sequence[SiteRecord]) -> dict[str, Any]:
    """Return the histograms of all tensors and their gradients, and the ranges of the formats.

    Parameters
    ----------
    records
        Sites in the order in which they are drawn.

    Returns
    -------
    dict
        ``low`` and ``high``: ends of the axis of exponents, the last bin included; ``forward`` and ``gradient``: base64
        of six bytes a site and one a bin; ``formats``: the range of each format as exponents; ``decades``: shares that
        the levels span.
    """
    low, high = _range(records)
    return {
        "low": low,
        "high": high,
        "decades": DECADES,
        "forward": _encoded((record.forward for record in records), low),
        "gradient": _encoded((record.gradient for record in records), low),
        "formats": [_drawn(name) for name in SHOWN_FORMATS],
    }


def level(share: float) -> int:
    """Return the level of a share, from 0 for none to 255 for all elements.

    Examples
    --------
    >>> level(0.0), level(1e-9), level(1e-3), level(1.0)
    (0, 1, 128, 255)
    """
    if not share > 0:
        return 0
    return max(1, round(255 * (1 + math.log10(min(share, 1.0)) / DECADES)))


def _range(records: Iterable[SiteRecord]) -> tuple[int, int]:
    """Find the ends of the axis: all bins and float16, the narrowest range that a network is commonly moved to."""
    known = (each for record in records for each in (record.forward, record.gradient) if each is not None)
    ends = {end for each in known for end in (*each.histogram[:1], *each.histogram[-1:])}
    half = FORMATS["float16"]
    exponents = {exponent for exponent, _ in ends} | {_exponent(half.underflow) - 1, _exponent(half.overflow) + 1}
    return min(exponents), max(exponents)


def _exponent(value: float) -> int:
    return math.frexp(value)[1] - 1


def _encoded(tensors: Iterable[TensorStatistics | None], low: int) -> str:
    return b64encode(b"".join(_tensor(each, low) for each in tensors)).decode()


def _tensor(statistics: TensorStatistics | None, low: int) -> bytes:
    """Pack a tensor: first bin, number of bins, level of the zeros and of what is not finite, level of every bin."""
    if statistics is None or not statistics.count:
        return pack("<HHBB", 0, 0, 0, 0)
    counts = dict(statistics.histogram)
    first, last = min(counts, default=low), max(counts, default=low - 1)
    bins = [level(counts.get(exponent, 0) / statistics.count) for exponent in range(first, last + 1)]
    odd = level(statistics.zeros), level(statistics.nonfinite / statistics.count)
    return pack("<HHBB", first - low, len(bins), *odd) + bytes(bins)


def _drawn(name: str) -> dict[str, Any]:
    """Give the ends of a format as exponents; a bin reaches from its own exponent up to the next."""
    known = FORMATS[name]
    return {
        "name": SHORT_NAMES[name],
        "high": round(math.log2(known.overflow), 3),
        "normal": round(math.log2(known.smallest_normal), 3),
        "low": round(math.log2(known.underflow), 3),
    }

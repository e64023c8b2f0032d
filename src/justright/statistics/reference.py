"""The same statistics in plain NumPy, in two passes and float64: without Numba, and as the oracle of the tests.

Several times slower than the kernels, as every statistic walks through memory by itself and makes temporaries.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from justright.statistics.summary import HIGHEST_EXPONENT, LOWEST_EXPONENT, Summary
from justright.statistics.units import Tiling

__all__ = ["CHUNK", "scan"]

Array = NDArray[Any]

CHUNK = 1 << 18
"""Elements that are widened to float64 at once, which bounds the temporaries to a few times 2 MiB."""


def scan(flat: Array, *, bfloat16: bool = False, tiling: Tiling | None = None) -> tuple[Summary, Array]:
    """Return the summary of a dense stretch and the counts of its units; the same contract as that of the kernels.

    Parameters
    ----------
    flat
        One axis, not empty; float32, float64, float16, or uint16 with `bfloat16`.
    bfloat16
        Whether the 16-bit patterns are bfloat16.
    tiling
        How units lie in it; ``None`` counts no units.

    Returns
    -------
    tuple
        The summary, and flat and off counts of shape ``[2, units]``; ``[2, 1]`` of zeros without a tiling.
    """
    summary = Summary.empty()
    counts = np.zeros((2, tiling.units if tiling else 1), np.int64)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, CHUNK):
            values = _widen(flat[start : start + CHUNK], bfloat16)
            summary = summary.merge(_summarize(values))
            if tiling:
                counts += _count(values, start, tiling)
    return summary, counts


def _widen(values: Array, bfloat16: bool) -> NDArray[np.float64]:
    if bfloat16:  # bfloat16 is the upper half of float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float64)


def _summarize(values: NDArray[np.float64]) -> Summary:
    mean = values.mean()
    magnitude = np.abs(values[np.isfinite(values)])
    nonzero = magnitude[magnitude > 0]
    positive, negative = int(np.sum(values == math.inf)), int(np.sum(values == -math.inf))
    infinite = [math.inf] * bool(positive or negative)
    return Summary.from_parts(
        values.size,
        (float(mean), float(np.sum((values - mean) ** 2))),
        (float(magnitude.max(initial=0.0)), min([*infinite, float(nonzero.min(initial=math.inf))])),
        int(np.sum(values == 0)),
        (int(np.sum(np.isnan(values))), positive, negative),
        _histogram(nonzero),
    )


def _histogram(magnitude: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count by exponent; `frexp` puts the mantissa into [0.5, 1), hence the one."""
    exponents = np.clip(np.frexp(magnitude)[1] - 1, LOWEST_EXPONENT, HIGHEST_EXPONENT)
    return np.bincount(exponents - LOWEST_EXPONENT, minlength=HIGHEST_EXPONENT - LOWEST_EXPONENT + 1).astype(np.int64)


def _count(values: NDArray[np.float64], start: int, tiling: Tiling) -> NDArray[np.int64]:
    unit = np.arange(start, start + values.size) // tiling.inner % tiling.units
    flat, off = (_inside(values, intervals) for intervals in (tiling.zones.flat, tiling.zones.off))
    return np.stack([np.bincount(unit[inside], minlength=tiling.units) for inside in (flat, off)]).astype(np.int64)


def _inside(values: NDArray[np.float64], intervals: tuple[tuple[float, float], ...]) -> NDArray[np.bool_]:
    inside = np.zeros(values.shape, np.bool_)
    for low, high in intervals:
        inside |= (values >= low) & (values <= high)
    return inside

"""Run the kernels over a dense stretch of memory, on all cores where that pays, and read what they found.

Between large operations of a framework this code is not in the processor's caches, and costs ten times as much as in a
tight loop: as many cache misses as it touches different things. Hence one allocation, one call, and little else.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.statistics import constants
from justright.statistics.constants import BLOCK, HISTOGRAM, NAN, WIDTH, Array
from justright.statistics.summary import Summary
from justright.statistics.tasks import COUNTERS, FIELDS, RESULTS, WORD, entry, sheet_size
from justright.statistics.threads import address_of, team
from justright.statistics.units import Tiling, Zones

__all__ = ["scan", "scan_memory"]

Dtype = np.dtype[Any]
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
KINDS: Final[dict[Dtype, tuple[str, Dtype]]] = {
    FLOAT32: ("float32", FLOAT32),
    FLOAT64: ("float64", FLOAT64),
    np.dtype(np.float16): ("half", FLOAT32),
    np.dtype(np.uint16): ("half", FLOAT32),
}
"""For each type, the entry that scans it, and the type in which that sees the data."""

EVERYTHING: Final = Tiling(1, 1, Zones((), ()))
"""One unit, and nothing to count in it."""

SHARE = 64
"""Most blocks that a thread takes at once: about 0.2 ms of work."""

FEWEST = 8
"""Blocks for each thread from which on more threads pay, as each begins by clearing tables."""

_write = struct.Struct(f"{len(FIELDS)}q").pack_into
_read = struct.Struct(f"4d{NAN * WORD}x{HISTOGRAM - NAN}q").unpack_from


def scan(flat: Array, *, bfloat16: bool = False, tiling: Tiling | None = None) -> tuple[Summary, Array]:
    """Return the summary of a dense stretch and the counts of its units.

    Parameters
    ----------
    flat
        One axis, C-contiguous, aligned, not empty; float32, float64, float16, or uint16 with `bfloat16`.
    bfloat16
        Whether the 16-bit patterns are bfloat16.
    tiling
        How units lie in it; ``None`` counts no units.

    Returns
    -------
    tuple
        The summary, and flat and off counts of shape ``[2, units]``; ``[2, 1]`` of zeros without a tiling.
    """
    return scan_memory(address_of(flat), flat.size, flat.dtype, flat, bfloat16=bfloat16, tiling=tiling)


def scan_memory(
    address: int, size: int, dtype: Dtype, owner: object, *, bfloat16: bool = False, tiling: Tiling | None = None
) -> tuple[Summary, Array]:
    """Scan memory that a framework owns; as `scan`.

    Parameters
    ----------
    address, size, dtype
        Where it is, how many elements it holds, and their type.
    owner
        What keeps it from being freed.
    """
    name, wide = KINDS[dtype]
    units, inner, zones = tiling or EVERYTHING
    ends, marks, *places = _intervals(zones, wide)
    rows = -(-size // BLOCK)
    workers = min(team().threads(), -(-rows // FEWEST)) if size >= team().least else 1
    sheet = np.zeros(sheet_size(workers, rows, units), np.int64)
    step = rows if workers == 1 else min(-(-rows // (4 * workers)), SHARE)
    _write(
        sheet.data, 0,
        0, 0, workers, rows, step, size, address, units, inner, *places, len(marks), wide is FLOAT64, bfloat16,
    )  # fmt: skip
    if workers == 1:
        entry(name).call(address_of(sheet))
    else:
        team().run(entry(name), sheet, (owner, ends, marks), workers)
        entry("finish").call(address_of(sheet))
    return _summary(sheet, size), _counts(sheet, workers, units)


def _summary(sheet: Array, size: int) -> Summary:
    mean, m2, largest, smallest, nan, positive, negative, zeros = _read(sheet.data, WORD * RESULTS)
    histogram = sheet[COUNTERS + HISTOGRAM : COUNTERS + WIDTH].copy()
    return Summary.from_parts(size, (mean, m2), (largest, smallest), zeros, (nan, positive, negative), histogram)


def _counts(sheet: Array, workers: int, units: int) -> Array:
    first = COUNTERS + workers * WIDTH
    return sheet[first : first + 2 * units].reshape(2, units)


@lru_cache(maxsize=256)
def _intervals(zones: Zones, dtype: np.dtype[Any]) -> tuple[Array, NDArray[np.uint8], int, int]:
    """Different intervals, their marks, and where both are in memory.

    Most functions are off where they are flat, which halves the comparisons.
    """
    marks: dict[tuple[float, float], int] = {}
    for mark, intervals in ((constants.FLAT, zones.flat), (constants.OFF, zones.off)):
        for interval in intervals:
            marks[interval] = marks.get(interval, 0) | mark
    ends = _inward(np.array([*marks], np.float64).reshape(-1, 2), dtype)
    each = np.array([*marks.values()], np.uint8)
    return ends, each, address_of(ends), address_of(each)


def _inward(exact: NDArray[np.float64], dtype: np.dtype[Any]) -> Array:
    """Interval ends in the type of the data, rounded inwards, so that comparisons are those of the exact ends."""
    with np.errstate(over="ignore", under="ignore"):
        ends = exact.astype(dtype)
        if ends.size:
            low, high = ends.astype(np.float64).T
            ends[:, 0] = np.where(low < exact[:, 0], np.nextafter(ends[:, 0], dtype.type(np.inf)), ends[:, 0])
            ends[:, 1] = np.where(high > exact[:, 1], np.nextafter(ends[:, 1], dtype.type(-np.inf)), ends[:, 1])
    return ends

"""Counting units: which elements lie on flat parts of a function, summed unit by unit while a block is in the cache."""

from __future__ import annotations

import numpy as np

from justright.statistics.constants import FLAT, Array
from justright.statistics.jit import jit

__all__ = ["Marked", "take_units"]

Marked = tuple[Array, Array]
"""Ends of intervals, in the type of the data, and the marks of what lies in them."""


@jit()
def take_units(values: Array, start: int, codes: Array, zones: Marked, inner: int, counts: Array) -> None:
    """Count one block of units, while it is in the cache."""
    ends, marks = zones
    if marks.size == 0:
        return
    _mark(values, ends, marks, codes)
    if inner == 1:
        _count_rows(codes, start, counts)
    else:
        _count_runs(codes, start, inner, counts)


@jit()
def _mark(values: Array, ends: Array, marks: Array, codes: Array) -> None:
    """Give every element the marks of the intervals that it lies in."""
    codes[:] = 0
    for k in range(ends.shape[0]):
        low, high = ends[k]
        mark = marks[k]
        for i in range(values.size):
            codes[i] |= mark if (values[i] >= low) & (values[i] <= high) else np.uint8(0)


@jit()
def _count_runs(codes: Array, start: int, inner: int, counts: Array) -> None:
    """Add codes to the counts of their units, which come in runs of `inner` elements."""
    units = counts.shape[1]
    unit = start // inner % units
    left = inner - start % inner
    i = 0
    while i < codes.size:
        run = codes[i : i + left]
        flat = np.int32(0)
        off = np.int32(0)
        for code in run:
            flat = np.int32(flat + (code & FLAT))
            off = np.int32(off + (code >> 1))
        counts[0, unit] += flat
        counts[1, unit] += off
        i += left
        left = inner
        unit = unit + 1 if unit + 1 < units else 0


@jit()
def _count_rows(codes: Array, start: int, counts: Array) -> None:
    """Add codes to the counts of their units, where each element belongs to the next unit."""
    units = counts.shape[1]
    unit = start % units
    i = 0
    while i < codes.size:
        size = min(units - unit, codes.size - i)
        part = codes[i : i + size]
        flat = counts[0, unit : unit + size]
        off = counts[1, unit : unit + size]
        for j in range(size):
            flat[j] += part[j] & FLAT
        for j in range(size):
            off[j] += part[j] >> 1
        i += size
        unit = 0

"""Scans as native threads run them: all they need lies in one sheet of numbers, and they share out the blocks.

A thread takes the next share of the blocks until none is left, so that one whose core is busy with something else takes
fewer. Each has its own counters, and no two write the same memory; threads for which there are none leave at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import carray

from justright.statistics.constants import (
    BINARY32,
    BINARY64,
    BLOCK,
    LARGEST,
    NAN,
    NO_PATTERN,
    SMALLEST,
    WIDTH,
    ZEROS,
    Array,
    Form,
)
from justright.statistics.exponents import flush, open_tables
from justright.statistics.jit import Entry, jit, native, pointer, ticket
from justright.statistics.kernels import combine, take_block, widen
from justright.statistics.marks import take_units

__all__ = ["COUNTERS", "FIELDS", "RESULTS", "WORD", "entry", "sheet_size"]

FIELDS = (
    "share", "worker", "workers", "rows", "step", "size", "values", "units", "inner", "ends", "marks", "intervals",
    "wide", "bfloat16",
)  # fmt: skip
"""How a sheet begins, in words of 8 bytes: two tickets, which begin at 0; numbers of workers that have counters, of
blocks, of blocks in a share and of elements; address of the elements; units, and how long their runs are; addresses
of interval ends and of marks, and their number; whether elements are float64; whether those of 16 bits are bfloat16.

Then come mean, sum of squared deviations, largest and smallest magnitude as float64, which the scan fills in; then, by
worker, counters; then, by worker, counts of units; then moments by block. The first worker's end as those of all.
"""

(SHARE, WORKER, WORKERS, ROWS, STEP, SIZE, VALUES, UNITS, INNER, ENDS, MARKS, INTERVALS, WIDE, BFLOAT16) = range(
    len(FIELDS)
)
RESULTS = len(FIELDS)
COUNTERS = RESULTS + 4
WORD = 8


def sheet_size(workers: int, rows: int, units: int) -> int:
    """Return the number of words of a sheet."""
    return COUNTERS + workers * (WIDTH + 2 * units) + 2 * rows


@cache
def entry(name: str) -> Entry:
    """Compile an entry, which takes the address of a sheet.

    Parameters
    ----------
    name
        ``"float32"``, ``"float64"``, or ``"half"`` for float16 and bfloat16: the scan, which every worker calls once;
        ``"finish"``: combines what they found, to be called after several workers, not after one.
    """
    functions: dict[str, Callable[[Any], None]] = {
        "float32": _scan_float32, "float64": _scan_float64, "half": _scan_half, "finish": _finish_all
    }  # fmt: skip
    return native(functions[name])


def _scan_float32(address: Any) -> None:  # noqa: ANN401
    sheet = carray(address, COUNTERS, np.int64)
    values = carray(pointer(sheet[VALUES]), sheet[SIZE], np.float32)
    bits = carray(pointer(sheet[VALUES]), sheet[SIZE], np.uint32)
    ends = carray(pointer(sheet[ENDS]), (sheet[INTERVALS], 2), np.float32)
    _scan_floats(sheet, BINARY32, values, bits, ends)


def _scan_float64(address: Any) -> None:  # noqa: ANN401
    sheet = carray(address, COUNTERS, np.int64)
    values = carray(pointer(sheet[VALUES]), sheet[SIZE], np.float64)
    bits = carray(pointer(sheet[VALUES]), sheet[SIZE], np.uint64)
    ends = carray(pointer(sheet[ENDS]), (sheet[INTERVALS], 2), np.float64)
    _scan_floats(sheet, BINARY64, values, bits, ends)


def _scan_half(address: Any) -> None:  # noqa: ANN401
    """Widen block by block."""
    sheet = carray(address, COUNTERS, np.int64)
    halves = carray(pointer(sheet[VALUES]), sheet[SIZE], np.uint16)
    ends = carray(pointer(sheet[ENDS]), (sheet[INTERVALS], 2), np.float32)
    marks = carray(pointer(sheet[MARKS]), sheet[INTERVALS], np.uint8)
    worker = ticket(sheet.ctypes.data + WORD * WORKER)
    if worker >= sheet[WORKERS]:
        return
    counters, counts, moments = _memory(sheet, worker)
    tables = open_tables(sheet[ROWS], BINARY32)
    codes = np.empty(BLOCK, np.uint8)
    values = np.empty(BLOCK, np.float32)
    bits = values.view(np.uint32)
    first, last = _next_share(sheet)
    while first < last:
        for row in range(first, last):
            block = halves[row * BLOCK : row * BLOCK + BLOCK]
            size = block.size
            widen(block, sheet[BFLOAT16] != 0, values, bits)
            take_block(values[:size], bits[:size], BINARY32, moments[row], counters, tables)
            take_units(values[:size], row * BLOCK, codes[:size], (ends, marks), sheet[INNER], counts)
        first, last = _next_share(sheet)
    flush(tables, BINARY32, counters)
    if sheet[WORKERS] == 1:
        _finish(sheet)


@jit()
def _scan_floats(sheet: Array, form: Form, values: Array, bits: Array, ends: Array) -> None:
    worker = ticket(sheet.ctypes.data + WORD * WORKER)
    if worker >= sheet[WORKERS]:
        return
    marks = carray(pointer(sheet[MARKS]), sheet[INTERVALS], np.uint8)
    counters, counts, moments = _memory(sheet, worker)
    tables = open_tables(sheet[ROWS], form)
    codes = np.empty(BLOCK, np.uint8)
    first, last = _next_share(sheet)
    while first < last:
        for row in range(first, last):
            begin = row * BLOCK
            block = values[begin : begin + BLOCK]
            take_block(block, bits[begin : begin + BLOCK], form, moments[row], counters, tables)
            take_units(block, begin, codes[: block.size], (ends, marks), sheet[INNER], counts)
        first, last = _next_share(sheet)
    flush(tables, form, counters)
    if sheet[WORKERS] == 1:
        _finish(sheet)


@jit()
def _next_share(sheet: Array) -> tuple[int, int]:
    """First block of the share that is next, and the one behind its last; equal or less when none is left."""
    first = ticket(sheet.ctypes.data + WORD * SHARE) * sheet[STEP]
    return first, min(first + sheet[STEP], sheet[ROWS])


@jit()
def _memory(sheet: Array, worker: int) -> tuple[Array, Array, Array]:
    """Counters and counts of a worker, and moments of all blocks."""
    workers, units = sheet[WORKERS], sheet[UNITS]
    first = sheet.ctypes.data + WORD * COUNTERS
    counters = carray(pointer(first + WORD * WIDTH * worker), WIDTH, np.int64)
    counts = carray(pointer(first + WORD * (WIDTH * workers + 2 * units * worker)), (2, units), np.int64)
    moments = carray(pointer(first + WORD * (WIDTH + 2 * units) * workers), (sheet[ROWS], 2), np.float64)
    return counters, counts, moments


@jit()
def _finish(sheet: Array) -> None:
    counters, counts, moments = _memory(sheet, 0)
    for worker in range(1, sheet[WORKERS]):
        more, units, _ = _memory(sheet, worker)
        counters[LARGEST] = max(counters[LARGEST], more[LARGEST])
        counters[SMALLEST] = max(counters[SMALLEST], more[SMALLEST])
        counters[NAN:] += more[NAN:]
        counts += units
    results = carray(pointer(sheet.ctypes.data + WORD * RESULTS), 4, np.float64)
    results[0], results[1] = combine(moments, sheet[SIZE])
    results[2] = _magnitude(counters[LARGEST], sheet[WIDE])
    some = counters[ZEROS] + counters[NAN] < sheet[SIZE]
    results[3] = _magnitude(NO_PATTERN - counters[SMALLEST], sheet[WIDE]) if some else math.inf


def _finish_all(address: Any) -> None:  # noqa: ANN401
    _finish(carray(address, COUNTERS, np.int64))


@jit()
def _magnitude(pattern: int, wide: int) -> float:
    """Return the number with a bit pattern."""
    if wide:
        return np.uint64(pattern).view(np.float64)
    return np.float64(np.uint32(pattern).view(np.float32))

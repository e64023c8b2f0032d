"""The histogram of exponents, which is what costs most, since its counts are stored one by one.

A block whose exponents span less than 63 binades, as nearly all do, is counted in pairs: two exponents, six bits each,
are one place in a table of 4096, which halves the stores. Other blocks count singly. Either way several tables take
turns: with one, equal neighbours would wait for each other's store.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.statistics.constants import BINS, BLOCK, HISTOGRAM, ZEROS, Array, Form
from justright.statistics.jit import jit
from justright.statistics.summary import LOWEST_EXPONENT

__all__ = ["Tables", "count_exponents", "flush", "open_tables"]

Tables = tuple[Array, Array, Array, Array]
"""Counts of single exponents; where the window of pairs begins; room for the pairs of a block; counts of pairs."""

_LANES = 8

_WINDOW = 6
"""Bits of an exponent in a pair: four tables of pairs are 64 KiB, of which a usual tensor touches a tenth."""

_SPAN = (1 << _WINDOW) - 1

_HEADROOM = 8
"""Binades above the largest element of the first block that later blocks may reach."""

_PAIR_LANES = 4

_PAIRED_ROWS = 16
"""Blocks from which on the tables of pairs pay for being cleared and added up."""


@jit()
def open_tables(rows: int, form: Form) -> Tables:
    """Return empty tables for at most so many blocks; the window begins nowhere (-1) yet."""
    size = (_SPAN + 1) ** 2 if rows >= _PAIRED_ROWS else 0
    single = np.zeros((_LANES, form[1] + 1), np.uint32)
    packed = np.empty(BLOCK // 2 if size else 0, np.uint16)
    return single, np.full(1, -1, np.int64), packed, np.zeros((_PAIR_LANES, size), np.uint32)


@jit()
def count_exponents(bits: Array, form: Form, extremes: tuple[np.uint64, np.uint64], tables: Tables) -> None:
    """Count the biased exponents of one block: in pairs, if they lie in the window, which the first such block sets.

    `extremes` are the largest bit pattern without the sign and the smallest above zero.
    """
    single, window, packed, pairs = tables
    if extremes[0] == 0:
        single[0, 0] += np.uint32(bits.size)
        return
    highest = np.int64(extremes[0] >> np.uint64(form[0]))
    lowest = np.int64(extremes[1] >> np.uint64(form[0]))
    if window[0] < 0 and highest - lowest < _SPAN - _HEADROOM:
        window[0] = max(highest + _HEADROOM - _SPAN, 0)
    fits = 0 <= window[0] < lowest and highest <= min(window[0] + _SPAN, form[1] - 1)
    if fits and bits.size == 2 * packed.size:
        _pack(bits, window[0], packed)
        _tally_pairs(packed, pairs)
    else:
        _tally(bits, form, single)


@jit()
def flush(tables: Tables, form: Form, counters: Array) -> None:
    """Add what was counted to the counters."""
    single, window, _, pairs = tables
    _, mask, bias, _ = form
    if pairs.size and window[0] >= 0:
        _part_pairs(pairs, window[0], single)
    for lane in range(_LANES):
        counters[ZEROS] += single[lane, 0]
        for biased in range(1, mask):
            place = min(max(biased - bias - LOWEST_EXPONENT, 0), BINS - 1)
            counters[HISTOGRAM + place] += single[lane, biased]


@jit()
def _tally(bits: Array, form: Form, single: Array) -> None:
    """Count biased exponents."""
    shift = np.uint64(form[0])
    mask = np.uint64(form[1])
    whole = bits.size - bits.size % _LANES
    for i in range(0, whole, _LANES):
        for lane in range(_LANES):
            single[lane, (bits[i + lane] >> shift) & mask] += 1
    for i in range(whole, bits.size):
        single[0, (bits[i] >> shift) & mask] += 1


@jit()
def _exponent(pattern: np.unsignedinteger[Any]) -> np.unsignedinteger[Any]:
    """Biased exponent; by shifts that the compiler knows, since one by a variable would widen the lanes to 64 bits."""
    kind = type(pattern)
    if np.uint64(kind(~kind(0))) > np.uint64(0xFFFFFFFF):
        return kind(kind(pattern << kind(1)) >> kind(53))
    return kind(kind(pattern << kind(1)) >> kind(24))


@jit()
def _pack(bits: Array, base: int, packed: Array) -> None:
    """Write the exponents of two elements, less `base`, as one number; what is not above the base becomes 0."""
    kind = bits.dtype.type
    origin = kind(base)
    half = packed.size
    for i in range(half):
        high = kind(max(_exponent(bits[i]), origin) - origin)
        low = kind(max(_exponent(bits[half + i]), origin) - origin)
        packed[i] = np.uint16(kind(kind(high << kind(_WINDOW)) | low))


@jit()
def _tally_pairs(packed: Array, pairs: Array) -> None:
    """Count pairs of exponents."""
    for i in range(0, packed.size, _PAIR_LANES):
        for lane in range(_PAIR_LANES):
            pairs[lane, packed[i + lane]] += 1


@jit()
def _part_pairs(pairs: Array, base: int, single: Array) -> None:
    """Add the counts of pairs to those of biased exponents."""
    lows = np.zeros(_SPAN + 1, np.uint32)
    for high in range(_SPAN + 1):
        first = high << _WINDOW
        total = np.uint32(0)
        for lane in range(_PAIR_LANES):
            row = pairs[lane, first : first + _SPAN + 1]
            for low in range(_SPAN + 1):
                total += row[low]
                lows[low] += row[low]
        single[0, base + high if high else 0] += total
    for low in range(_SPAN + 1):
        single[1, base + low if low else 0] += lows[low]

"""Numba kernels: every statistic in one pass over memory, a block at a time while it is in the first-level cache.

The moments of a block are taken in float64 about its first element x0, which is one of the sample: with M2 the sum of
squared deviations of n elements, ``n (x0 - mean)**2 <= n M2``, so the one-pass formula loses at most a factor n + 1 =
4097 of the 2**53 of float64, whatever the mean; a constant block gives exactly 0. Blocks are combined about their
common mean in a fixed order, so that the result does not depend on the number of threads.

Largest and smallest magnitude are integer extremes of the bit pattern, which order as the magnitudes do and, unlike
float extremes, run in vector registers, and they are taken first, as they bring the block into the cache fastest.

The histogram of exponents is what costs most, since its counts are stored one by one. A block whose exponents span less
than 63 binades, as nearly all do, is therefore counted in pairs: two exponents, six bits each, are one place in a table
of 4096, which halves the stores. Other blocks count singly. Either way several tables take turns: with one, equal
neighbours would wait for each other's store. Zeros come out of the histogram, and elements that are not finite or are
subnormal are looked for only in blocks whose extremes say that there are any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from justright.statistics.summary import HIGHEST_EXPONENT, LOWEST_EXPONENT

__all__ = [
    "BINARY32",
    "BINARY64",
    "BINS",
    "BLOCK",
    "FLAT",
    "HISTOGRAM",
    "LARGEST",
    "NAN",
    "NEGATIVE",
    "OFF",
    "POSITIVE",
    "SMALLEST",
    "ZEROS",
    "combine",
    "scan_floats",
    "scan_halves",
]

Array = NDArray[Any]
Form = tuple[int, int, int, int]
Marked = tuple[Array, Array]
Window = tuple[Array, Array, Array]
Function = TypeVar("Function", bound=Callable[..., Any])

BLOCK = 4096
"""Elements of a block: 16 KiB of float32, which leaves room for the tables in a first-level cache of 32 KiB."""

BINS = HIGHEST_EXPONENT - LOWEST_EXPONENT + 1
_LANES = 8
_HALF_MASK = 0x1F
FLAT, OFF = 1, 2

_WINDOW = 6
"""Bits of an exponent in a pair: four tables of pairs are 64 KiB, of which a usual tensor touches a tenth."""
_SPAN = (1 << _WINDOW) - 1
_HEADROOM = 8
"""Binades above the largest element of the first block that later blocks may reach."""
_PAIR_LANES = 4
_PAIRED_ROWS = 16
"""Blocks from which on the tables of pairs pay for being cleared and added up."""

LARGEST, SMALLEST, NAN, POSITIVE, NEGATIVE, ZEROS, HISTOGRAM = range(7)

# (position of the exponent, its mask, its bias, exponent of the smallest subnormal), IEEE 754-2019, table 3.5
BINARY32 = (23, 0xFF, 127, -149)
BINARY64 = (52, 0x7FF, 1023, -1074)


def _jit(**options: Any) -> Callable[[Function], Function]:  # noqa: ANN401
    """Compile at first call, to run without the lock of the interpreter, and keep the result on disk if possible."""

    def decorate(function: Function) -> Function:
        try:
            compiled: Function = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # neither the folder of the package nor that of the user can be written
            compiled = numba.njit(nogil=True, **options)(function)
        return compiled

    return decorate


@_jit(fastmath={"reassoc", "contract"})
def _moments(values: Array) -> tuple[float, float]:
    """Mean and sum of squared deviations; the two flags allow vector sums and keep nan and inf."""
    origin = np.float64(values[0])
    total = 0.0
    squares = 0.0
    for i in range(values.size):
        deviation = np.float64(values[i]) - origin
        total += deviation
        squares += deviation * deviation
    offset = total / values.size
    m2 = squares - total * offset
    return origin + offset, 0.0 if m2 < 0.0 else m2


@_jit()
def _extremes(bits: Array) -> tuple[np.uint64, np.uint64]:
    """Largest bit pattern without the sign, and smallest above zero less one; of zeros alone that is all ones.

    The casts keep the lanes as narrow as the data: Numba widens integer operations to 64 bits otherwise.
    """
    kind = bits.dtype.type
    one = kind(1)
    ones = kind(~kind(0))
    magnitude = kind(ones >> one)
    largest = kind(0)
    smallest = ones
    for i in range(bits.size):
        pattern = kind(bits[i] & magnitude)
        largest = max(largest, pattern)
        smallest = min(smallest, kind(pattern - one))
    return np.uint64(largest), np.uint64(kind(smallest + one))


@_jit()
def _tally(bits: Array, form: Form, tables: Array) -> None:
    """Count biased exponents."""
    shift = np.uint64(form[0])
    mask = np.uint64(form[1])
    whole = bits.size - bits.size % _LANES
    for i in range(0, whole, _LANES):
        for lane in range(_LANES):
            tables[lane, (bits[i + lane] >> shift) & mask] += 1
    for i in range(whole, bits.size):
        tables[0, (bits[i] >> shift) & mask] += 1


@_jit()
def _exponent(pattern: np.unsignedinteger[Any]) -> np.unsignedinteger[Any]:
    """Biased exponent; by shifts that the compiler knows, since one by a variable would widen the lanes to 64 bits."""
    kind = type(pattern)
    if np.uint64(kind(~kind(0))) > np.uint64(0xFFFFFFFF):
        return kind(kind(pattern << kind(1)) >> kind(53))
    return kind(kind(pattern << kind(1)) >> kind(24))


@_jit()
def _pack(bits: Array, base: int, packed: Array) -> None:
    """Write the exponents of two elements, less `base`, as one number; what is not above the base becomes 0."""
    kind = bits.dtype.type
    origin = kind(base)
    half = packed.size
    for i in range(half):
        high = kind(max(_exponent(bits[i]), origin) - origin)
        low = kind(max(_exponent(bits[half + i]), origin) - origin)
        packed[i] = np.uint16(kind(kind(high << kind(_WINDOW)) | low))


@_jit()
def _tally_pairs(packed: Array, pairs: Array) -> None:
    """Count pairs of exponents."""
    for i in range(0, packed.size, _PAIR_LANES):
        for lane in range(_PAIR_LANES):
            pairs[lane, packed[i + lane]] += 1


@_jit()
def _part_pairs(pairs: Array, base: int, tables: Array) -> None:
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
        tables[0, base + high if high else 0] += total
    for low in range(_SPAN + 1):
        tables[1, base + low if low else 0] += lows[low]


@_jit()
def _count_exponents(
    bits: Array, form: Form, extremes: tuple[np.uint64, np.uint64], tables: Array, window: Window
) -> None:
    """Count the biased exponents of one block: in pairs, if they lie in the window, which the first such block sets."""
    anchor, packed, pairs = window
    highest = np.int64(extremes[0] >> np.uint64(form[0]))
    lowest = np.int64(extremes[1] >> np.uint64(form[0]))
    if extremes[0] == 0:
        tables[0, 0] += np.uint32(bits.size)
        return
    if anchor[0] < 0 and highest - lowest < _SPAN - _HEADROOM:
        anchor[0] = max(highest + _HEADROOM - _SPAN, 0)
    fits = anchor[0] >= 0 and anchor[0] < lowest and highest <= min(anchor[0] + _SPAN, form[1] - 1)
    if fits and bits.size == 2 * packed.size:
        _pack(bits, anchor[0], packed)
        _tally_pairs(packed, pairs)
    else:
        _tally(bits, form, tables)


@_jit()
def _count_rare(bits: Array, form: Form, counters: Array) -> None:
    """Count what is not finite, and subnormals by exponent; take these from the zeros, whose exponent they share."""
    shift, mask, _, lowest = form
    infinity = np.uint64(mask << shift)
    normal = np.uint64(1 << shift)
    sign = np.uint64((mask + 1) << shift)
    for i in range(bits.size):
        pattern = np.uint64(bits[i]) & ~sign
        if pattern > infinity:
            counters[NAN] += 1
        elif pattern == infinity:
            counters[NEGATIVE if np.uint64(bits[i]) & sign else POSITIVE] += 1
        elif np.uint64(0) < pattern < normal:
            logarithm = np.int64(np.float64(pattern).view(np.uint64) >> np.uint64(BINARY64[0])) - BINARY64[2]
            counters[HISTOGRAM + max(logarithm + lowest - LOWEST_EXPONENT, np.int64(0))] += 1
            counters[ZEROS] -= 1


@_jit()
def _take_block(
    values: Array, bits: Array, form: Form, moments: Array, counters: Array, tables: Array, window: Window
) -> None:
    """Add one block to the counters and store its moments."""
    largest, smallest = _extremes(bits)
    moments[0], moments[1] = _moments(values)
    _count_exponents(bits, form, (largest, smallest), tables, window)
    counters[LARGEST] = max(counters[LARGEST], np.int64(largest))
    if smallest:
        counters[SMALLEST] = min(counters[SMALLEST], np.int64(smallest))
    if largest >= np.uint64(form[1] << form[0]) or np.uint64(0) < smallest < np.uint64(1 << form[0]):
        _count_rare(bits, form, counters)


@_jit()
def _open_window(rows: int) -> Window:
    """Return where the window begins (-1: not set yet), room for the pairs of a block, and their counts."""
    size = (_SPAN + 1) ** 2 if rows >= _PAIRED_ROWS else 0
    return np.full(1, -1, np.int64), np.empty(BLOCK // 2 if size else 0, np.uint16), np.zeros((_PAIR_LANES, size), np.uint32)


@_jit()
def _flush(tables: Array, window: Window, form: Form, counters: Array) -> None:
    """Add the tables of biased exponents to the histogram."""
    _, mask, bias, _ = form
    anchor, _, pairs = window
    if pairs.size and anchor[0] >= 0:
        _part_pairs(pairs, anchor[0], tables)
    for lane in range(_LANES):
        counters[ZEROS] += tables[lane, 0]
        for biased in range(1, mask):
            place = min(max(biased - bias - LOWEST_EXPONENT, 0), BINS - 1)
            counters[HISTOGRAM + place] += tables[lane, biased]


@_jit()
def _mark(values: Array, ends: Array, marks: Array, codes: Array) -> None:
    """Give every element the marks of the intervals that it lies in."""
    codes[:] = 0
    for k in range(ends.shape[0]):
        low, high = ends[k]
        mark = marks[k]
        for i in range(values.size):
            codes[i] |= mark if (values[i] >= low) & (values[i] <= high) else np.uint8(0)


@_jit()
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


@_jit()
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


@_jit()
def _take_units(values: Array, start: int, codes: Array, zones: Marked, inner: int, counts: Array) -> None:
    """Count one block of units, while it is in the cache."""
    ends, marks = zones
    if marks.size == 0:
        return
    _mark(values, ends, marks, codes)
    if inner == 1:
        _count_rows(codes, start, counts)
    else:
        _count_runs(codes, start, inner, counts)


@_jit()
def scan_floats(
    data: tuple[Array, Array],
    form: Form,
    rows: tuple[int, int],
    sums: tuple[Array, Array],
    zones: Marked,
    inner: int,
    counts: Array,
) -> None:
    """Scan the blocks ``rows[0] <= row < rows[1]`` of float32 or float64 data, given as numbers and as bit patterns.

    `sums` are the moments, one row a block, and the counters; `zones` are interval ends and their marks.
    """
    values, bits = data
    moments, counters = sums
    tables = np.zeros((_LANES, form[1] + 1), np.uint32)
    window = _open_window(rows[1] - rows[0])
    codes = np.empty(BLOCK, np.uint8)
    for row in range(rows[0], rows[1]):
        begin = row * BLOCK
        block = values[begin : begin + BLOCK]
        _take_block(block, bits[begin : begin + BLOCK], form, moments[row], counters, tables, window)
        _take_units(block, begin, codes[: block.size], zones, inner, counts)
    _flush(tables, window, form, counters)


@_jit()
def _widen(halves: Array, bfloat16: bool, values: Array, bits: Array) -> None:
    """Write float16 or bfloat16 as float32, by integers where flushing of subnormals could touch them."""
    for i in range(halves.size):
        values[i] = np.float32(halves[i] & 0x3FF) * np.float32(2.0**-24)  # a subnormal float16 is a normal float32
    for i in range(halves.size):
        half = np.uint32(halves[i])
        exponent = np.uint32((half >> 10) & _HALF_MASK)
        mantissa = np.uint32((half & 0x3FF) << 13)
        normal = np.uint32(((exponent + 112) << 23) | mantissa)  # 112 = 127 - 15, the difference of the biases
        special = np.uint32(0x7F800000 | mantissa)
        magnitude = bits[i] if exponent == 0 else (special if exponent == _HALF_MASK else normal)
        bits[i] = np.uint32(half << 16) if bfloat16 else np.uint32(magnitude | ((half & 0x8000) << 16))


@_jit()
def scan_halves(
    halves: Array,
    bfloat16: bool,
    rows: tuple[int, int],
    sums: tuple[Array, Array],
    zones: Marked,
    inner: int,
    counts: Array,
) -> None:
    """Scan the blocks ``rows[0] <= row < rows[1]`` of 16-bit data, widened block by block; else as `scan_floats`."""
    moments, counters = sums
    tables = np.zeros((_LANES, BINARY32[1] + 1), np.uint32)
    window = _open_window(rows[1] - rows[0])
    codes = np.empty(BLOCK, np.uint8)
    values = np.empty(BLOCK, np.float32)
    bits = values.view(np.uint32)
    for row in range(rows[0], rows[1]):
        begin = row * BLOCK
        block = halves[begin : begin + BLOCK]
        _widen(block, bfloat16, values, bits)
        _take_block(values[: block.size], bits[: block.size], BINARY32, moments[row], counters, tables, window)
        _take_units(values[: block.size], begin, codes[: block.size], zones, inner, counts)
    _flush(tables, window, BINARY32, counters)


@_jit()
def combine(moments: Array, count: int) -> tuple[float, float]:
    """Mean and sum of squared deviations of all blocks, about the mean of the first, so that equal means stay exact."""
    last = moments.shape[0] - 1
    offset = 0.0
    for row in range(last + 1):
        size = BLOCK if row < last else count - BLOCK * last
        offset += size / count * (moments[row, 0] - moments[0, 0])
    m2 = 0.0
    for row in range(last + 1):
        size = BLOCK if row < last else count - BLOCK * last
        m2 += moments[row, 1] + size * (moments[row, 0] - moments[0, 0] - offset) ** 2
    return moments[0, 0] + offset, m2

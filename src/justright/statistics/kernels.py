"""Numba kernels: every statistic in one pass over memory, a block at a time while it is in the first-level cache.

The moments of a block are taken in float64 about its first element x0, which is one of the sample: with M2 the sum of
squared deviations of n elements, ``n (x0 - mean)**2 <= n M2``, so the one-pass formula loses at most a factor n + 1 =
4097 of the 2**53 of float64, whatever the mean; a constant block gives exactly 0. Blocks are combined about their
common mean in a fixed order, so that the result does not depend on the number of threads.

Largest and smallest magnitude are integer extremes of the bit pattern, which order as the magnitudes do and, unlike
float extremes, run in vector registers, and they are taken first, as they bring the block into the cache fastest.

Zeros come out of the histogram of exponents, and elements that are not finite or are subnormal are looked for only in
blocks whose extremes say that there are any.
"""

from __future__ import annotations

import numpy as np

from justright.statistics.constants import (
    BINARY64,
    BLOCK,
    HISTOGRAM,
    LARGEST,
    NAN,
    NEGATIVE,
    NO_PATTERN,
    POSITIVE,
    SMALLEST,
    ZEROS,
    Array,
    Form,
)
from justright.statistics.exponents import Tables, count_exponents
from justright.statistics.jit import jit
from justright.statistics.summary import LOWEST_EXPONENT

__all__ = ["combine", "take_block", "widen"]

_HALF_MASK = 0x1F


@jit()
def take_block(values: Array, bits: Array, form: Form, moments: Array, counters: Array, tables: Tables) -> None:
    """Add one block, given as numbers and as bit patterns, to the counters, and store its moments."""
    largest, smallest = _extremes(bits)
    moments[0], moments[1] = _moments(values)
    count_exponents(bits, form, (largest, smallest), tables)
    counters[LARGEST] = max(counters[LARGEST], np.int64(largest))
    if smallest:
        counters[SMALLEST] = max(counters[SMALLEST], NO_PATTERN - np.int64(smallest))
    if largest >= np.uint64(form[1] << form[0]) or np.uint64(0) < smallest < np.uint64(1 << form[0]):
        _count_rare(bits, form, counters)


@jit()
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


@jit()
def widen(halves: Array, bfloat16: bool, values: Array, bits: Array) -> None:
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


@jit(fastmath={"reassoc", "contract"})
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


@jit()
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


@jit()
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

"""Numbers that the kernels and what calls them agree on."""

from __future__ import annotations

from typing import Any

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
    "NO_PATTERN",
    "OFF",
    "POSITIVE",
    "SMALLEST",
    "WIDTH",
    "ZEROS",
    "Array",
    "Form",
]

Array = NDArray[Any]

BLOCK = 4096
"""Elements of a block: 16 KiB of float32, which leaves room for the tables in a first-level cache of 32 KiB."""

BINS = HIGHEST_EXPONENT - LOWEST_EXPONENT + 1
"""Bins of the histogram."""

FLAT, OFF = 1, 2
"""Marks of an element on a flat part, and where the unit is off."""

LARGEST, SMALLEST, NAN, POSITIVE, NEGATIVE, ZEROS, HISTOGRAM = range(7)
"""Places of the counters; the histogram takes the rest."""

NO_PATTERN = np.iinfo(np.int64).max
"""What the smallest bit pattern is counted down from, so that all counters begin at 0."""

WIDTH = HISTOGRAM + BINS
"""Number of counters."""

Form = tuple[int, int, int, int]
"""Position of the exponent, its mask, its bias, exponent of the smallest subnormal: IEEE 754-2019, table 3.5."""

BINARY32 = (23, 0xFF, 127, -149)
BINARY64 = (52, 0x7FF, 1023, -1074)

"""From random words of 32 bits to uniform, normal and truncated normal numbers.

A normal number is the quantile of its word, in fixed point: integer arithmetic gives the same bits everywhere, the
tails need no rejection, and a truncated normal is the same function of a narrower range of words. The polar methods
need a logarithm and a root, of which frameworks round some one way and some another.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["LARGEST", "LEVELS", "quantile", "to_normal", "to_symmetric", "to_truncated", "to_uniform", "window"]

Words = NDArray[np.uint32]
Floats = NDArray[np.float32]

HALF: Final = np.uint64(32)

CUT: Final = 6
"""Bits that choose a piece of an octave: 64 pieces keep the quadratic within 4e-8 of the quantile."""

FINER: Final = 12
"""More bits for the slope inside a piece: its rounding stays below one step of the word, and the order is kept."""

POINT: Final = 28
"""Bits after the point of a quantile: the largest, 6.34, is below 2^3 and so leaves 31 bits."""

LARGEST: Final = 6.337957754
"""The largest normal number: the quantile of 2^-33, half a step from the end of 32 bits."""

LEVELS: Final = 1 << 20
"""Fewest levels of a truncated normal, or its steps show: with 2^20, the distance to the distribution is 1e-6."""


@functools.cache
def _pieces() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the quadratic of every piece: its value at the left, and the coefficients of x and x² on [0, 1).

    A node is the largest integer that is not above the exact quantile times 2^28. But for the one at zero, which is
    exact, none is within 4e-4 of an integer, so that every quantile function that is good to 12 digits gives the same.
    """
    octave = np.arange(32)[:, None, None]
    place = (np.arange(1 << CUT)[:, None] + np.array([0.0, 0.5, 1.0])) / (1 << CUT)
    tail = np.ldexp(1.0 + place, octave - 33)
    nodes = np.floor(np.ldexp(-ndtri(tail), POINT)).astype(np.int64)
    left, middle, right = (nodes[..., at].ravel() for at in range(3))
    return left, 4 * middle - 3 * left - right, 2 * (left - 2 * middle + right)


def quantile(words: Words) -> NDArray[np.int32]:
    """Return the standard normal quantile of ``(2 word + 1) / 2^33`` in units of 2^-28.

    The result does not decrease as the word grows, is odd under its complement, and within 4e-8 of the exact quantile.

    Parameters
    ----------
    words
        Any words of 32 bits.

    Returns
    -------
    array of int32
        Fixed-point numbers of the words' shape.

    Examples
    --------
    >>> (quantile(np.array([0, 2**31, 2**32 - 1], np.uint32)) / 2.0**28).round(6).tolist()
    [-6.337958, 0.0, 6.337958]
    """
    upper = words >> np.uint32(31) == 1
    odd = (np.where(upper, ~words, words).astype(np.uint64) << np.uint64(1)) + np.uint64(1)
    octave = np.frexp(odd.astype(np.float64))[1].astype(np.uint64) - np.uint64(1)
    shifted = odd << (np.uint64(31) - octave)
    rest = 31 - CUT
    piece = ((octave << np.uint64(CUT)) + ((shifted >> np.uint64(rest)) & np.uint64((1 << CUT) - 1))).astype(np.intp)
    x = (shifted & np.uint64((1 << rest) - 1)).astype(np.int64)
    left, slope, bend = (table[piece] for table in _pieces())
    size = left + (((slope << FINER) + ((bend * x) >> (rest - FINER))) * x >> (rest + FINER))
    size = np.maximum(size, left + slope + bend)  # the next piece's first, which rounding down would pass
    signed: NDArray[np.int32] = np.where(upper, size, -size).astype(np.int32)
    return signed


def to_uniform(words: Words) -> Floats:
    """Return odd multiples of 2^-24 between zero and one: 2^23 values, symmetric about one half, exact in float32."""
    return np.ldexp((words >> np.uint32(9) << np.uint32(1) | np.uint32(1)).astype(np.float32), -24)


def to_symmetric(words: Words) -> Floats:
    """Return odd multiples of 2^-23 between minus one and one: 2^23 values, symmetric about zero, exact in float32."""
    odd = (words >> np.uint32(9) << np.uint32(1) | np.uint32(1)).astype(np.int32)
    return np.ldexp((odd - np.int32(1 << 23)).astype(np.float32), -23)


def to_normal(words: Words) -> Floats:
    """Return the standard normal quantiles of words; the conversion to float32 is the only rounding."""
    return np.ldexp(quantile(words).astype(np.float32), -POINT)


def to_truncated(words: Words, low: float, high: float) -> Floats:
    """Return numbers of a standard normal variable between two bounds, without rejection.

    Parameters
    ----------
    words
        One a number.
    low, high
        Bounds in standard deviations; infinite ones truncate nothing.

    Returns
    -------
    array of float32
        Of the words' shape, never beyond a bound.

    Raises
    ------
    ValueError
        If the bounds hold less than 2^20 of the 2^32 levels: they lie in the far tail.
    """
    first, last = window(low, high)
    if last - first < LEVELS:
        raise ValueError(f"between {low} and {high} standard deviations lie {max(last - first, 0)} of 2^32 levels")
    inside = np.uint64(first) + ((words.astype(np.uint64) * np.uint64(last - first)) >> HALF)
    fixed = quantile(inside.astype(np.uint32))
    numbers = np.ldexp(fixed.astype(np.float32), -POINT)
    return np.clip(numbers, _inward(low), _inward(high))


def window(low: float, high: float) -> tuple[int, int]:
    """Return the first word whose quantile lies between two bounds, and the word after the last."""
    first = math.ceil(math.ldexp(_below(low), 32) - 0.5) if low > -LARGEST else 0
    last = (1 << 32) - math.ceil(math.ldexp(_below(-high), 32) - 0.5) if high < LARGEST else 1 << 32
    return first, last


def _below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _inward(bound: float) -> np.float32:
    """Return the float32 number nearest to a bound that does not lie farther from zero."""
    near = np.float32(bound)
    return near if abs(float(near)) <= abs(bound) else np.nextafter(near, np.float32(0.0))

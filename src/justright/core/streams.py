"""Random numbers for parameters: a function of seed, parameter name and element, and of nothing else.

The order in which parameters are filled, the device, the number of processes and the shard that a process holds change
no number, and any element can be drawn alone. ``docs/streams.md`` is the specification; it never changes. Everything up
to the last conversion is integer arithmetic, so that every implementation gives the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.quantiles import to_normal, to_uniform

__all__ = ["Stream", "elements", "philox"]

Words = NDArray[np.uint32]
Longs = NDArray[np.uint64]
Floats = NDArray[np.float32]

MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)  # Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
WEYL: Final = (0x9E3779B9, 0xBB67AE85)  # the same: the golden ratio, and the root of three minus one
ROUNDS: Final = 10  # the same, table 2: the least number of rounds that passes BigCrush with a margin

UNIT: Final = 64
"""Elements of a unit: 16 counters of 4 words, so that each word of 16 counters fills one cache line."""

LANES: Final = UNIT // 4

CHUNK: Final = 1 << 18
"""Elements computed at one time: arrays of half a megabyte, which stay in a processor's cache."""

LOW: Final = np.uint64(0xFFFFFFFF)
HALF: Final = np.uint64(32)


def philox(counter: tuple[Longs, Longs, Longs, Longs], key: tuple[int, int]) -> tuple[Longs, Longs, Longs, Longs]:
    """Return the four words of Philox4x32-10 for each counter.

    Parameters
    ----------
    counter
        Four words of 32 bits, as uint64 arrays that broadcast, the lowest first.
    key
        Two words of 32 bits.

    Returns
    -------
    tuple of arrays
        Four words of 32 bits in uint64.

    Examples
    --------
    >>> zero = (np.zeros(1, np.uint64),) * 4
    >>> [hex(int(word[0])) for word in philox(zero, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    first, second, third, fourth = counter
    low, high = key
    for _ in range(ROUNDS):
        left, right = first * np.uint64(MULTIPLIERS[0]), third * np.uint64(MULTIPLIERS[1])
        first, second = (right >> HALF) ^ second ^ np.uint64(low), right & LOW
        third, fourth = (left >> HALF) ^ fourth ^ np.uint64(high), left & LOW
        low, high = (low + WEYL[0]) & 0xFFFFFFFF, (high + WEYL[1]) & 0xFFFFFFFF
    return first, second, third, fourth


@dataclass(frozen=True, slots=True)
class Stream:
    """The random numbers of one parameter.

    Parameters
    ----------
    key
        64 bits; `Stream.of` makes them from a seed and a name.
    lane
        Which of 2^32 independent sequences: a scheme that needs more than one number an element uses several.

    Examples
    --------
    >>> stream = Stream.of(0, "layers.0.weight")
    >>> stream.normal(0, 4).tolist() == stream.normal(0, 100)[:4].tolist()
    True
    """

    key: int
    lane: int = 0

    @classmethod
    def of(cls, seed: int, name: str) -> Stream:
        """Return the stream of a parameter.

        Parameters
        ----------
        seed
            Any integer, of any size.
        name
            Name of the parameter in its model.
        """
        digest = hashlib.blake2b(f"{int(seed)}:{name}".encode(), digest_size=8).digest()
        return cls(int.from_bytes(digest, "little"))

    def beside(self, lane: int) -> Stream:
        """Return an independent stream of the same parameter."""
        return replace(self, lane=lane)

    def words(self, start: int, stop: int) -> Words:
        """Return the words of elements `start` to `stop`, as uint32."""
        out = np.empty(max(stop - start, 0), np.uint32)
        for begin in range(start, stop, CHUNK):
            end = min(begin + CHUNK, stop)
            first, last = begin // UNIT, -(-end // UNIT)
            whole = self._units(first, last)
            out[begin - start : end - start] = whole[begin - first * UNIT : end - first * UNIT]
        return out

    def words_at(self, elements: NDArray[np.integer]) -> Words:
        """Return the words of any elements, as uint32 of their shape."""
        flat = np.ravel(elements).astype(np.uint64)
        out = np.empty(flat.size, np.uint32)
        for begin in range(0, flat.size, CHUNK):
            some = flat[begin : begin + CHUNK]
            within = some % np.uint64(UNIT)
            counter = some // np.uint64(UNIT) * np.uint64(LANES) + within % np.uint64(LANES)
            out[begin : begin + CHUNK] = np.choose((within // np.uint64(LANES)).astype(np.intp), self._four(counter))
        return out.reshape(np.shape(elements))

    def uniform(self, start: int, stop: int) -> Floats:
        """Return numbers between zero and one, both left out, as float32."""
        return to_uniform(self.words(start, stop))

    def normal(self, start: int, stop: int) -> Floats:
        """Return standard normal numbers, of magnitude up to 6.34, as float32."""
        return to_normal(self.words(start, stop))

    def _units(self, first: int, last: int) -> Words:
        counter = np.arange(first * LANES, last * LANES, dtype=np.uint64)
        lines = [word.astype(np.uint32).reshape(-1, LANES) for word in self._four(counter)]
        return np.stack(lines, axis=1).ravel()

    def _four(self, counter: Longs) -> tuple[Longs, Longs, Longs, Longs]:
        lane = np.full(1, self.lane, np.uint64)
        return philox(
            (counter & LOW, counter >> HALF, lane, np.zeros(1, np.uint64)), (self.key & 0xFFFFFFFF, self.key >> 32)
        )


def elements(shape: Sequence[int], order: Sequence[int], part: Sequence[slice] | None = None) -> NDArray[np.int64]:
    """Return the numbers of the elements of a part of a parameter.

    Elements are numbered row by row after the axes have been put into `order`, so that the same weights stored in two
    orders get the same numbers.

    Parameters
    ----------
    shape
        Of the whole parameter, as it is stored.
    order
        Axes, the slowest first.
    part
        A slice of every axis; the whole parameter without it.

    Returns
    -------
    array of int64
        Of the part's shape, as it is stored.

    Examples
    --------
    >>> elements((2, 3), (1, 0)).tolist()
    [[0, 2, 4], [1, 3, 5]]
    """
    part = part or (slice(None),) * len(shape)
    numbers: NDArray[np.int64] = np.zeros((1,) * len(shape), np.int64)
    stride = 1
    for axis in reversed(tuple(order)):
        index = np.arange(shape[axis], dtype=np.int64)[part[axis]] * stride
        numbers = numbers + index.reshape([-1 if at == axis else 1 for at in range(len(shape))])
        stride *= shape[axis]
    return numbers

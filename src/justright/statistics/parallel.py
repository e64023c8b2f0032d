"""Run the kernels over a dense stretch of memory, on all cores where that pays, and combine what they found."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.statistics import kernels
from justright.statistics.summary import Summary
from justright.statistics.units import Tiling, Zones

__all__ = ["INLINE", "scan", "threads"]

Array = NDArray[Any]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
PATTERNS: Final[dict[np.dtype[Any], np.dtype[Any]]] = {FLOAT32: np.dtype(np.uint32), FLOAT64: np.dtype(np.uint64)}
NOWHERE = Zones((), ())
LARGEST_PATTERN: Final = np.iinfo(np.int64).max

INLINE = 1 << 18
"""Arrays below this size are not split: waking a thread takes about 0.1 ms, which is what it saves there."""

SHARE = 64
"""Most blocks that a thread takes at once: about 0.25 ms of work, against some microseconds to take them."""


def scan(flat: Array, *, bfloat16: bool = False, tiling: Tiling | None = None) -> tuple[Summary, Array]:
    """Return the summary of a dense stretch and the counts of its units.

    Parameters
    ----------
    flat
        One axis, C-contiguous, aligned, read-only, not empty; float32, float64, float16, or uint16 with `bfloat16`.
    bfloat16
        Whether the 16-bit patterns are bfloat16.
    tiling
        How units lie in it; ``None`` counts no units.

    Returns
    -------
    tuple
        The summary, and flat and off counts of shape ``[2, units]``; ``[2, 1]`` of zeros without a tiling.
    """
    rows = -(-flat.size // kernels.BLOCK)
    workers = min(threads(), rows) if flat.size >= INLINE else 1
    moments = np.empty((rows, 2))
    counters = np.zeros((workers, kernels.HISTOGRAM + kernels.BINS), np.int64)
    counters[:, kernels.SMALLEST] = LARGEST_PATTERN
    counts = np.zeros((workers, 2, tiling.units if tiling else 1), np.int64)
    work = _work(flat, bfloat16, tiling, moments, counters, counts)
    if workers == 1:
        work(0, 0, rows)
    else:
        _share(work, rows, workers)
    return _summary(flat, moments, counters), _total(counts)


def _share(work: Callable[[int, int, int], None], rows: int, workers: int) -> None:
    """Let the calling thread and the pool take shares of the blocks in turn, until none is left.

    A thread whose core is busy with something else then takes fewer, and is not waited for if it has not begun.
    """
    step = min(-(-rows // (4 * workers)), SHARE)
    shares = deque((first, min(first + step, rows)) for first in range(0, rows, step))

    def take(worker: int) -> None:
        with suppress(IndexError):
            while True:
                work(worker, *shares.popleft())

    others = [_pool().submit(take, worker) for worker in range(1, workers)]
    take(0)
    for other in others:
        if not other.cancel():
            other.result()


def _work(
    flat: Array, bfloat16: bool, tiling: Tiling | None, moments: Array, counters: Array, counts: Array
) -> Callable[[int, int, int], None]:
    """Return the function that scans a range of blocks into the counters of one worker."""
    wide = _wide(flat)
    zones = _intervals(tiling.zones if tiling else NOWHERE, wide)
    inner = tiling.inner if tiling else 1

    def work(worker: int, first: int, last: int) -> None:
        rest = ((first, last), (moments, counters[worker]), zones, inner, counts[worker])
        if flat.dtype.itemsize < wide.itemsize:
            kernels.scan_halves(flat.view(np.uint16), bfloat16, *rest)
        else:
            form = kernels.BINARY64 if wide is FLOAT64 else kernels.BINARY32
            kernels.scan_floats((flat, flat.view(PATTERNS[wide])), form, *rest)

    return work


def _wide(flat: Array) -> np.dtype[Any]:
    """Return the type in which the kernels see the data."""
    return FLOAT64 if flat.dtype == FLOAT64 else FLOAT32


@lru_cache(maxsize=256)
def _intervals(zones: Zones, dtype: np.dtype[Any]) -> tuple[Array, NDArray[np.uint8]]:
    """Different intervals and their marks; most functions are off where they are flat, which halves the comparisons."""
    marks: dict[tuple[float, float], int] = {}
    for mark, intervals in ((kernels.FLAT, zones.flat), (kernels.OFF, zones.off)):
        for interval in intervals:
            marks[interval] = marks.get(interval, 0) | mark
    return _inward(np.array([*marks], np.float64).reshape(-1, 2), dtype), np.array([*marks.values()], np.uint8)


def _inward(exact: NDArray[np.float64], dtype: np.dtype[Any]) -> Array:
    """Interval ends in the type of the data, rounded inwards, so that comparisons are those of the exact ends."""
    with np.errstate(over="ignore", under="ignore"):
        ends = exact.astype(dtype)
        if ends.size:
            low, high = ends.astype(np.float64).T
            ends[:, 0] = np.where(low < exact[:, 0], np.nextafter(ends[:, 0], dtype.type(np.inf)), ends[:, 0])
            ends[:, 1] = np.where(high > exact[:, 1], np.nextafter(ends[:, 1], dtype.type(-np.inf)), ends[:, 1])
    return ends


def _summary(flat: Array, moments: Array, counters: Array) -> Summary:
    """Combine the blocks and the workers."""
    largest, smallest, *others = zip(*counters[:, : kernels.HISTOGRAM].tolist(), strict=True)
    nan, positive, negative, zeros = map(sum, others)
    wide = _wide(flat)
    patterns = np.array([max(largest), min(smallest)]).astype(PATTERNS[wide])
    absmax, least = patterns.view(wide).tolist()
    return Summary.from_parts(
        flat.size,
        kernels.combine(moments, flat.size),
        (absmax, least if zeros + nan < flat.size else math.inf),
        zeros,
        (nan, positive, negative),
        _total(counters)[kernels.HISTOGRAM :],
    )


def _total(counts: Array) -> Array:
    """Sum over the workers."""
    total: Array = counts[0] if len(counts) == 1 else counts.sum(axis=0)
    return total


@lru_cache(maxsize=1)
def threads() -> int:
    """Return how many threads a scan may use: the cores given to this process, or ``OMP_NUM_THREADS`` if it is smaller.

    Launchers of several processes on one machine set that variable to share the cores out.
    """
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(given, int(limit)) if limit.isdigit() and int(limit) else given


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix="justright-statistics")


if hasattr(os, "register_at_fork"):  # the threads of a pool do not exist in a forked child
    os.register_at_fork(after_in_child=_pool.cache_clear)

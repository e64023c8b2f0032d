"""Which threads scan: those of the framework's own OpenMP runtime, or else a pool of this package.

After a parallel operation the threads of an OpenMP runtime stay awake for some milliseconds, waiting for the next one.
A second set of threads then finds no free core, and starts too late to help; the awake ones start within microseconds.
"""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Protocol

from justright.statistics.constants import Array
from justright.statistics.jit import Entry

__all__ = ["OpenMP", "Pool", "Team", "address_of", "join", "team"]


class Team(Protocol):
    """Threads that run one entry together."""

    least: int
    """Elements from which on a second thread pays."""

    def threads(self) -> int:
        """Return how many threads there are at most."""
        ...

    def run(self, entry: Entry, task: Array, memory: tuple[object, ...], workers: int) -> None:
        """Call the entry on at most `workers` threads at once; return when all of them have.

        The task holds addresses of `memory`, which must outlive every call, also one that an interrupt left behind.
        """
        ...


class Pool:
    """Threads of Python's own."""

    least = 1 << 21
    """It takes about 0.3 ms until a second thread has begun, next to a framework that keeps its own awake."""

    def threads(self) -> int:
        """Return the number of cores of this process, or ``OMP_NUM_THREADS`` if it is smaller.

        Launchers of several processes on one machine set that variable to share the cores out.
        """
        given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        limit = os.environ.get("OMP_NUM_THREADS", "")
        return min(given, int(limit)) if limit.isdigit() and int(limit) else given

    def run(self, entry: Entry, task: Array, memory: tuple[object, ...], workers: int) -> None:
        """Run here and in the pool; a thread that has not begun when the work is done is not waited for."""
        others = [_pool().submit(_call, entry, task, memory) for _ in range(1, workers)]
        _call(entry, task, memory)
        for other in others:
            if not other.cancel():
                other.result()


class OpenMP:
    """Threads of an OpenMP runtime that is loaded.

    Parameters
    ----------
    library
        Path of the runtime; it must have GNU's entry points, as those of GNU, LLVM and Intel have on Linux.

    Raises
    ------
    OSError, AttributeError
        If there is no such library, or it lacks an entry point.
    """

    least = 1 << 16
    """About 40 microseconds of work, several times what it takes to start and to meet again."""

    def __init__(self, library: str) -> None:
        runtime = ctypes.CDLL(library)
        self._threads = runtime.omp_get_max_threads
        self._parallel = runtime.GOMP_parallel
        self._parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        self._parallel.restype = None

    def threads(self) -> int:
        """Return how many threads the framework uses now."""
        return int(self._threads())

    def run(self, entry: Entry, task: Array, memory: tuple[object, ...], workers: int) -> None:  # noqa: ARG002
        """Run as one parallel region, which nothing can interrupt.

        Always with all threads, since the runtime ends those that a smaller region leaves out.
        """
        self._parallel(entry.address, address_of(task), self.threads(), 0)


def address_of(array: Array) -> int:
    """Return where the first element of an array is."""
    address: int = array.__array_interface__["data"][0]
    return address


def _call(entry: Entry, task: Array, _memory: tuple[object, ...]) -> None:
    entry.call(address_of(task))


_teams: list[Team] = [Pool()]


def team() -> Team:
    """Return the threads that scan."""
    return _teams[-1]


def join(library: str) -> bool:
    """Scan on the threads of this OpenMP runtime from now on, in this process; say whether that works."""
    try:
        _teams[1:] = [OpenMP(library)]
    except (OSError, AttributeError):
        return False
    return True


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(team().threads(), thread_name_prefix="justright-statistics")


def _forked() -> None:
    """Leave behind what a forked child has not: the threads of any pool."""
    _pool.cache_clear()
    del _teams[1:]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

"""What the fused statistics cost, one by one, and against NumPy and PyTorch on the same array, as ratios in one run.

Run ``python benchmarks/statistics_kernels.py [millions of elements]``; the default is 64 Mi elements of float32.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch

from justright.core.zones import Zones
from justright.statistics import kernels, parallel, reference, summarize, summarize_units

REPEATS = 7
RELU = Zones(flat=((-np.inf, 0.0),), off=((-np.inf, 0.0),))


def variant(*, moments: bool, extremes: bool, histogram: bool) -> Callable[[np.ndarray], float]:
    """Compile the loop over blocks with some of its three parts; the flags are constants to the compiler."""

    @numba.njit(nogil=True)
    def scan(values, bits, tables):
        total = 0.0
        for begin in range(0, values.size, kernels.BLOCK):
            block = values[begin : begin + kernels.BLOCK]
            pattern = bits[begin : begin + kernels.BLOCK]
            if histogram:
                kernels._tally(pattern, kernels.BINARY32, tables)
            if moments:
                mean, m2 = kernels._moments(block)
                total += mean + m2
            if extremes:
                largest, smallest = kernels._extremes(pattern)
                total += largest + smallest
        return total

    tables = np.zeros((8, 256), np.uint32)
    return lambda values: scan(values, values.view(np.uint32), tables)


def single(function: Callable[[np.ndarray], object]) -> Callable[[np.ndarray], object]:
    """Run a summary on one thread."""

    def run(values):
        with_threads, parallel.threads = parallel.threads, lambda: 1
        try:
            return function(values)
        finally:
            parallel.threads = with_threads

    return run


def torch_naive(values: np.ndarray) -> tuple[float, ...]:
    """Compute what a simple hook would."""
    t = torch.from_numpy(values)
    return t.mean().item(), t.std().item(), t.abs().max().item(), (t == 0).float().mean().item()


def candidates() -> dict[str, Callable[[np.ndarray], object]]:
    """Return what is timed, by name."""
    parts = {"moments": "mean, std, rms", "extremes": "absmax, min_nonzero", "histogram": "histogram, zeros"}
    every = dict.fromkeys(parts, True)
    none = dict.fromkeys(parts, False)
    return {
        "summarize, all threads": summarize,
        "summarize, 1 thread": single(summarize),
        "summarize + units inner=3136, 1 thread": single(lambda x: summarize_units(x.reshape(-1, 64, 3136), 1, RELU)),
        "summarize + units inner=49, 1 thread": single(lambda x: summarize_units(x.reshape(-1, 64, 49), 1, RELU)),
        "summarize + units inner=1, 1 thread": single(lambda x: summarize_units(x.reshape(-1, 3136), 1, RELU)),
        "blocks with everything, 1 thread": variant(**every),
        **{f"blocks without {label}, 1 thread": variant(**{**every, part: False}) for part, label in parts.items()},
        **{f"blocks with only {label}, 1 thread": variant(**{**none, part: True}) for part, label in parts.items()},
        "NumPy reference, 1 thread": reference.scan,
        "numpy mean + std": lambda x: (x.mean(), x.std()),
        "torch sum, all threads": lambda x: torch.from_numpy(x).sum().item(),
        "torch std, all threads": lambda x: torch.from_numpy(x).std().item(),
        "torch abs().max(), all threads": lambda x: torch.from_numpy(x).abs().max().item(),
        "torch mean, std, abs().max(), zero share": torch_naive,
    }


def best(function: Callable[[np.ndarray], object], values: np.ndarray, repeats: int = REPEATS) -> float:
    """Return the shortest time in seconds; the first call, which may compile, is not timed."""
    function(values)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(values)
        times.append(time.perf_counter() - start)
    return min(times)


def table(values: np.ndarray) -> None:
    """Print nanoseconds per element, and each time as a multiple of the fused pass on all threads."""
    print(f"{values.size / 2**20:.0f} Mi elements of float32, {parallel.threads()} threads, minimum of {REPEATS}")
    base = 0.0
    for name, function in candidates().items():
        seconds = best(function, values, 2 if "reference" in name else REPEATS)
        base = base or seconds
        print(f"{name:52s} {seconds / values.size * 1e9:7.3f} ns/element {seconds / base:7.2f}x")


def kinds(normal: np.ndarray) -> None:
    """Print how much the data matter: equal neighbours stall a naive histogram, subnormals take the slow path."""
    for name, values in {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "constant": np.ones_like(normal),
        "one nan per block": np.where(np.arange(normal.size) % kernels.BLOCK == 0, np.nan, normal).astype(np.float32),
        "subnormal": normal * np.float32(1e-40),
        "float64": normal.astype(np.float64),
        "float16": normal.astype(np.float16),
    }.items():
        print(f"{name:52s} {best(single(summarize), values) / values.size * 1e9:7.3f} ns/element, 1 thread")


def break_even(normal: np.ndarray) -> None:
    """Print where a second thread begins to pay."""
    limit = parallel.INLINE
    for exponent in range(14, 23):
        values = normal[: 1 << exponent]
        times = []
        for parallel.INLINE in (1 << 62, 0):
            times.append(statistics.median(best(summarize, values, 20) for _ in range(5)))
        print(f"2**{exponent} elements: {times[0] * 1e6:8.1f} us inline, {times[1] * 1e6:8.1f} us split")
    parallel.INLINE = limit


if __name__ == "__main__":
    size = (int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 64 * 2**20) // (64 * 3136) * (64 * 3136)
    generators = [np.random.default_rng(seed) for seed in range(2)]
    with ThreadPoolExecutor() as pool:
        halves = pool.map(lambda g: g.standard_normal(size // 2, dtype=np.float32), generators)
    data = np.concatenate(list(halves))
    table(data)
    kinds(data[: 1 << 24])
    break_even(data)

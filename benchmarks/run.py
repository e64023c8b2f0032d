"""All benchmarks; prints their tables and writes them to benchmarks/results.md.

Run by ``make bench``, or ``python benchmarks/run.py [repeats]``. Ratios are within one run; seconds are of the machine
named.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import check_cost
import import_time
import measure_overhead
import predicting
import trace_scaling

RESULTS = Path(__file__).with_name("results.md")
REPEATS = 5


def header() -> str:
    """Say when, where and with what."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy", "numba"))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return f"Written by `make bench` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}; {machine}; {packages}.\n"


def main() -> None:
    """Run everything, one after the other."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    sections: dict[str, Callable[[], str]] = {
        "What a check costs, by diagnostic": lambda: check_cost.table(repeats),
        "What an examination costs": lambda: measure_overhead.table(repeats),
        "Cost against the number of sites": trace_scaling.table,
        "Predicting models that no machine here could hold": predicting.table,
        "Starting": import_time.table,
    }
    parts = ["# Benchmarks\n", header()]
    print("\n".join(parts))
    for title, table in sections.items():
        parts.append(f"\n## {title}\n\n{table()}\n")
        print(parts[-1], flush=True)
    RESULTS.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Seconds that importing justright and starting its command take, in fresh interpreters.

Run ``python benchmarks/import_time.py``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 7
COMMANDS = {
    "python, nothing imported": [sys.executable, "-c", "pass"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import justright": [sys.executable, "-c", "import justright"],
    "justright --version": [str(Path(sys.executable).with_name("justright")), "--version"],
    "import torch, for comparison": [sys.executable, "-c", "import torch"],
}


def seconds(command: list[str]) -> float:
    """Return the median wall time of a command."""
    rounds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        rounds.append(time.perf_counter() - began)
    return statistics.median(rounds)


def table() -> str:
    """Return the results as a Markdown table."""
    lines = ["| command | seconds |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {seconds(command):.2f} |" for name, command in COMMANDS.items())])


if __name__ == "__main__":
    print(table())

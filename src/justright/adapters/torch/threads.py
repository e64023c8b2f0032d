"""The threads of PyTorch's OpenMP runtime, lent to the statistics, so that no others compete with them."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path

import torch

from justright.statistics.compute import backend

__all__ = ["lend_threads"]

RUNTIMES = ("libgomp", "libiomp5", "libomp")
"""File names of the OpenMP runtimes that have GNU's entry points."""


@lru_cache(maxsize=1)
def lend_threads() -> bool:
    """Let the statistics of this process run on PyTorch's threads; say whether they do.

    Where PyTorch was built without OpenMP, or its runtime cannot be told, they keep to threads of their own.
    """
    library = _runtime() if backend() == "numba" and "backend: OpenMP" in torch.__config__.parallel_info() else None
    return library is not None and importlib.import_module("justright.statistics.threads").join(library)


def _runtime() -> str | None:
    """Path of the loaded runtime: the one that came with PyTorch, or the only one."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    files = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "/" in line}
    loaded = sorted(file for file in files if Path(file).name.startswith(RUNTIMES))
    own = [file for file in loaded if file.startswith(f"{Path(torch.__file__).parent}/")]
    found = own or loaded
    return found[0] if len(found) == 1 else None

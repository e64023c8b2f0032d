"""How finely the numbers of a tensor are resolved: their format, how many are distinct, whether they lie on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXAMINED", "Lattice", "sample", "spread_out"]

Array = NDArray[np.float64]

EXAMINED: Final = 20_000
"""Elements of a large tensor that are looked at one by one: a Kolmogorov-Smirnov distance of 0.012 is seen at 1 %."""

SEED: Final = 0x51AB  # any: the same elements in every run

EVEN: Final = 4.0  # a grid's median gap is its step; that of rounded numbers grows with them, by two a binade


@dataclass(frozen=True, slots=True)
class Lattice:
    """How finely numbers are resolved.

    Parameters
    ----------
    precision
        The coarsest of ``"bfloat16"``, ``"float16"``, ``"float32"`` and ``"float64"`` that holds all of them.
    distinct
        How many of the numbers differ from each other.
    step
        Distance of neighbours on an even grid of few points; ``None`` where there is no such grid.
    """

    precision: str
    distinct: int
    step: float | None = None

    @classmethod
    def of(cls, x: Array) -> Lattice:
        """Return the resolution of finite numbers ``[n]``."""
        values = np.unique(x)
        return cls(_precision(values), values.size, _step(values, x.size))

    @property
    def epsilon(self) -> float:
        """Relative distance of neighbours in the format."""
        return {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23}.get(self.precision, 2.0**-52)


def sample(x: NDArray[Any]) -> NDArray[Any]:
    """Return at most `EXAMINED` of the elements ``[n]``, the same ones in every run, in their order."""
    if x.size <= EXAMINED:
        return x
    chosen = np.unique(np.random.default_rng(SEED).integers(0, x.size, EXAMINED))
    return np.asarray(x[chosen])


def spread_out(x: Array) -> Array:
    """Return numbers that rounding made equal, each moved at random to a place that rounds to it.

    A distribution is continuous; numbers with few values are as they come from one after rounding, which a test of the
    distribution would take for a difference.

    Parameters
    ----------
    x
        At least two values, ``[n]``; left as they are unless most occur several times.
    """
    values, place = np.unique(x, return_inverse=True)
    if values.size * 2 > x.size:
        return x
    gaps = np.diff(values)
    below, above = np.r_[gaps[:1], gaps], np.r_[gaps, gaps[-1:]]
    moved = np.random.default_rng(SEED).uniform(-0.5, 0.5, x.size)
    return np.asarray(x + moved * np.where(moved < 0.0, below[place], above[place]))


def _precision(values: Array) -> str:
    with np.errstate(over="ignore"):
        single, half = values.astype(np.float32), values.astype(np.float16)
        if not np.array_equal(single, values):
            return "float64"
        if not np.any(single.view(np.uint32) & np.uint32(0xFFFF)):  # bfloat16 is the upper half of float32
            return "bfloat16"
        return "float16" if np.array_equal(half, values) else "float32"


def _step(values: Array, size: int) -> float | None:
    """Return the step of the grid: rounded draws have small gaps near zero, a grid has none."""
    if values.size < 3 or values.size * 2 > size:  # noqa: PLR2004  two values have one gap
        return None
    gaps = np.diff(values)
    step = float(np.median(gaps))
    return step if step < EVEN * float(gaps.min()) else None

"""Pairs of rows, all with all: inner products, and units that are copies of each other."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["copies", "gram"]

Array = NDArray[np.float64]

EQUAL: Final = 1e-3
"""Difference of two units over their variation below which they are copies; chance: under 1e-180."""

NOISE: Final = 16.0
"""Units of rounding below which a unit counts as constant: a sum of 256 products errs by sqrt(256) of them."""

ROWS: Final = 64
"""Rows over which units are compared: independent units never agree on so many, see `EQUAL`."""

PRODUCT: Final = 2**18
"""Most multiplications of one matrix product: OpenBLAS calls threads of its own for more (SMP_THRESHOLD_MIN times
GEMM_MULTITHREAD_THRESHOLD), which then spin for 2**26 clock ticks (THREAD_TIMEOUT) on cores that a framework needs."""

SIDE: Final = 64
"""Rows of a block of a product: 64**3 multiplications are `PRODUCT`."""


def copies(values: Array, epsilon: float) -> tuple[int, int]:
    """Count the units that vary, and those among them that equal no earlier one, over an even subsample of rows.

    Parameters
    ----------
    values
        Shape ``[examples, positions, units]``.
    epsilon
        Spacing of the dtype at 1.
    """
    rows = values.reshape(-1, values.shape[2])
    rows = rows[:: -(-len(rows) // ROWS)]
    deviations = rows - rows.mean(0)
    size, spread = np.sqrt((rows**2).mean(0)), np.sqrt((deviations**2).mean(0))
    alive = spread > NOISE * epsilon * size
    kept, spread = rows[:, alive], spread[alive]
    squares = (kept**2).sum(0)
    distance = (squares[:, None] + squares - 2.0 * gram(kept.T)).clip(min=0.0) / len(rows)
    equal = np.sqrt(distance) <= EQUAL * np.minimum(spread[:, None], spread)
    return int(alive.sum()), int(alive.sum() - np.triu(equal, 1).any(0).sum())


def gram(rows: Array) -> Array:
    """Return the inner products of all pairs of rows, in parts that BLAS computes on the calling thread."""
    blocks = [rows[first : first + SIDE] for first in range(0, len(rows), SIDE)]
    return np.block([[_products(left, right) for right in blocks] for left in blocks]) if blocks else np.zeros((0, 0))


def _products(left: Array, right: Array) -> Array:
    width = PRODUCT // (len(left) * len(right))
    whole = np.zeros((len(left), len(right)))
    for first in range(0, left.shape[1], width):
        whole += left[:, first : first + width] @ right[:, first : first + width].T
    return whole

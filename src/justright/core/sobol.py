"""Sobol' points: draws that fill a cube more evenly than random ones, for integrals over a few variables.

The points are those of `scipy.stats.qmc.Sobol` with seed 0, bit for bit; importing `scipy.stats` for them would take
longer than the prediction of a small network.

References
----------
Joe and Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections"; Matoušek 1998, "On the
L2-discrepancy for anchored boxes", for the scrambling.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array

__all__ = ["MOST_DIMENSIONS", "sobol"]

BITS: Final = 30
"""Binary digits of a coordinate, as in SciPy."""

DIRECTIONS: Final = (
    (1, (1,) * BITS), (3, (1,)), (7, (1, 3)), (11, (1, 3, 1)), (13, (1, 1, 1)), (19, (1, 1, 3, 3)), (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)), (41, (1, 1, 5, 5, 5)), (47, (1, 1, 7, 11, 19)), (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
)  # fmt: skip
"""Primitive polynomial, as the digits of a number, and initial direction numbers by dimension: new-joe-kuo-6.21201."""

MOST_DIMENSIONS: Final = len(DIRECTIONS)
"""Dimensions for which there are points."""

Words = NDArray[np.uint32]


def sobol(dimensions: int, count: int) -> Array:
    """Return scrambled Sobol' points in the unit cube, one a row; always the same.

    Parameters
    ----------
    dimensions
        Coordinates of a point, at most `MOST_DIMENSIONS`.
    count
        Points; a power of two fills the cube evenly.

    Examples
    --------
    >>> points = sobol(2, 16)
    >>> [int(np.sum(points[:, 0] < edge)) for edge in (0.25, 0.5, 0.75)]
    [4, 8, 12]
    """
    rng = np.random.default_rng(0)
    shift = rng.integers(2, size=(dimensions, BITS), dtype=np.uint32) @ (2 ** np.arange(BITS, dtype=np.uint32))
    lower = np.tril(rng.integers(2, size=(dimensions, BITS, BITS), dtype=np.uint32))
    columns = np.stack([_scrambled(_directions(*each), by) for each, by in zip(DIRECTIONS, lower, strict=False)])
    steps = np.empty((count, dimensions), np.uint32)
    steps[0] = shift
    changing = np.array([(~at & (at - 1)).bit_length() for at in range(1, count)], np.intp)  # of Gray's code
    steps[1:] = columns.T[changing]
    return np.asarray(np.bitwise_xor.accumulate(steps, axis=0) * 2.0**-BITS)


def _directions(polynomial: int, first: tuple[int, ...]) -> Words:
    """Continue direction numbers by their recurrence, and align them at the binary point; Joe and Kuo 2008, eq. 2."""
    degree, found = polynomial.bit_length() - 1, list(first)
    for at in range(len(found), BITS):
        new = found[at - degree]
        for back in range(1, degree + 1):
            if polynomial >> (degree - back) & 1:
                new ^= found[at - back] << back
        found.append(new)
    return np.array([number << (BITS - 1 - at) for at, number in enumerate(found)], np.uint32)


def _scrambled(directions: Words, lower: Words) -> Words:
    """Multiply the digits of direction numbers with a lower triangular matrix, modulo two."""
    matrix = lower.copy()
    np.fill_diagonal(matrix, 1)
    places = np.arange(BITS - 1, -1, -1, dtype=np.uint32)
    digits = directions[:, None] >> places & 1
    return np.asarray((digits @ matrix.T % 2 << places).sum(axis=1, dtype=np.uint32))

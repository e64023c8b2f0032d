"""The expectations of an activation over all second moments that matter, computed once."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.meanfield.activation import Activation
from justright.meanfield.maps import mean_slope, mean_square

__all__ = ["FLAT", "Table", "brackets", "table_of"]

Array = NDArray[np.float64]

DECADES: Final = (-30, 6)
"""Second moments, as powers of ten: from where float64 is linear to inputs of a thousand."""

PER_DECADE: Final = 8
"""Points a decade: an activation's expectations change over a factor of about ten in q."""

FLAT: Final = 1e-12
"""A relative difference below this is rounding: expectations are exact to 1e-14, and a few of them are combined."""


@dataclass(frozen=True)
class Table:
    """Expectations on a grid.

    Parameters
    ----------
    q
        Second moments, ascending.
    square, slope
        E phi² and E phi'² at each.
    """

    q: Array
    square: Array
    slope: Array

    @property
    def increasing(self) -> bool:
        """Whether E phi² never falls with q, so that the second moment runs monotonically to a fixed point."""
        finite = self.square[np.isfinite(self.square)]
        return bool(np.all(np.diff(finite) >= -FLAT * finite[1:]))


@lru_cache(maxsize=32)
def table_of(activation: Activation) -> Table:
    """Return the expectations of an activation.

    Parameters
    ----------
    activation
        phi.

    Returns
    -------
    Table
        On eight points a decade; computed once for each activation.
    """
    low, high = DECADES
    q = np.logspace(low, high, (high - low) * PER_DECADE + 1)
    parts = np.split(q, range(PER_DECADE, q.size, PER_DECADE))  # a decade at a time bounds the memory of waves
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a function that varies too fast does so far out only
        square = np.concatenate([mean_square(activation, part) for part in parts])
        slope = np.concatenate([mean_slope(activation, part) for part in parts])
    return Table(q, square, slope)


def brackets(q: Array, relative: Array) -> list[tuple[float, float]]:
    """Return the intervals over which a function on a grid changes its sign.

    Parameters
    ----------
    q, relative
        The grid, and the function there in units in which one is large; below `FLAT` its sign is not known.

    Returns
    -------
    list
        Pairs of grid points with known and opposite signs.
    """
    known = np.flatnonzero(np.isfinite(relative) & (np.abs(relative) > FLAT))
    signs = np.sign(relative[known])
    changes = np.flatnonzero(signs[1:] != signs[:-1])
    return [(float(q[known[at]]), float(q[known[at + 1]])) for at in changes]

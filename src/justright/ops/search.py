"""Where a label changes along the real line: a grid that is fine where activations bend, then bisection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.ops.base import Array

__all__ = ["CORE", "SPAN", "changes", "grid"]

CORE: Final = 10.0
"""Inputs up to this size are looked at evenly; networks in their healthy zone have no others."""

SPAN: Final = 1e3
"""Inputs up to this size are looked at at all, the larger ones on a logarithmic scale."""

EVEN: Final = np.linspace(-CORE, CORE, 2001)
LOGARITHMIC: Final = np.geomspace(1e-6, SPAN, 541)  # 60 points a decade
HALVINGS: Final = 50  # the widest cell, 40 at SPAN, shrinks to 4e-14, below the spacing of float64 there

Labels = Callable[[Array], NDArray[Any]]


def grid(points: Iterable[float] = ()) -> Array:
    """Return an ascending grid on ``[-SPAN, SPAN]`` that contains zero and the given points.

    Parameters
    ----------
    points
        Points to include; those outside the span are left out.
    """
    extra = np.array([point for point in points if abs(point) <= SPAN], dtype=np.float64)
    return np.unique(np.concatenate([EVEN, LOGARITHMIC, -LOGARITHMIC, extra]))


def changes(labels: Labels, points: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """Bracket every change of a label between neighbours of a grid.

    Parameters
    ----------
    labels
        Maps ``n`` inputs to an integer or boolean array of shape ``(rows, n)``, one row a label.
    points
        Ascending grid.

    Returns
    -------
    below, above : Array
        For each change, ordered by row and position, neighbouring floating-point numbers (or nearly so) on either
        side of it.
    rows : NDArray
        The row that changes there.

    Examples
    --------
    >>> below, above, rows = changes(lambda x: np.array([x >= 1.0, x > 2.0]), np.array([0.0, 5.0]))
    >>> above.round(9).tolist(), rows.tolist()
    ([1.0, 2.0], [0, 1])
    """
    found = labels(points)
    rows, cells = np.nonzero(found[:, 1:] != found[:, :-1])
    below, above = points[cells], points[cells + 1]
    before, columns = found[rows, cells], np.arange(rows.size)
    for _ in range(HALVINGS if rows.size else 0):
        middle = 0.5 * (below + above)
        same = labels(middle)[rows, columns] == before
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    return below, above, rows

"""Functions that have no value, or a pole, far out in the tail of a Gaussian.

A sum of squares, a variance, a sum of exponentials is positive; near its mean it is well described by a Gaussian, which
has a little mass below zero. Of a reciprocal, a root or a logarithm of it that mass would be all one sees. So where a
function is not finite on the tail, or has a pole there, the Gaussian is cut off before it, as long as hardly anything
is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array
from justright.core.hermite import Expansion

__all__ = ["expanded"]

REACHES: Final = (6.0, 5.0, 4.0, 3.5, 3.0)
"""Standard deviations at which a tail is cut off; beyond the last one lie 0.27 % of a Gaussian."""

GRID: Final = 960
"""Points up to twelve standard deviations on either side, 0.025 of one apart: enough to see what a pole adds."""

FACTOR: Final = 3.0
"""A second moment that exceeds the one on the grid by this factor is that of a pole between its points."""


def expanded(function: Callable[[Array], Any], mean: Array, variance: Array, kinks: Sequence[Any] = ()) -> Expansion:
    """Expand a function of Gaussians, cutting off tails on which it has poles or no value.

    Parameters
    ----------
    function
        Function of one array, elementwise.
    mean, variance
        Of the Gaussians.
    kinks
        Where it is not smooth.

    Returns
    -------
    Expansion
        As `justright.core.hermite.Expansion.of` gives it; not finite where the function has no value within three
        standard deviations.

    Examples
    --------
    The Gaussian of a mean of squares of 50 terms has a mass of 3e-7 below zero:

    >>> power = expanded(lambda u: 1.0 / np.sqrt(u), np.array(1.0), np.array(0.04))
    >>> round(float(power.second), 2)
    1.05
    """
    with np.errstate(all="ignore"):
        found = Expansion.of(function, mean, variance, kinks)
    wrong = _wrong(function, found, mean, variance, 12.0)
    for reach in REACHES:
        if not np.any(wrong):
            break
        found = _replaced(found, wrong, function, mean, variance, reach)
        wrong = wrong & _wrong(function, found, mean, variance, reach)
    return found


def _wrong(
    function: Callable[[Array], Any], found: Expansion, mean: Array, variance: Array, reach: float
) -> NDArray[np.bool_]:
    """Say in which cells the expansion is not finite, or much larger than on a grid within reach."""
    spots = (np.arange(GRID) + 0.382) / GRID * 2.0 * reach - reach  # no spot on a round number
    weights = np.exp(-0.5 * spots**2) / np.exp(-0.5 * spots**2).sum()
    with np.errstate(all="ignore"):
        values = np.asarray(function(mean[..., None] + np.sqrt(variance)[..., None] * spots), dtype=np.float64)
        seen = np.square(values) @ weights
        wrong = ~(found.second <= FACTOR * seen) & (found.second > 0) | ~np.isfinite(found.second)
    return np.asarray(wrong | ~np.isfinite(found.coefficients).all(axis=-1), dtype=bool)


def _replaced(
    found: Expansion,
    wrong: NDArray[np.bool_],
    function: Callable[[Array], Any],
    mean: Array,
    variance: Array,
    reach: float,
) -> Expansion:
    """Expand the function of what is left of the Gaussians within reach, in some cells."""
    coefficients, second, tail = found.coefficients.copy(), found.second.copy(), found.tail.copy()
    for cell in zip(*np.nonzero(np.atleast_1d(wrong)), strict=True):
        at = cell if np.ndim(wrong) else ()
        one = _cut(function, float(mean[at]), float(variance[at]), reach)
        coefficients[at], second[at], tail[at] = one.coefficients, one.second, one.tail
    return Expansion(coefficients, second, tail)


def _cut(function: Callable[[Array], Any], mean: float, variance: float, reach: float) -> Expansion:
    """Expand a function that stays constant beyond some standard deviations."""
    low, high = mean - reach * variance**0.5, mean + reach * variance**0.5
    with np.errstate(all="ignore"):
        return Expansion.of(lambda u: function(np.clip(u, low, high)), mean, variance, (low, high))

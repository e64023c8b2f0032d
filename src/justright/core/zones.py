"""Zones: where a nonlinearity no longer answers to its input."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Zones"]


@dataclass(frozen=True, slots=True)
class Zones:
    """Intervals of a nonlinearity's input in which a unit is saturated or off.

    Parameters
    ----------
    flat
        Closed intervals, ascending and disjoint, in which the slope is negligible; ends may be infinite.
    off
        The parts of `flat` in which the unit contributes nothing either.

    Examples
    --------
    >>> relu = Zones(flat=((float("-inf"), 0.0),), off=((float("-inf"), 0.0),))
    >>> relu.flat[0][1]
    0.0
    """

    flat: tuple[tuple[float, float], ...]
    off: tuple[tuple[float, float], ...]

"""Counts per unit of an elementwise nonlinearity: how many inputs of each lie where the function is flat, or off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from justright.core.profile import UnitStatistics
from justright.core.zones import Zones
from justright.errors import InputError

__all__ = ["Tiling", "UnitCounts", "Zones"]


class Tiling(NamedTuple):
    """How units lie in a dense stretch of memory: runs of `inner` elements of one unit, `units` of them, and again.

    Parameters
    ----------
    units
        Number of units.
    inner
        Number of adjacent elements of one unit.
    zones
        The intervals to count in.
    """

    units: int
    inner: int
    zones: Zones


@dataclass(frozen=True, slots=True, eq=False)
class UnitCounts:
    """Mergeable counts of flat and off inputs of every unit.

    Parameters
    ----------
    elements
        Number of elements of each unit.
    flat, off
        Shape ``[units]``, int64: how many of them lie in a flat interval, and in an off interval. ``nan`` lies in none.
    """

    elements: int
    flat: NDArray[np.int64]
    off: NDArray[np.int64]

    def merge(self, other: UnitCounts) -> UnitCounts:
        """Return the counts of the same units over the elements of both.

        Raises
        ------
        InputError
            If the numbers of units differ.
        """
        if self.flat.shape != other.flat.shape:
            raise InputError(f"{other.flat.size} units", where="UnitCounts.merge", expected=f"{self.flat.size} units")
        return UnitCounts(self.elements + other.elements, self.flat + other.flat, self.off + other.off)

    def finish(self, axis: int, function: str, saturated_share: float = 0.95) -> UnitStatistics:
        """Judge the units.

        Parameters
        ----------
        axis
            Axis of the tensor along which one index is one unit.
        function
            The function, as operators.
        saturated_share
            A unit that is not dead is saturated if at least this share of its elements is on a flat part. The default
            leaves one element in twenty on the slope.

        Returns
        -------
        UnitStatistics
            A unit is dead if all its elements are off; without elements no unit is dead or saturated, and the share is
            ``nan``.
        """
        units = self.flat.size
        total = self.elements * units
        dead = (self.off == self.elements) & (self.elements > 0)
        saturated = (self.flat >= saturated_share * self.elements) & ~dead & (self.elements > 0)
        share = float(self.flat.sum()) / total if total else math.nan
        return UnitStatistics(axis, units, int(dead.sum()), int(saturated.sum()), share, function)

"""A logarithmic axis for values that may all be nearly equal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["LogScale", "log_scale"]

SMALLEST_SPAN: Final = math.log(10.0)
"""One decade: a healthy profile, whose values differ by some percent, must look flat."""


@dataclass(frozen=True, slots=True)
class LogScale:
    """A logarithmic axis.

    Parameters
    ----------
    low, high
        Values at its ends.
    """

    low: float
    high: float

    def position(self, value: float) -> float:
        """Return where a value lies, from 0 at the low end to 1 at the high one.

        Examples
        --------
        >>> round(LogScale(0.01, 100.0).position(1.0), 3)
        0.5
        """
        low, high = math.log(self.low), math.log(self.high)
        return min(max((math.log(value) - low) / (high - low), 0.0), 1.0)


def log_scale(values: Iterable[float]) -> LogScale:
    """Return the axis that shows all values, at least one decade long and within what a float can hold.

    Parameters
    ----------
    values
        Numbers; those that are zero, negative or not finite are left out.

    Examples
    --------
    >>> log_scale([0.001, 10.0])
    LogScale(low=0.001, high=10.0)
    """
    shown: Sequence[float] = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    low, high = min(shown), max(shown)
    missing = SMALLEST_SPAN - (math.log(high) - math.log(low))
    if missing <= 0:
        return LogScale(low, high)
    middle = (math.log(low) + math.log(high)) / 2
    middle = min(max(middle, math.log(1e-300)), math.log(1e300))
    return LogScale(math.exp(middle - SMALLEST_SPAN / 2), math.exp(middle + SMALLEST_SPAN / 2))

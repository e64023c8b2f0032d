"""A memory for what was computed from large arrays: the same array is looked at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

__all__ = ["Recent"]

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """Remembers results by the identity of an array, which it keeps alive, and by what else they depend on.

    Parameters
    ----------
    most
        Results that are kept, the latest first.

    Examples
    --------
    >>> import numpy as np
    >>> recent = Recent(4)
    >>> mask = np.ones(3)
    >>> recent.get(mask, "sum", lambda: mask.sum()), recent.get(mask, "sum", lambda: 1 / 0)
    (np.float64(3.0), np.float64(3.0))
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, Hashable], tuple[Any, Made]] = OrderedDict()

    def get(self, array: Any, key: Hashable, make: Callable[[], Made]) -> Made:  # noqa: ANN401
        """Return what was made of this very array before, or make it."""
        place = (id(array), key)
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place][1]
        made = make()
        self._kept[place] = (array, made)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made

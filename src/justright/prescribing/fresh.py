"""Whether the values of a model look freshly initialized: trained weights are not to be lost by a mistake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from justright.core.layout import Kind
from justright.core.recognized import recognize
from justright.initializers.target import Target

__all__ = ["trained"]

MOST: Final = 8
"""Parameters of each kind that are looked at: the first of the network, which change like all others."""

ENOUGH: Final = 256
"""Elements from which on a distribution is recognized."""

DRAWN: Final = frozenset({"other", "non_finite"})
"""What no initializer leaves."""


def trained(parameters: Iterable[tuple[Target, Any]]) -> str:
    """Say what speaks against fresh values, empty if nothing does.

    A gain of a normalization is the same for all units before training, and weights have the distribution of some
    scheme or its structure.

    Parameters
    ----------
    parameters
        Pairs of a target and its values, as NumPy can read them.
    """
    gains, weights = 0, 0
    for target, values in parameters:
        if target.layout.kind is Kind.SCALE and gains < MOST:
            gains += 1
            if np.size(values) > 1 and np.ptp(values) > 0:
                return f"{target.name}: gains of a normalization that differ"
        if target.layout.kind in {Kind.MATRIX, Kind.LOOKUP} and weights < MOST and np.size(values) >= ENOUGH:
            weights += 1
            found = recognize(np.asarray(values), target.layout)
            if found.family in DRAWN:
                return f"{target.name}: {found.text}, as no initializer draws"
    return ""

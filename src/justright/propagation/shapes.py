"""How elements are distributed, whatever their scale: how heavy their tails are, and what they follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.core.sources import Source
from justright.propagation.segments import MANY, computing, draws, even_grid

__all__ = ["Shape", "shape_of_cells", "shape_of_function"]

NUDGE: Final = 1.05
"""Factor on a source by which it is seen how a second moment follows: the difference of a few per cent."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the elements of a tensor are distributed, whatever their scale.

    Parameters
    ----------
    kurtosis
        E[x⁴] / E[x²]².
    follows
        How much ln E[x²] grows for each unit by which ln E[s²] of a source s grows, source by source, as the signal
        lists those that are random; empty where that is not known.
    """

    kurtosis: float = 3.0
    follows: tuple[float, ...] = ()

    @property
    def sensitivity(self) -> float:
        """How much ln E[x²] grows if all its sources grow alike; 1 for a source itself."""
        return sum(self.follows) if self.follows else 1.0


def shape_of_cells(moments: Moments) -> Shape:
    """Return the shape of a tensor whose elements are Gaussian in each cell of strata."""
    mean, variance = moments.mean, moments.variance
    second = moments.second_moment
    if not second > 0:
        return Shape()
    fourth = moments.average(mean**4 + 6 * mean**2 * variance + 3 * variance**2)  # of a Gaussian
    return Shape(fourth / second**2)


def shape_of_function(signal: Signal, sources: list[Source]) -> Shape:
    """Return the shape of a function of sources."""
    points, weights = even_grid(MANY) if len(sources) == 1 else draws(len(sources))
    cells, computed = computing(signal, sources, points)
    weights = cells[:, None] * weights
    nudges = [tuple(NUDGE if at == one else 1.0 for at in range(len(sources))) for one in range(len(sources))]
    every = [computed(), *(computed(nudge) for nudge in nudges)]
    weights = np.where(np.all(np.isfinite(every), axis=0), weights, 0.0)
    square, *grown = (np.nan_to_num(each, posinf=0.0, neginf=0.0) ** 2 for each in every)
    second = (weights * square).sum()
    if not second > 0:
        return Shape()
    kurtosis = (weights * square**2).sum() * weights.sum() / second**2
    ratios = [max(float((weights * each).sum() / second), 1e-300) for each in grown]  # no logarithm of zero
    return Shape(float(kurtosis), tuple(math.log(ratio) / (2 * math.log(NUDGE)) for ratio in ratios))

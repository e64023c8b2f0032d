"""Gradients as random tensors times functions of the forward signals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from justright.core.moments import Moments
from justright.core.signals import Signal, plus, signal, times
from justright.core.sources import Source

__all__ = ["Gradient"]

MOST_PARTS: Final = 4
"""Parts of one gradient that are kept apart."""


@dataclass(frozen=True)
class Gradient:
    """A sum of parts, each a random tensor that came through weights times a function of forward signals.

    Parameters
    ----------
    parts
        Pairs of the random tensor and the function that it was multiplied with since; ``None`` for one.
    """

    parts: tuple[tuple[Source, Signal | None], ...]

    @classmethod
    def fresh(cls, moments: Moments, fan: float = math.inf) -> Gradient:
        """Return a gradient that is independent of all forward signals but for the `fan` weights that divided it."""
        return cls(((Source(moments, fan=fan), None),))

    @property
    def fan(self) -> float:
        """Number of the weights by whose root mean square each unit was divided; infinite if by none."""
        source, factor = self.parts[0]
        return source.fan if len(self.parts) == 1 and factor is None else math.inf

    @property
    def moments(self) -> Moments:
        """Its moments; parts that came different ways are uncorrelated."""
        found = None
        for source, factor in self.parts:
            part = source.moments if factor is None else source.moments.times(factor.moments)
            found = part if found is None else found.plus(part)
        assert found is not None
        return found

    def multiplied(self, slope: Signal) -> Gradient:
        """Multiply with a function of forward signals."""
        return Gradient(
            tuple((source, slope if factor is None else times(factor, slope)) for source, factor in self.parts)
        )

    def plus(self, other: Gradient) -> Gradient:
        """Add a gradient that came another way; parts of one origin are added as functions."""
        parts = dict(self.parts)
        for source, factor in other.parts:
            parts[source] = plus(_full(parts[source], source), _full(factor, source)) if source in parts else factor
        kept = {source: factor for source, factor in parts.items() if np.any(source.moments.pairs)} or parts
        return Gradient(tuple(kept.items())) if len(kept) <= MOST_PARTS else _fewer(kept)


def _fewer(parts: Mapping[Source, Signal | None]) -> Gradient:
    """Take parts that share nothing with forward signals as one, and the smallest others with them."""
    sizes = {source: Gradient(((source, factor),)).moments.second_moment for source, factor in parts.items()}
    bound = sorted((source for source in parts if parts[source] is not None), key=lambda source: -sizes[source])
    kept = bound[: MOST_PARTS - 1]
    rest = Gradient(tuple((source, factor) for source, factor in parts.items() if source not in kept))
    return Gradient((*((source, parts[source]) for source in kept), (Source(rest.moments), None)))


def _full(factor: Signal | None, source: Source) -> Signal:
    """Return a factor as a signal, one where there is none."""
    return factor if factor is not None else signal(Source(Moments.constant((1,) * len(source.moments.dims), 1.0)))

"""Gradients as random tensors times functions of the forward signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from justright.core.moments import Moments
from justright.core.signals import Signal, Source, plus, signal, times

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
    def fresh(cls, moments: Moments) -> Gradient:
        """Return a gradient that is independent of all forward signals."""
        return cls(((Source(moments), None),))

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
        found = Gradient(tuple(parts.items()))
        return found if len(parts) <= MOST_PARTS else Gradient.fresh(found.moments)


def _full(factor: Signal | None, source: Source) -> Signal:
    """Return a factor as a signal, one where there is none."""
    return factor if factor is not None else signal(Source(Moments.constant((1,) * len(source.moments.dims), 1.0)))

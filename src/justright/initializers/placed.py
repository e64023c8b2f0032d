"""What schemes share whose distribution depends on the place of a parameter in its network."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.core.streams import Stream
from justright.initializers.base import Declared, Elementwise, Floats, Initializer, Part, Target
from justright.initializers.laws import Constant, Law

__all__ = ["Placed"]


@dataclass(frozen=True)
class _Given(Elementwise):
    """Independent elements of one law that is already decided."""

    decided: Law

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the law."""
        return self.decided


@dataclass(frozen=True)
class Placed(Initializer):
    """A scheme whose elements are independent, of a distribution that the place of the parameter decides.

    Biases are zero and factors one; a subclass decides the weights.
    """

    @abstractmethod
    def weights(self, target: Target) -> Law:
        """Return the distribution of an element of a weight, or raise `SchemeError` where the place is not known."""

    def law(self, target: Target) -> Law:
        """Return the distribution of an element."""
        if target.layout.kind in {Kind.SHIFT, Kind.SCALE}:
            return Constant(float(target.layout.kind is Kind.SCALE))
        return self.weights(target)

    def declared(self, target: Target) -> Declared:
        """Return what the distribution at this place promises."""
        return _Given(self.law(target)).declared(target)

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:
        """Return the numbers: each element depends on its own word of the stream alone."""
        return _Given(self.law(target)).sample(target, stream, part)

    def needs_branches(self, target: Target) -> int:
        """Return the number of residual branches, or raise `SchemeError` if it is not known or there are none."""
        self.knows(target, "branches")
        count = target.place.branches or 0
        if count < 1:
            raise self.refused(target, "a network with residual branches", "he_normal")
        return count

"""What schemes share whose distribution depends on the place of a parameter in its network."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.core.streams import Stream
from justright.initializers.base import Declared, Elementwise, Floats, Initializer, Part, Target
from justright.initializers.laws import Constant, Law

__all__ = ["Deep", "Placed"]


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


@dataclass(frozen=True)
class Deep(Placed):
    """A scheme for transformers whose weights depend on the number of blocks.

    Parameters
    ----------
    layers
        Blocks; zero for half the residual branches that the network has, two of which make a block.
    """

    layers: int = 0

    def __post_init__(self) -> None:
        self.needs(self.layers == int(self.layers) >= 0, "a whole number of blocks, or zero for those of the network")

    def blocks(self, target: Target) -> float:
        """Return the number of blocks, or raise `SchemeError` if it is not known."""
        if self.layers:
            return self.layers
        if target.place.branches is None:
            raise self.refused(
                target, "the number of blocks, from a batch or as a parameter of the scheme", f"{self.name}(layers=12)"
            )
        return self.needs_branches(target) / 2.0

    def outside(self, target: Target) -> bool:
        """Say whether a weight is known to lie in no residual branch."""
        return bool(target.place.branches) and target.place.branch is None

"""Small weights for transformers, by the width of the embedding and the number of layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.initializers.base import Target, initializer
from justright.initializers.laws import Law, Normal
from justright.initializers.placed import Deep, Placed

__all__: list[str] = []


@initializer("small_init")
@dataclass(frozen=True)
class SmallInit(Placed):
    """Xavier's rule for a matrix to four times the width, used for every matrix of a transformer.

    Formula: ``W ~ N(0, 2 / (5 d))``, d being the width of the embedding [Nguyen2019]; biases zero, factors one.

    When to use it: transformers that are trained without a warm-up; all but the last matrix of each branch: wang.

    When not: convolutional networks: he_normal.

    Parameters
    ----------
    width
        Of the embedding; by default the fan in of a matrix, the fan out of one that ends a branch, the row length of a
        table.
    """

    width: int = 0

    def __post_init__(self) -> None:
        self.needs(self.width == int(self.width) >= 0, "a whole number of units, or zero for the layer's own")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the width."""
        width = self.width or _width(self, target, ends=bool(target.place.ends_branch))
        return Normal(0.0, math.sqrt(2.0 / (5.0 * width)))


@initializer("wang")
@dataclass(frozen=True)
class Wang(Deep):
    """The last matrix of each branch, so small that all branches of a deep transformer together stay of order one.

    Formula: ``W ~ N(0, (2 / (layers sqrt(d)))²)``, d being the width [Wang2021]; biases zero, factors one. A matrix
    that is known not to end a branch takes the rule of small_init, ``N(0, 2 / (5 d))``.

    When to use it: transformers that normalize before each branch; alone where the network is read from a batch, or
    for the output projections of attention and of the feed-forward part, beside small_init for the others.

    When not: networks without residual branches, whose signal it ends.

    Parameters
    ----------
    layers
        Blocks of the transformer; zero for half the residual branches that the network has.
    width
        Of the embedding; by default the fan out of a matrix that ends a branch, the fan in of another one.
    """

    width: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(self.width == int(self.width) >= 0, "a whole number of units, or zero for the layer's own")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for width and depth."""
        ends = target.place.ends_branch is not False
        width = self.width or _width(self, target, ends=ends)
        return Normal(0.0, 2.0 / (self.blocks(target) * math.sqrt(width)) if ends else math.sqrt(2.0 / (5.0 * width)))


def _width(scheme: Placed, target: Target, *, ends: bool) -> int:
    """Return the units of the stream that a matrix reads, or of the one that it is added to."""
    if target.layout.kind is Kind.LOOKUP:
        return int(target.shape[target.layout.outputs[0]])
    return int(scheme.fans(target)[ends])

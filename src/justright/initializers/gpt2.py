"""The weights of GPT-2: one standard deviation, smaller where a residual stream is added to."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.initializers.base import Target, initializer
from justright.initializers.laws import Law, Normal
from justright.initializers.placed import Placed

__all__: list[str] = []


@initializer("gpt2")
@dataclass(frozen=True)
class Gpt2(Placed):
    """Gaussian of one standard deviation; outputs of residual branches are divided by the root of their number.

    Formula: ``W ~ N(0, std²)``, and ``N(0, std² / B)`` for a layer whose output is added to the residual stream, B
    being the number of branches: twice the number of blocks in a transformer. Biases are zero, factors one
    [Radford2019].

    When to use it: transformers that normalize before each branch: the sum of the branches does not grow with depth.

    When not: networks without normalization, whose signal a fixed standard deviation does not keep: he_normal, fixup.
    Widths far from a thousand, where 0.02 is not near ``1 / sqrt(fan_in)``.

    Parameters
    ----------
    std
        Of the weights outside the ends of branches.
    """

    std: float = 0.02

    def __post_init__(self) -> None:
        self.needs(0.0 < self.std < math.inf, "a finite standard deviation above zero")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian at this place."""
        self.knows(target, "ends_branch")
        if not target.place.ends_branch:
            return Normal(0.0, self.std)
        return Normal(0.0, self.std / math.sqrt(self.needs_branches(target)))

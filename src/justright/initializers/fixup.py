"""Fixup: residual networks without normalization."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.initializers.base import Target, initializer
from justright.initializers.laws import Constant, Law, Normal
from justright.initializers.placed import Placed

__all__: list[str] = []


@initializer("fixup")
@dataclass(frozen=True)
class Fixup(Placed):
    """Branches start at zero, and their other layers so small that one step changes the function by the step size.

    Formula: the last layer of each branch and the head are zero; another layer of a branch is
    ``N(0, 2 / fan_in · B^(-1/(m-1)))``, B being the number of branches and m that of the layers in the branch; a layer
    outside the branches is ``N(0, 2 / fan_in)``. Biases are zero, factors one [Zhang2019].

    When to use it: deep residual networks of rectifiers without normalization.

    When not: networks without residual branches, whose signal a zero layer ends: he_normal. Networks that normalize,
    which do not need it.
    """

    def weights(self, target: Target) -> Law:
        """Return zero, or the Gaussian at this place."""
        place, branches = target.place, self.needs_branches(target)
        self.knows(target, "ends_branch")
        if place.ends_branch or place.role == "output":
            return Constant(0.0)
        variance = 2.0 / self.fans(target)[0]  # He's rule for rectifiers
        if place.branch is not None:
            self.knows(target, "branch_layers")
            variance *= branches ** (-1.0 / max((place.branch_layers or 0) - 1, 1))
        return Normal(0.0, math.sqrt(variance))

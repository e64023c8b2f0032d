"""SIREN: networks of sines that represent images, sounds and shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.initializers.base import Elementwise, Target, initializer
from justright.initializers.laws import Uniform

__all__: list[str] = []


@initializer("siren")
@dataclass(frozen=True)
class Siren(Elementwise):
    """Uniform weights for layers ``sin(omega (W x + b))``: every layer's input keeps one distribution at any depth.

    Formula: ``W ~ U(-b, b)`` with ``b = sqrt(6 / fan_in) / omega``, and ``b = 1 / fan_in`` for the first
    layer [Sitzmann2020]. Then ``omega W x`` has the same variance v at
    every depth, 0.797, which solves ``v = 1 - exp(-2 v)``: twice the variance of the sine of a Gaussian.

    When to use it: coordinate networks with sine activations.

    When not: any other activation: he_normal, xavier_normal.

    Parameters
    ----------
    omega
        Factor inside of the sine, above zero.
    first
        Whether it is the first layer, whose inputs are coordinates.
    """

    omega: float = 30.0
    first: bool = False

    def __post_init__(self) -> None:
        self.needs(0.0 < self.omega < math.inf, "a factor above zero")

    def law(self, target: Target) -> Uniform:
        """Return the uniform distribution for the layer."""
        fan_in = self.fans(target)[0]
        first = self.first or target.place.role == "input"
        bound = 1.0 / fan_in if first else math.sqrt(6.0 / fan_in) / self.omega
        return Uniform(-bound, bound)

"""The edge of chaos: weights and biases at the critical point of the network's own activation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from justright.core.layout import Kind
from justright.core.phase import Critical
from justright.errors import InputError
from justright.initializers.base import Elementwise, Target, initializer
from justright.initializers.laws import Constant, Law, Normal
from justright.meanfield.critical import critical

__all__: list[str] = []


@initializer("critical")
@dataclass(frozen=True)
class CriticalPoint(Elementwise):
    """The weight variance at which gradients neither grow nor shrink under the activation, for biases of some size.

    Formula: ``W ~ N(0, sigma_w² / fan_in)`` and ``b ~ N(0, sigma_b²)`` with ``sigma_w² = 1 / E phi'(z)²``, z of the
    variance q that these two keep [Poole2016], [Schoenholz2017]. Factors are one.

    When to use it: plain networks of tens to hundreds of layers, without skips and without normalization.

    When not: convolutions of thousands of layers: delta_orthogonal with the same variances. GELU, SiLU and Mish: their
    point on the line is not stable, which a note says, and q leaves it.

    Parameters
    ----------
    activation
        Its name, or a function of an array; by default the one that the network has after the layer.
    sigma_b
        Standard deviation of the biases, zero or more; rectifiers have no critical point but with zero, saturating
        activations a stabler one with a tenth.
    """

    activation: str | Callable[..., Any] | None = None
    sigma_b: float = 0.0

    def __post_init__(self) -> None:
        self.needs(0.0 <= self.sigma_b < math.inf, "a standard deviation of zero or more")

    def law(self, target: Target) -> Law:
        """Return the Gaussian of a weight or a bias, one for a factor."""
        if target.layout.kind is Kind.SCALE:
            return Constant(1.0)
        if target.layout.kind is Kind.SHIFT:
            return Normal(0.0, self.sigma_b) if self.sigma_b else Constant(0.0)
        return Normal(0.0, self.point(target).sigma_w / math.sqrt(self.fans(target)[0]))

    def notes(self, target: Target) -> tuple[str, ...]:
        """Say where the point is not stable."""
        return () if target.layout.kind in {Kind.SCALE, Kind.SHIFT} else self.point(target).notes

    def point(self, target: Target) -> Critical:
        """Return the critical point of the activation after a layer; of none, that of the identity."""
        if self.activation is None:
            self.knows(target, "activation")
        chosen = self.activation if self.activation is not None else target.place.activation
        given = {} if self.activation is not None else dict(target.place.attributes)
        try:
            return _point(chosen, self.sigma_b, tuple(given.items()))
        except InputError as error:
            raise self.refused(target, f"a critical point: {error}", "activation_gain") from error


@lru_cache(64)
def _point(activation: str | Callable[..., Any], sigma_b: float, given: tuple[tuple[str, Any], ...]) -> Critical:
    if activation == "linear":  # every q is a fixed point without a bias
        return Critical("linear", 1.0, 1.0, 0.0, 1.0, math.inf, ())
    return critical(activation, sigma_b=sigma_b, **dict(given))

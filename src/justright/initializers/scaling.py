"""Any variance over any fan, with any of three distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.initializers.base import Target, initializer
from justright.initializers.fanned import DISTRIBUTIONS, MODES, Fanned

__all__: list[str] = []


@initializer("variance_scaling")
@dataclass(frozen=True)
class VarianceScaling(Fanned):
    """Mean zero, and a variance of `scale` over a fan.

    Formula: ``Var W = scale / n`` with n fan in, fan out, their mean or their geometric mean.

    When to use it: to write down a rule that has no name here. ``fan_in`` keeps the forward signal, ``fan_out`` the
    gradient [Glorot2010]; ``fan_geo_avg`` makes the product of the two gains that of a square layer.

    When not: he_normal, xavier_uniform and lecun_normal say the same with a name that readers know.

    Parameters
    ----------
    scale
        Above zero.
    mode
        ``"fan_in"``, ``"fan_out"``, ``"fan_avg"`` or ``"fan_geo_avg"``.
    distribution
        ``"normal"``, ``"uniform"`` or ``"truncated_normal"``, cut at two standard deviations and corrected for it.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "normal"

    def __post_init__(self) -> None:
        self.needs(0.0 < self.scale < math.inf, "a scale above zero")
        self.one_of(self.mode, MODES, "mode")
        self.one_of(self.distribution, DISTRIBUTIONS, "distribution")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return the scale."""
        return float(self.scale)

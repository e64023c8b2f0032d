"""What schemes share whose variance is a number over a fan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from justright.initializers.base import Elementwise, SchemeError, Target
from justright.initializers.laws import Law, Normal, Truncated, Uniform

__all__ = ["BOUND", "DISTRIBUTIONS", "MODES", "Fanned", "of_variance"]

MODES: Final = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
"""What the variance is divided by: inputs of a unit, outputs of a unit, their mean, their geometric mean."""

DISTRIBUTIONS: Final = ("normal", "uniform", "truncated_normal")

BOUND: Final = 2.0
"""Where a truncated normal is cut, in standard deviations before truncation: that of Keras and JAX."""


def of_variance(variance: float, distribution: str) -> Law:
    """Return the distribution of mean zero with a variance.

    Parameters
    ----------
    variance
        Above zero.
    distribution
        One of `DISTRIBUTIONS`.

    Returns
    -------
    Law
        Uniform: the bounds are ``±sqrt(3 variance)``. Truncated: the variance is that after truncation.
    """
    std = math.sqrt(variance)
    if distribution == "uniform":
        return Uniform(-math.sqrt(3.0) * std, math.sqrt(3.0) * std)
    return Normal(0.0, std) if distribution == "normal" else Truncated.of(0.0, std, BOUND)


@dataclass(frozen=True)
class Fanned(Elementwise):
    """A scheme of mean zero whose variance is `scaled` over a fan."""

    distribution_name: ClassVar[str] = "normal"
    mode_name: ClassVar[str] = "fan_in"

    def scaled(self, target: Target) -> float:  # noqa: ARG002  only some schemes look at the parameter
        """Return the variance times the fan."""
        return 1.0

    def law(self, target: Target) -> Law:
        """Return the distribution."""
        n = self.fan(target, getattr(self, "mode", self.mode_name))
        return of_variance(self.scaled(target) / n, getattr(self, "distribution", self.distribution_name))

    def fan(self, target: Target, mode: str) -> float:
        """Return what the variance is divided by."""
        fan_in, fan_out = self.fans(target)
        choice = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": 0.5 * (fan_in + fan_out),
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }
        return choice[mode]

    def one_of(self, value: str, known: tuple[str, ...], what: str) -> None:
        """Raise `SchemeError` unless a value is one of those known."""
        if value not in known:
            where = f"{what} of initializer {self.name}"
            raise SchemeError(repr(value), where=where, expected=" or ".join(known), try_=known[0])

"""Distributions with the moments that the user names, whatever the layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from justright.initializers.base import Elementwise, Target, initializer
from justright.initializers.laws import Law, Normal, Truncated, Uniform

__all__: list[str] = []

NARROWEST: Final = 0.01  # within 0.01 standard deviations a Gaussian is uniform to one part in 20,000


@initializer("uniform")
@dataclass(frozen=True)
class PlainUniform(Elementwise):
    """Uniform between `low` and `high`.

    Formula: ``W ~ U(low, high)``, mean ``(low + high) / 2``, variance ``(high - low)² / 12``.

    When to use it: to reproduce a recipe that states the bounds.

    When not: hidden layers of a width that may change: the variance must fall with fan in [Glorot2010], as it does in
    lecun_uniform and he_uniform.

    Parameters
    ----------
    low, high
        Bounds, the first below the second.
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        self.needs(-math.inf < self.low < self.high < math.inf, "two finite bounds, the first below the second")

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the distribution."""
        return Uniform(float(self.low), float(self.high))


@initializer("normal")
@dataclass(frozen=True)
class PlainNormal(Elementwise):
    """Gaussian with `mean` and `std`.

    Formula: ``W ~ N(mean, std²)``.

    When to use it: embeddings, and recipes that state a standard deviation.

    When not: hidden layers of a width that may change: the variance must fall with fan in [He2015], as it does in
    lecun_normal and he_normal.

    Parameters
    ----------
    mean, std
        Moments; the standard deviation is above zero.
    """

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        self.needs(0.0 < self.std < math.inf and math.isfinite(self.mean), "a finite mean and a std above zero")

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the distribution."""
        return Normal(float(self.mean), float(self.std))


@initializer("truncated_normal")
@dataclass(frozen=True)
class PlainTruncated(Elementwise):
    """Gaussian without its tails, whose standard deviation after truncation is `std`.

    Formula: ``W = mean + s z`` with ``z ~ N(0, 1)`` given ``|z| <= bound``, and s such that the variance is ``std²``;
    for a bound of 2 that is ``s = std / 0.8796``. No element is farther from the mean than ``bound · s``.

    When to use it: where a single large weight would hurt: embeddings, output heads, low precision.

    When not: to reproduce a recipe whose truncation is at absolute bounds, such as ±2 with a std of 0.02: those bounds
    lie at a hundred standard deviations and truncate nothing, so that the recipe is ``normal``. Moments: [Johnson1994].

    Parameters
    ----------
    mean, std
        Moments of the elements themselves; the standard deviation is above zero.
    bound
        Where the Gaussian is cut, in its own standard deviations.
    """

    mean: float = 0.0
    std: float = 0.05
    bound: float = 2.0

    def __post_init__(self) -> None:
        self.needs(0.0 < self.std < math.inf and math.isfinite(self.mean), "a finite mean and a std above zero")
        self.needs(NARROWEST <= self.bound < math.inf, "a bound from 0.01 on: for a narrower one take uniform")

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the distribution."""
        return Truncated.of(float(self.mean), float(self.std), float(self.bound))

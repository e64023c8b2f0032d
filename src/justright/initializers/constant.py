"""Schemes without randomness: one value for every element."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.initializers.base import Elementwise, Target, initializer
from justright.initializers.laws import Constant, Law

__all__: list[str] = []


@initializer("constant")
@dataclass(frozen=True)
class ConstantValue(Elementwise):
    """Every element is `value`.

    Formula: ``W = value``.

    When to use it: factors of normalization, biases, gates, anything with one number a unit.

    When not: weights between hidden units. Equal weights make equal units, which get equal gradients and stay equal
    [Goodfellow2016].

    Parameters
    ----------
    value
        Any finite number.
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        self.needs(math.isfinite(self.value), "a finite value")

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return a point mass."""
        return Constant(float(self.value))


@initializer("zeros")
@dataclass(frozen=True)
class Zeros(Elementwise):
    """Every element is zero.

    Formula: ``W = 0``.

    When to use it: biases; the last layer of a residual branch, which then starts as the identity [Zhang2019]; the
    output layer of a classifier, which then starts at the loss of chance.

    When not: two successive layers, or any hidden layer without a path around it: no gradient passes, and it stays
    zero.
    """

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return a point mass at zero."""
        return Constant(0.0)


@initializer("ones")
@dataclass(frozen=True)
class Ones(Elementwise):
    """Every element is one.

    Formula: ``W = 1``.

    When to use it: factors of normalization layers.

    When not: weights between units [Goodfellow2016], and factors that the model itself adds one to: these start at
    zero.
    """

    def law(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return a point mass at one."""
        return Constant(1.0)

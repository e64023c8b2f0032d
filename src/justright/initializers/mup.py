"""Maximal-update parametrizations: weights, and the factors with which one step size fits every width."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.initializers.base import Target, initializer
from justright.initializers.laws import Law, Normal
from justright.initializers.multipliers import ONES, Multipliers
from justright.initializers.placed import Placed

__all__: list[str] = []


@dataclass(frozen=True)
class _Widened(Placed):
    """A scheme that knows the width of the network that was tuned."""

    base: int = 0

    def __post_init__(self) -> None:
        self.needs(self.base == int(self.base) >= 1, "the width of the network that was tuned, as base=256")

    def role(self, target: Target) -> str:
        """Return input, hidden or output; tables and what is no weight count as input."""
        if target.layout.kind is not Kind.MATRIX:
            return "input"
        self.knows(target, "role")
        return target.place.role if target.place.role in {"input", "output"} else "hidden"  # type: ignore[return-value]

    def ratio(self, target: Target) -> float:
        """Return fan in over the base width."""
        return self.fans(target)[0] / self.base


@initializer("mup")
@dataclass(frozen=True)
class Mup(_Widened):
    """Widths that learn alike: hidden layers step by 1/width, the output is divided by the width.

    Formula: hidden and input weights ``N(0, 1 / fan_in)``, tables ``N(0, 1)``, the output ``N(0, 1 / base)``; with
    ``m = fan_in / base``, Adam's step size times ``1 / m`` for hidden weights and the output of the last layer times
    ``1 / m``: table 8 of [Yang2022]. Biases are zero, factors one, their step sizes as tuned.

    When to use it: to tune a step size at a small width and use it at a large one. The factors come with the result,
    and training must apply them.

    When not: networks that are trained at one width only. Depth: completep.

    Parameters
    ----------
    base
        Width of the network that was tuned; it has no default, for without it nothing can be said.
    """

    def weights(self, target: Target) -> Law:
        """Return the Gaussian of a role."""
        if target.layout.kind is Kind.LOOKUP:
            return Normal(0.0, 1.0)
        output = self.role(target) == "output"
        return Normal(0.0, 1.0 / math.sqrt(self.base if output else self.fans(target)[0]))

    def multipliers(self, target: Target) -> Multipliers:
        """Return the factors of a role."""
        role = self.role(target)
        if role == "input":
            return ONES
        m = self.ratio(target)
        return Multipliers(output=1.0 / m) if role == "output" else Multipliers(learning_rate=1.0 / m)


@initializer("spectral_mup")
@dataclass(frozen=True)
class SpectralMup(_Widened):
    """Weights of spectral norm about sqrt(n_out / n_in), for every layer by one rule without roles.

    Formula: ``std = min(1, sqrt(n_out / n_in)) / sqrt(n_in)``, and Adam's step size times ``base / fan_in``, so that
    steps have the same spectral norm [Yang2023]. Tables ``N(0, 1)``; biases zero, factors one.

    When to use it: as mup, in networks where roles are hard to tell; nothing is divided in the forward pass.

    When not: networks that are trained at one width only.

    Parameters
    ----------
    base
        Fan in at which the step size was tuned; it has no default.
    """

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the shape."""
        if target.layout.kind is Kind.LOOKUP:
            return Normal(0.0, 1.0)
        fan_in, fan_out = self.fans(target)
        return Normal(0.0, min(1.0, math.sqrt(fan_out / fan_in)) / math.sqrt(fan_in))

    def multipliers(self, target: Target) -> Multipliers:
        """Return the factor on the step size."""
        return Multipliers(learning_rate=1.0 / self.ratio(target)) if target.layout.kind is Kind.MATRIX else ONES


@initializer("completep")
@dataclass(frozen=True)
class CompleteP(_Widened):
    """Widths and depths that learn alike: mup, and every residual branch divided by the depth.

    Formula: weights as in mup; with ``m = fan_in / base`` and ``d = layers / base_layers``: branches times ``1 / d``;
    hidden weights: Adam's step size times ``1 / m``, its epsilon times ``1 / (m d)``, decay times ``m``; the output
    times ``1 / m``: table 1 of [Dey2025] at alpha = 1. Biases are zero, factors one.

    When to use it: pre-norm transformers whose depth changes between tuning and training.

    When not: networks without residual branches: mup.

    Parameters
    ----------
    base
        Width of the network that was tuned; it has no default.
    layers, base_layers
        Blocks of this network and of the one that was tuned, one or more.
    """

    layers: int = 1
    base_layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(min(self.layers, self.base_layers) >= 1, "one block or more")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian of a role."""
        return Mup(base=self.base).weights(target)

    def multipliers(self, target: Target) -> Multipliers:
        """Return the factors of a role and a depth."""
        role, d = self.role(target), self.layers / self.base_layers
        if role == "input":
            return ONES
        m = self.ratio(target)
        if role == "output":
            return Multipliers(output=1.0 / m)
        branch = 1.0 / d if target.place.branch is not None else 1.0
        return Multipliers(1.0 / m, branch=branch, epsilon=1.0 / (m * d), weight_decay=m)

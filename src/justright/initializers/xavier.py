"""Xavier's rule: a compromise between the forward signal and the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from justright.initializers.base import Target, initializer
from justright.initializers.fanned import Fanned

__all__: list[str] = []


@initializer("xavier_normal")
@dataclass(frozen=True)
class XavierNormal(Fanned):
    """Variance of gain² over the mean of fan in and fan out.

    Formula: ``W ~ N(0, 2 gain² / (fan_in + fan_out))`` [Glorot2010].

    When to use it: tanh and other activations with a slope of one at zero, and attention projections.

    When not: deep rectifier networks, whose signal it halves in every layer: he_normal. Very rectangular layers, where
    neither of the two conditions holds.

    Parameters
    ----------
    gain
        Factor on the standard deviation, above zero.
    """

    gain: float = 1.0

    distribution_name: ClassVar[str] = "normal"
    mode_name: ClassVar[str] = "fan_avg"

    def __post_init__(self) -> None:
        self.needs(0.0 < self.gain < math.inf, "a gain above zero")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return the square of the gain."""
        return float(self.gain) ** 2


@initializer("xavier_uniform")
@dataclass(frozen=True)
class XavierUniform(Fanned):
    """Variance of gain² over the mean of fan in and fan out, uniform.

    Formula: ``W ~ U(-b, b)`` with ``b = sqrt(6 gain² / (fan_in + fan_out))`` [Glorot2010]. No element is far out, which
    low precision and early saturation like.

    When to use it: tanh and other activations with a slope of one at zero, and attention projections.

    When not: deep rectifier networks, whose signal it halves in every layer: he_uniform. Very rectangular layers, where
    neither of the two conditions holds.

    Parameters
    ----------
    gain
        Factor on the standard deviation, above zero.
    """

    gain: float = 1.0

    distribution_name: ClassVar[str] = "uniform"
    mode_name: ClassVar[str] = "fan_avg"

    def __post_init__(self) -> None:
        self.needs(0.0 < self.gain < math.inf, "a gain above zero")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return the square of the gain."""
        return float(self.gain) ** 2


@initializer("xavier_truncated")
@dataclass(frozen=True)
class XavierTruncated(Fanned):
    """Variance of gain² over the mean of fan in and fan out, a truncated normal.

    Formula: ``W`` is Gaussian, cut at two sigma, with variance ``2 gain² / (fan_in + fan_out)`` after
    that [Glorot2010]. As the normal one, without outliers.

    When to use it: tanh and other activations with a slope of one at zero, and attention projections.

    When not: deep rectifier networks, whose signal it halves in every layer: he_truncated. Very rectangular layers,
    where neither of the two conditions holds.

    Parameters
    ----------
    gain
        Factor on the standard deviation, above zero.
    """

    gain: float = 1.0

    distribution_name: ClassVar[str] = "truncated_normal"
    mode_name: ClassVar[str] = "fan_avg"

    def __post_init__(self) -> None:
        self.needs(0.0 < self.gain < math.inf, "a gain above zero")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return the square of the gain."""
        return float(self.gain) ** 2

"""The weights of self-normalizing networks."""

from __future__ import annotations

from dataclasses import dataclass

from justright.initializers.base import initializer
from justright.initializers.fanned import Fanned

__all__: list[str] = []


@initializer("selu")
@dataclass(frozen=True)
class SelfNormalizing(Fanned):
    """Gaussian with variance one over fan in: with SELU activations, mean zero and variance one are a fixed point.

    Formula: ``W ~ N(0, 1 / fan_in)``, biases zero; ``E selu(z) = 0`` and ``E selu(z)² = 1`` for z ~ N(0, 1)
    [Klambauer2017].

    When to use it: plain networks of SELU activations, with alpha dropout if any.

    When not: other activations; or a gain of 3/4, which some libraries compute for SELU: it shrinks the signal to the
    lower fixed point.
    """

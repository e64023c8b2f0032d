"""The variance that makes up for an activation, whichever it is, and for dropout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from justright.initializers.base import Target, initializer
from justright.initializers.fanned import DISTRIBUTIONS, MODES, Fanned
from justright.initializers.gains import DIRECTIONS, gain

__all__: list[str] = []


@initializer("activation_gain")
@dataclass(frozen=True)
class ActivationGain(Fanned):
    """The variance that makes up for an activation: inputs that have passed it give preactivations of variance one.

    Formula: ``Var W = g² / n`` with ``g² = 1 / E phi(z)²``, z ~ N(0, 1), by integration; backward ``g² = 1 / E
    phi'(z)²``; both: the geometric mean. For ReLU it is He's rule [He2015], for SELU LeCun's, for tanh the exact 1.5925
    in place of the usual 5/3.

    When to use it: any activation, a user's own included, in networks without normalization.

    When not: very deep plain networks of GELU, SiLU or Mish: the second moment of one is kept, and yet is no stable
    fixed point [Poole2016]; choose a point on the critical line instead.

    Parameters
    ----------
    activation
        Its name, or a function of an array; by default the one that the network has after this layer, which is that
        before it too wherever all layers are alike.
    direction
        ``"forward"``, ``"backward"`` or ``"both"``.
    mode, distribution
        As in variance_scaling.
    """

    activation: str | Callable[..., Any] | None = None
    direction: str = "forward"
    mode: str = "fan_in"
    distribution: str = "normal"

    def __post_init__(self) -> None:
        self.one_of(self.direction, DIRECTIONS, "direction")
        self.one_of(self.mode, MODES, "mode")
        self.one_of(self.distribution, DISTRIBUTIONS, "distribution")

    def scaled(self, target: Target) -> float:
        """Return the square of the gain."""
        if self.activation is not None:
            return gain(self.activation, self.direction) ** 2
        self.knows(target, "activation")
        return gain(target.place.activation, self.direction, **target.place.attributes) ** 2


@initializer("dropout_corrected")
@dataclass(frozen=True)
class DropoutCorrected(Fanned):
    """The variance of activation_gain, less what dropout before the layer adds to the second moment of its input.

    Formula: ``Var W = (1 - rate) g² / fan_in``: dropout divides what it keeps by ``1 - rate``, and so multiplies the
    second moment by ``1 / (1 - rate)`` [Hendrycks2016].

    When to use it: plain networks with dropout between the layers and no normalization.

    When not: at evaluation the signal then shrinks by the same factor in each layer, as no elements are dropped; with
    normalization neither matters.

    Parameters
    ----------
    rate
        Of the dropout, from 0 to below 1; the one that the network has before this layer, by default.
    activation
        As in activation_gain.
    distribution
        As in variance_scaling.
    """

    rate: float | None = None
    activation: str | Callable[..., Any] | None = None
    distribution: str = "normal"

    def __post_init__(self) -> None:
        self.needs(self.rate is None or 0.0 <= self.rate < 1.0, "a rate from 0 to below 1")
        self.one_of(self.distribution, DISTRIBUTIONS, "distribution")

    def scaled(self, target: Target) -> float:
        """Return the square of the gain times the share that dropout keeps."""
        if self.rate is None:
            self.knows(target, "dropout")
        if self.activation is None:
            self.knows(target, "activation")
        rate = target.place.dropout if self.rate is None else self.rate
        place = target.place
        g = gain(self.activation) if self.activation is not None else gain(place.activation, **place.attributes)
        return (1.0 - float(rate or 0.0)) * g**2

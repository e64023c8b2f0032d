"""Recurrent cells: what their gates and their recurrent weights begin with."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from justright.core.layout import Kind
from justright.core.quantiles import to_uniform
from justright.core.streams import Stream
from justright.initializers.base import Declared, Floats, Initializer, Part, Target, initializer
from justright.initializers.structured import Array

__all__: list[str] = []

KEEPS = {"f": "i", "z": ""}
"""Gates whose one keeps the state, and the gate that lets the new in: of an LSTM, and of a GRU, whose z does both."""


@dataclass(frozen=True)
class _GateBias(Initializer):
    """The bias of the gates of a cell; of two biases that are added, the recurrent one is zero."""

    @abstractmethod
    def keeping(self, uniform: Array) -> Array:
        """Return the bias of the keeping gate of each unit from numbers between zero and one."""

    @abstractmethod
    def moments(self) -> tuple[float, float, float]:
        """Return mean, second moment and bound of the keeping gate's bias."""

    @abstractmethod
    def entering(self) -> float:
        """Return the bias of the gate that lets the new in, as a multiple of the keeping gate's."""

    def declared(self, target: Target) -> Declared:
        """Return the moments over all gates."""
        gates, keeps = self._gates(target)
        if target.place.role == "recurrent":
            return Declared(0.0, 0.0, 0.0, "constant")
        mean, second, bound = self.moments()
        factors = [1.0, self.entering()] if KEEPS[keeps] else [1.0]
        mean, second = (
            sum(each) / len(gates) for each in ((f * mean for f in factors), (f * f * second for f in factors))
        )
        return Declared(mean, second - mean**2, bound, "gates")

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:
        """Return the bias of all gates, or a slice of it."""
        gates, keeps = self._gates(target)
        hidden = target.size // len(gates)
        bias = np.zeros((len(gates), hidden))
        if target.place.role != "recurrent":
            bias[gates.index(keeps)] = self.keeping(to_uniform(stream.words(0, hidden)).astype(np.float64))
            if KEEPS[keeps]:
                bias[gates.index(KEEPS[keeps])] = self.entering() * bias[gates.index(keeps)]
        return np.ascontiguousarray(bias.reshape(target.shape)[part or ...], np.float32)

    def _gates(self, target: Target) -> tuple[tuple[str, ...], str]:
        gates = target.place.gates or ()
        keeps = next((each for each in gates if each in KEEPS), "")
        if target.layout.kind is not Kind.SHIFT or not keeps:
            raise self.refused(target, "the bias of an LSTM or a GRU", "zeros for biases, orthogonal for weights")
        return gates, keeps


@initializer("forget_gate")
@dataclass(frozen=True)
class ForgetGate(_GateBias):
    """The bias of the gate that keeps the state begins at one: the cell remembers before it has learned to.

    Formula: ``b_f = value``, all other biases zero [Gers2000], [Jozefowicz2015]; of a GRU the update gate, whose one
    keeps the state. PyTorch adds two biases: the recurrent one is zero.

    When to use it: every LSTM; with a bias of zero the state halves at each step.

    When not: known long time scales: chrono. Weights: orthogonal, xavier_uniform.

    Parameters
    ----------
    value
        Of the bias.
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        self.needs(math.isfinite(self.value), "a number")

    def keeping(self, uniform: Array) -> Array:
        """Return the value for every unit."""
        return np.full_like(uniform, self.value)

    def moments(self) -> tuple[float, float, float]:
        """Return those of the value."""
        return self.value, self.value**2, abs(self.value)

    def entering(self) -> float:
        """Return zero: the other gates have none."""
        return 0.0


@initializer("chrono")
@dataclass(frozen=True)
class Chrono(_GateBias):
    """Biases of the gates that give the units memories of all lengths up to a longest one.

    Formula: ``b_f = log U(1, longest - 1)`` and ``b_i = -b_f``, other biases zero, so that a unit forgets over
    ``exp(b_f) + 1`` steps [Tallec2018]; of a GRU the update gate. PyTorch adds two biases: the recurrent one is zero.

    When to use it: sequences whose dependencies are about as long as is known.

    When not: short sequences: forget_gate. Weights: orthogonal, xavier_uniform.

    Parameters
    ----------
    longest
        Steps over which the past matters, more than two.
    """

    longest: float = 100.0

    def __post_init__(self) -> None:
        self.needs(2.0 < self.longest < math.inf, "more than two steps")  # noqa: PLR2004  U(1, 1) would be empty

    def keeping(self, uniform: Array) -> Array:
        """Return logarithms of uniform numbers."""
        return np.log(1.0 + uniform * (self.longest - 2.0))

    def moments(self) -> tuple[float, float, float]:
        """Return the integrals of log u and its square over (1, longest - 1)."""
        b = self.longest - 1.0
        log = math.log(b)
        return (b * log - b + 1.0) / (b - 1.0), (b * (log**2 - 2.0 * log + 2.0) - 2.0) / (b - 1.0), log

    def entering(self) -> float:
        """Return minus one: what is kept is not replaced."""
        return -1.0

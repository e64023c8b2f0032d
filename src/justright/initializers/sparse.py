"""Sparse weights: every unit hears few inputs, loudly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justright.core.quantiles import LARGEST, to_normal
from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured

__all__: list[str] = []


@initializer("sparse")
@dataclass(frozen=True)
class Sparse(Structured):
    """Every unit has the same small number of weights that are not zero, however many inputs there are.

    Formula: in each row, `nonzero` weights at random inputs are ``N(0, std²)``, all others zero [Martens2010].

    When to use it: wide layers of sigmoid or tanh, whose units are to differ much and not saturate when layers widen.

    When not: deep rectifier networks: he_normal. Layers with fewer inputs than `nonzero`, which it refuses.

    Parameters
    ----------
    nonzero
        Weights of a unit that are not zero, one or more.
    std
        Of these weights, above zero; 1 / sqrt(nonzero) keeps the signal's size.
    """

    nonzero: int = 15
    std: float = 1.0

    def __post_init__(self) -> None:
        self.needs(self.nonzero == int(self.nonzero) >= 1, "a whole number of weights, one or more")
        self.needs(0.0 < self.std < math.inf, "a standard deviation above zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments of an element, zeros included."""
        inputs = self._inputs(target)
        return self.declares(target, self.nonzero / inputs * self.std**2, "sparse", LARGEST * self.std)

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return the weights: of a row's words in a second lane, the lowest say which inputs are heard."""
        inputs, extent = self._inputs(target), self.extent(target)
        size = math.prod(extent)
        weight = self.std * to_normal(stream.words(0, size)).astype(np.float64).reshape(-1, inputs)
        ranks = stream.beside(1).words(0, size).reshape(-1, inputs).argsort(axis=1, kind="stable")
        np.put_along_axis(weight, ranks[:, int(self.nonzero) :], 0.0, axis=1)
        return weight.reshape(extent)

    def _inputs(self, target: Target) -> int:
        *_, inputs, taps = self.extent(target)
        if inputs * taps < self.nonzero:
            raise self.refused(target, f"at least {self.nonzero} inputs a unit", f"sparse(nonzero={inputs * taps})")
        return inputs * taps

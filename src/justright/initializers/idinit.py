"""Identities for the layers, almost zero for the ends of branches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justright.core.quantiles import to_normal
from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured, centre

__all__: list[str] = []


@initializer("idinit")
@dataclass(frozen=True)
class IdInit(Structured):
    """A padded identity: the diagonal begins again where a rectangle goes on, and a little noise lets copies part.

    Formula: ``W[i, j] = gain`` if ``(i - j) mod min(n_out, n_in) == 0``, else zero, plus ``N(0, noise²)``; in the
    middle tap of a kernel [Pan2025]. At the end of a branch use ``idinit(gain=1e-6)``, which preserves zero.

    When to use it: residual networks, whose branches are to begin as the identity or as nothing.

    When not: plain networks of rectifiers, whose half is lost at each layer: he_normal.

    Parameters
    ----------
    gain
        Value of the diagonals, not zero.
    noise
        Standard deviation of what is added everywhere in the middle tap, zero or more.
    """

    gain: float = 1.0
    noise: float = 1e-6

    def __post_init__(self) -> None:
        self.needs(0.0 < abs(self.gain) < math.inf, "a gain other than zero")
        self.needs(0.0 <= self.noise < math.inf, "a noise of zero or more")

    def declared(self, target: Target) -> Declared:
        """Return the moments: the diagonals' and the noise's."""
        _, _, outputs, inputs, taps = self.extent(target)
        share = np.count_nonzero(_diagonals(outputs, inputs)) / (outputs * inputs * taps)
        second = share * self.gain**2 + self.noise**2 / taps
        return self.declares(
            target, second, "identity", abs(self.gain) + 7.0 * self.noise, share * self.gain
        )  # 6.34 std

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return the diagonals with the noise."""
        extent = self.extent(target)
        weight = np.zeros(extent)
        noise = to_normal(stream.words(0, math.prod(extent[:4]))).astype(np.float64).reshape(extent[:4])
        weight[..., centre(target)] = self.gain * _diagonals(extent[2], extent[3]) + self.noise * noise
        return weight


def _diagonals(outputs: int, inputs: int) -> Array:
    period = min(outputs, inputs)
    return ((np.arange(outputs)[:, None] - np.arange(inputs)) % period == 0).astype(np.float64)

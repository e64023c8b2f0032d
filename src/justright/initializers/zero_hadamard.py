"""Weights of zeros and ones, of full rank where a layer widens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import hadamard

from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured, centre, passing

__all__: list[str] = []


@initializer("zero_hadamard")
@dataclass(frozen=True)
class ZeroHadamard(Structured):
    """Identities, and Hadamard matrices where a layer widens: nothing is random (ZerO).

    Formula: identity where outputs are at most the inputs; else ``2^(-(m-1)/2) · I H I`` with Hadamard's matrix H of
    order ``2^m``, the first power of two that is at least n_out, and partial identities on both sides; in the middle
    tap of a kernel [Zhao2021]. With an identity
    there, the added units would be silent, and the layers behind them never gain rank.

    When to use it: residual networks with normalization whose start is to be the same everywhere without a seed.

    When not: networks without skips: orthogonal.
    """

    def declared(self, target: Target) -> Declared:
        """Return the moments of the matrix itself."""
        weight = self._matrix(target)
        taps = self.extent(target)[4]
        second, mean = float(np.mean(weight**2)) / taps, float(np.mean(weight)) / taps
        return self.declares(target, second, "identity", float(np.abs(weight).max()), mean)

    def whole(self, target: Target, stream: Stream) -> Array:  # noqa: ARG002  nothing is random
        """Return the same matrix for every copy and group."""
        weight = np.zeros(self.extent(target))
        weight[..., centre(target)] = self._matrix(target)
        return weight

    def _matrix(self, target: Target) -> Array:
        _, _, outputs, inputs, _ = self.extent(target)
        if outputs <= inputs:
            return passing((1, 1, outputs, inputs, 1), 0)[0, 0, :, :, 0]
        order = math.ceil(math.log2(outputs))
        return np.asarray(2.0 ** (-(order - 1) / 2) * hadamard(2**order)[:outputs, :inputs], np.float64)

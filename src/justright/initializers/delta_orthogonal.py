"""Kernels that are zero but in the middle, so that a convolution treats all frequencies alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justright.core.quantiles import LARGEST, to_normal
from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured, centre, haar

__all__: list[str] = []


@initializer("delta_orthogonal")
@dataclass(frozen=True)
class DeltaOrthogonal(Structured):
    """A kernel that is an orthogonal matrix in the middle and zero around it; it trained 10,000 plain layers.

    Formula: ``W[:, :, middle] = sqrt(weight_variance) · H`` with ``Hᵀ H = I``, H uniform among such matrices, and zero
    at all other taps [Xiao2018]. The convolution is an isometry times a number: it keeps the size of every signal at
    every frequency, and of every gradient.

    When to use it: very deep convolutional networks without skips and without normalization, with tanh at the edge of
    chaos: ``weight_variance=1.05`` beside biases of variance 2e-5.

    When not: layers with fewer outputs than inputs, which it refuses: gaussian_delta. Rectifiers, for which no
    orthogonal weights give an isometry: he_normal. Shallow networks, which do better with taps that differ.

    Parameters
    ----------
    weight_variance
        Square of every singular value, above zero.
    """

    weight_variance: float = 1.0

    def __post_init__(self) -> None:
        self.needs(0.0 < self.weight_variance < math.inf, "a variance above zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments of an element; the gain back through a layer is the root of the variance."""
        _, _, outputs, _, taps = self._served(target)
        std = math.sqrt(self.weight_variance)
        return self.declares(target, self.weight_variance / (outputs * taps), "delta", std)

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return the kernels, one matrix for each copy and group."""
        copies, groups, outputs, inputs, taps = self._served(target)
        weight = np.zeros((copies, groups, outputs, inputs, taps))
        matrices = haar(stream, 0, copies * groups, outputs, inputs)
        weight[..., centre(target)] = math.sqrt(self.weight_variance) * matrices.reshape(weight.shape[:-1])
        return weight

    def _served(self, target: Target) -> tuple[int, int, int, int, int]:
        copies, groups, outputs, inputs, taps = self.extent(target)
        if inputs > outputs:
            each = " in each group" if groups > 1 else ""
            raise self.refused(
                target,
                f"no more inputs than outputs{each}, not {inputs} and {outputs}",
                "gaussian_delta, or orthogonal",
            )
        return copies, groups, outputs, inputs, taps


@initializer("gaussian_delta")
@dataclass(frozen=True)
class GaussianDelta(Structured):
    """A kernel that is Gaussian in the middle and zero around it.

    Formula: ``W[:, :, middle] ~ N(0, weight_variance / n_in)``, n_in counting the inputs and not the taps, and zero at
    all other taps [Xiao2018]. As delta_orthogonal it treats all frequencies alike, but the singular values of a product
    of many such layers spread.

    When to use it: deep plain convolutional networks with layers that have fewer outputs than inputs.

    When not: depths in the thousands: delta_orthogonal.

    Parameters
    ----------
    weight_variance
        Gain of the second moment, above zero.
    """

    weight_variance: float = 1.0

    def __post_init__(self) -> None:
        self.needs(0.0 < self.weight_variance < math.inf, "a variance above zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments of an element, averaged over all taps."""
        _, _, _, inputs, taps = self.extent(target)
        std = math.sqrt(self.weight_variance / inputs)
        return self.declares(target, std**2 / taps, "delta", LARGEST * std)

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return the kernels; the numbers of the middle are the first of the stream."""
        copies, groups, outputs, inputs, taps = self.extent(target)
        weight = np.zeros((copies, groups, outputs, inputs, taps))
        numbers = to_normal(stream.words(0, weight[..., 0].size)).reshape(weight.shape[:-1])
        weight[..., centre(target)] = math.sqrt(self.weight_variance / inputs) * numbers
        return weight

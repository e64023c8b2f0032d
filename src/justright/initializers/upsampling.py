"""Kernels that begin as a known way to enlarge an image: for super-resolution and segmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justright.core.quantiles import LARGEST, to_normal
from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured

__all__: list[str] = []


@initializer("icnr")
@dataclass(frozen=True)
class Icnr(Structured):
    """A convolution in front of a pixel shuffle that begins as one at low resolution, enlarged to nearest neighbours.

    Formula: one kernel ``N(0, scale / fan_in)`` for each ``r ** axes`` outputs, which all get it, r being `factor`; the
    shuffle puts them into one square, so that no checkerboard is there to be unlearned [Aitken2017].

    When to use it: the convolution in front of a pixel shuffle.

    When not: anywhere else, since its outputs are copies of each other: he_normal. Transposed convolutions: bilinear.

    Parameters
    ----------
    factor
        By which the pixel shuffle enlarges each axis, two or more.
    scale
        Gain of the second moment, above zero: 2 before a rectifier.
    """

    factor: int = 2
    scale: float = 1.0

    def __post_init__(self) -> None:
        self.needs(self.factor == int(self.factor) >= 2, "a whole factor of two or more")  # noqa: PLR2004
        self.needs(0.0 < self.scale < math.inf, "a scale above zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments of an element."""
        self._copies(target)
        variance = self.scale / self.fans(target)[0]
        return self.declares(target, variance, "upsampling", LARGEST * math.sqrt(variance))

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return the kernels, each as often as it is copied; a pixel shuffle takes neighbours for one channel."""
        repeats, extent = self._copies(target), self.extent(target)
        few = (*extent[:2], extent[2] // repeats, *extent[3:])
        std = math.sqrt(self.scale / self.fans(target)[0])
        kernels = std * to_normal(stream.words(0, math.prod(few))).astype(np.float64)
        return np.repeat(kernels.reshape(few), repeats, axis=2)

    def _copies(self, target: Target) -> int:
        layout = target.layout
        repeats = int(self.factor) ** max(len(layout.spatial), 1)
        if not layout.spatial or layout.transposed:
            raise self.refused(target, "the kernel of a convolution that is not transposed", "bilinear, or he_normal")
        if self.extent(target)[2] % repeats:
            outputs = self.extent(target)[2]
            raise self.refused(target, f"a multiple of {repeats} outputs in each group, not {outputs}", "he_normal")
        return repeats


@initializer("bilinear")
@dataclass(frozen=True)
class Bilinear(Structured):
    """A transposed convolution that begins as linear interpolation, each channel by itself.

    Formula: ``w[i] = 1 - |i / f - c|`` along each axis, ``f = ceil(k / 2)`` and ``c = (2f - 1 - f % 2) / (2f)``, as a
    product over the axes; from channel i to channel i only [Long2014]. The stride for it is f. Nothing is random.

    When to use it: learned up-sampling in segmentation and super-resolution, grouped or not.

    When not: layers that change the number of channels, of which some would stay silent: he_normal.
    """

    def declared(self, target: Target) -> Declared:
        """Return the moments of an element; the sum of the taps is one pixel's share of the enlarged image."""
        weight = self._kernel(target)
        _, _, outputs, inputs, taps = self.extent(target)
        share = min(outputs, inputs) / (outputs * inputs * taps)
        second, mean = share * float(np.sum(weight**2)), share * float(np.sum(weight))
        return self.declares(target, second, "upsampling", float(weight.max()), mean)

    def whole(self, target: Target, stream: Stream) -> Array:  # noqa: ARG002  nothing is random
        """Return the kernel between equal channels of every group."""
        weight = np.zeros(self.extent(target))
        channels = np.arange(min(weight.shape[2:4]))
        weight[:, :, channels, channels] = self._kernel(target)
        return weight

    def _kernel(self, target: Target) -> Array:
        """Return the taps of one channel, in one row."""
        layout = target.layout
        if not (layout.spatial and layout.transposed):
            raise self.refused(target, "the kernel of a transposed convolution", "icnr, or he_normal")
        taps = np.ones(1)
        for axis in layout.spatial:
            taps = np.outer(taps, _ramp(layout.shape[axis])).ravel()
        return taps


def _ramp(size: int) -> Array:
    """Return the weights of linear interpolation along one axis."""
    factor = math.ceil(size / 2)
    middle = (2 * factor - 1 - factor % 2) / (2.0 * factor)
    return 1.0 - np.abs(np.arange(size) / factor - middle)

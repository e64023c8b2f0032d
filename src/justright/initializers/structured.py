"""What schemes share whose elements depend on each other: a whole weight is drawn, and its part is a slice of it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from justright.core.layout import Kind
from justright.core.quantiles import to_normal
from justright.core.streams import Stream
from justright.initializers.base import Declared, Floats, Initializer, Part, Target

__all__ = ["Array", "Structured", "centre", "haar", "passing"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Structured(Initializer):
    """A scheme for weights that writes a weight as matrices ``[copies, groups, outputs, inputs, taps]``."""

    @abstractmethod
    def whole(self, target: Target, stream: Stream) -> Array:
        """Return the weight in the shape that `extent` gives."""

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:
        """Return the numbers: the whole weight is drawn, whatever part of it is asked for."""
        self.extent(target)
        stored = target.layout.restored(self.whole(target, stream))
        return np.ascontiguousarray(stored[part or ...], np.float32)

    def extent(self, target: Target) -> tuple[int, int, int, int, int]:
        """Return copies, groups, outputs, inputs and taps of a weight, or raise `SchemeError` for what is none."""
        self.fans(target)
        copies, groups, outputs, inputs, taps = target.layout.canonical(np.empty(target.shape, np.bool_)).shape
        return copies, groups, outputs, inputs, taps

    def declares(self, target: Target, second: float, structure: str, bound: float, mean: float = 0.0) -> Declared:
        """Return what is promised of elements of some second moment, with the gains that the fans give them."""
        gains: tuple[float | None, float | None] = (None, None)
        if target.layout.kind is Kind.MATRIX:
            fan_in, fan_out = self.fans(target)
            gains = float(np.sqrt(fan_in * second)), float(np.sqrt(fan_out * second))
        return Declared(mean, second - mean**2, bound, structure, None, *gains)


def centre(target: Target) -> int:
    """Return the tap in the middle of the receptive field; of an even number of taps the later one."""
    kernel = [target.shape[axis] for axis in target.layout.spatial]
    return int(np.ravel_multi_index([size // 2 for size in kernel], kernel)) if kernel else 0


def passing(extent: tuple[int, int, int, int, int], middle: int) -> Array:
    """Return weights whose outputs are the inputs, as far as there are both, through one tap."""
    weight = np.zeros(extent)
    passed = np.arange(min(extent[2], extent[3]))
    weight[:, :, passed, passed, middle] = 1.0
    return weight


def haar(stream: Stream, start: int, count: int, rows: int, columns: int) -> Array:
    """Return matrices with orthonormal rows or columns, uniform among all such.

    A matrix of Gaussian numbers is factored into Q and R; the signs of the diagonal of R go into Q, without which it
    would not be uniform [Mezzadri2006].

    Parameters
    ----------
    stream, start
        The Gaussian numbers, ``count * rows * columns`` of them, from this one on.
    count, rows, columns
        Number of the matrices, and their shape.
    """
    tall = (max(rows, columns), min(rows, columns))
    words = stream.words(start, start + count * rows * columns)
    q, r = np.linalg.qr(to_normal(words).astype(np.float64).reshape(count, *tall))
    q *= np.where(np.diagonal(r, axis1=1, axis2=2) < 0.0, -1.0, 1.0)[:, None, :]
    return q if rows >= columns else np.swapaxes(q, 1, 2)

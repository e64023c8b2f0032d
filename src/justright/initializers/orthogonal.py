"""Orthogonal weights: every singular value is the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured, haar

__all__: list[str] = []


@initializer("orthogonal")
@dataclass(frozen=True)
class Orthogonal(Structured):
    """A random orthogonal matrix: all singular values equal the gain, so depth does not spread them.

    Formula: ``W = gain · Q`` with ``Q Qᵀ = I`` or, where there are more outputs than inputs, ``Qᵀ Q = I``; Q is uniform
    among such matrices [Saxe2013], [Mezzadri2006]. A kernel is flattened to outputs times inputs and taps, a transposed
    one to outputs and taps times inputs. Each copy, group and packed part is a matrix of its own.

    When to use it: deep networks without skips, linear or with tanh close to the edge of chaos; recurrent weights.

    When not: a wide layer after a narrow one, whose signal it shrinks: scaled_orthogonal. Convolutions where the signal
    must pass at every frequency: delta_orthogonal. Deep rectifier networks, which gain little from it: he_normal.

    Parameters
    ----------
    gain
        Every singular value, above zero.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        self.needs(0.0 < self.gain < math.inf, "a gain above zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments: the squares of the singular values over the number of elements."""
        squares = sum(min(shape) * self.factor(*shape) ** 2 for shape in self._matrices(target))
        size = sum(math.prod(shape) for shape in self._matrices(target))
        bound = max(self.factor(*shape) for shape in self._matrices(target))
        return self.declares(target, squares / size, "orthogonal", bound)

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return one matrix for each copy, group and packed part."""
        copies, groups, outputs, inputs, taps = self.extent(target)
        start, drawn = 0, []
        for rows, columns in self._matrices(target):
            drawn.append(self.factor(rows, columns) * haar(stream, start, copies * groups, rows, columns))
            start += copies * groups * rows * columns
        if target.layout.transposed:
            return np.moveaxis(drawn[0].reshape(copies, groups, outputs, taps, inputs), 3, 4)
        return np.concatenate(drawn, axis=1).reshape(copies, groups, outputs, inputs, taps)

    def factor(self, rows: int, columns: int) -> float:  # noqa: ARG002  those of a subclass depend on the shape
        """Return every singular value of a matrix of some shape."""
        return float(self.gain)

    def _matrices(self, target: Target) -> list[tuple[int, int]]:
        """Return the shape of each packed part of a weight, as a matrix."""
        _, _, outputs, inputs, taps = self.extent(target)
        if target.layout.transposed:
            return [(outputs * taps, inputs)]
        return [(rows, inputs * taps) for rows in target.layout.parts or (outputs,)]


@initializer("scaled_orthogonal")
@dataclass(frozen=True)
class ScaledOrthogonal(Orthogonal):
    """A random orthogonal matrix, enlarged where there are more outputs than inputs, so that the signal keeps its size.

    Formula: ``W = gain · max(1, sqrt(n_out / n_in)) · Q``, Q as in orthogonal [Saxe2013]. Orthonormal columns keep the
    sum of squares, which then lies on n_out units instead of n_in; the factor makes up for it.

    When to use it: as orthogonal, in networks whose layers change in width.

    When not: square layers, where it is orthogonal itself. Where the gradient is to keep its size on the way back
    through a narrow layer: of the two, only one can be kept.

    Parameters
    ----------
    gain
        Gain of the forward signal, above zero.
    """

    def factor(self, rows: int, columns: int) -> float:
        """Return every singular value of a matrix of some shape."""
        return float(self.gain) * max(1.0, math.sqrt(rows / columns))

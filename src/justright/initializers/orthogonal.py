"""Orthogonal weights: every singular value is the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from justright.core.quantiles import to_normal
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


@initializer("unitary")
@dataclass(frozen=True)
class Unitary(Structured):
    """A random unitary matrix of half the size, written in real numbers: it turns pairs of units.

    Formula: ``W = gain · [[Re U, -Im U], [Im U, Re U]]``, U uniform among unitary matrices [Mezzadri2006]: the first
    half of the units are real parts, the second half the imaginary ones [Arjovsky2015]. All singular values equal the
    gain, and so do all magnitudes of the eigenvalues, whose angles come in pairs of both signs. Each copy, group and
    packed part is a matrix of its own.

    When to use it: recurrent networks whose state is complex, kept as real numbers: recurrent_unitary for whole cells.

    When not: weights that are not square, or of an odd number of units: orthogonal, which has no such structure.

    Parameters
    ----------
    gain
        Every singular value, above zero.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        self.needs(0.0 < self.gain < math.inf, "a gain above zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments: squares of the entries of a row sum to the square of the gain."""
        _, size = self._matrices(target)
        return self.declares(target, float(self.gain) ** 2 / size, "unitary", float(self.gain))

    def whole(self, target: Target, stream: Stream) -> Array:
        """Return one matrix for each copy, group and packed part."""
        count, size = self._matrices(target)
        unitary = float(self.gain) * _unitary(stream, count, size // 2)
        rows = [np.concatenate(pair, axis=2) for pair in ((unitary.real, -unitary.imag), (unitary.imag, unitary.real))]
        return np.concatenate(rows, axis=1).reshape(self.extent(target))

    def _matrices(self, target: Target) -> tuple[int, int]:
        """Return the number of square matrices in a weight, and their size."""
        copies, groups, outputs, inputs, taps = self.extent(target)
        parts = target.layout.parts or (outputs,)
        if taps != 1 or inputs % 2 or any(rows != inputs for rows in parts):
            raise self.refused(target, "square matrices of an even number of units", "orthogonal")
        return copies * groups * len(parts), inputs


def _unitary(stream: Stream, count: int, size: int) -> NDArray[np.complex128]:
    """Return unitary matrices, uniform among all such: Q of Gaussian numbers, with the phases of R in it."""
    numbers = to_normal(stream.words(0, 2 * count * size**2)).astype(np.float64).reshape(2, count, size, size)
    q, r = np.linalg.qr(numbers[0] + 1j * numbers[1])
    diagonal = np.diagonal(r, axis1=1, axis2=2)
    unitary: NDArray[np.complex128] = q * (diagonal / np.abs(diagonal))[:, None, :]
    return unitary

"""Weights that pass their input on as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.core.streams import Stream
from justright.initializers.base import Declared, Target, initializer
from justright.initializers.structured import Array, Structured, centre, passing

__all__: list[str] = []


@dataclass(frozen=True)
class _Passing(Structured):
    """Every output is gain times the input of the same index."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        self.needs(0.0 < abs(self.gain) < math.inf, "a gain other than zero")

    def declared(self, target: Target) -> Declared:
        """Return the moments: one element a row or a column is the gain."""
        _, _, outputs, inputs, taps = self.extent(target)
        share = min(outputs, inputs) / (outputs * inputs * taps)
        return self.declares(target, share * self.gain**2, "identity", abs(self.gain), share * self.gain)

    def whole(self, target: Target, stream: Stream) -> Array:  # noqa: ARG002  nothing is random
        """Return the weights of every copy and group."""
        return self.gain * passing(self.extent(target), centre(target))


@initializer("identity")
@dataclass(frozen=True)
class Identity(_Passing):
    """The identity times a gain, or as much of it as a rectangle holds.

    Formula: ``W[i, i] = gain`` and zero elsewhere. Nothing is random.

    When to use it: recurrent weights of rectifiers [Le2015], linear layers that are to begin without an effect, tests.

    When not: layers whose units are to differ in width: where there are more outputs than inputs, the others stay
    silent: zero_hadamard. Convolutions: dirac.

    Parameters
    ----------
    gain
        Value of the diagonal, not zero.
    """

    def extent(self, target: Target) -> tuple[int, int, int, int, int]:
        """Return the extent of a matrix, or raise `SchemeError` for a kernel."""
        if target.layout.spatial:
            raise self.refused(target, "a weight without a receptive field", "dirac")
        return super().extent(target)


@initializer("dirac")
@dataclass(frozen=True)
class Dirac(_Passing):
    """A kernel that passes each channel on, in every group.

    Formula: ``W[i, i, middle] = gain`` in each group and zero elsewhere; of an even number of taps the middle is the
    later one, as in PyTorch's ``dirac_`` [Zagoruyko2017]. Nothing is random.

    When to use it: plain convolutional networks that are to begin like residual ones, with a small random part added.

    When not: by itself where channels must differ from their inputs: delta_orthogonal. Matrices: identity.

    Parameters
    ----------
    gain
        Value of the taps in the middle, not zero.
    """

    def extent(self, target: Target) -> tuple[int, int, int, int, int]:
        """Return the extent of a kernel, or raise `SchemeError` for a matrix."""
        if not target.layout.spatial:
            raise self.refused(target, "the kernel of a convolution", "identity")
        return super().extent(target)

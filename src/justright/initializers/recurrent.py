"""Recurrent weights that neither shrink nor enlarge the state: for whole cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.core.streams import Stream
from justright.initializers.base import INITIALIZERS, Declared, Floats, Initializer, Part, Target, initializer

__all__: list[str] = []


@dataclass(frozen=True)
class _Cell(Initializer):
    """One scheme for the recurrent weights of a cell, another one for those of its input; biases are zero."""

    def scheme(self, target: Target) -> Initializer:
        """Return the scheme of a parameter, or raise `SchemeError` for one that is in no cell."""
        if target.place.gates is None:
            raise self.refused(target, "a parameter of a recurrent cell", "orthogonal for other weights")
        if target.layout.kind is Kind.SHIFT:
            return INITIALIZERS["zeros"]()
        return self.recurrent() if target.place.role == "recurrent" else self.entering()

    def recurrent(self) -> Initializer:
        """Return the scheme of the weights from the state to itself."""
        raise NotImplementedError

    def entering(self) -> Initializer:
        """Return the scheme of the weights from the input."""
        raise NotImplementedError

    def declared(self, target: Target) -> Declared:
        """Return what the scheme of the parameter promises."""
        return self.scheme(target).declared(target)

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:
        """Return the numbers of the scheme of the parameter."""
        return self.scheme(target).sample(target, stream, part)


@initializer("recurrent_orthogonal")
@dataclass(frozen=True)
class RecurrentOrthogonal(_Cell):
    """Orthogonal matrices from the state to itself, one a gate; Xavier's rule from the input; biases zero.

    Formula: ``W_h = gain · Q`` for each gate, Q uniform among orthogonal matrices [Saxe2013], [Arjovsky2015];
    ``W_x ~ U(-b, b)`` with ``b = sqrt(6 / (n_in + n_out))``, each gate counted by itself [Glorot2010]. Keras begins so.

    When to use it: RNNs, LSTMs and GRUs of tanh; the biases of gates in a second pattern: forget_gate, chrono.

    When not: rectifiers: irnn.

    Parameters
    ----------
    gain
        Every singular value of the recurrent matrices, above zero.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        self.needs(0.0 < self.gain < math.inf, "a gain above zero")

    def recurrent(self) -> Initializer:
        """Return the orthogonal scheme."""
        return INITIALIZERS["orthogonal"](gain=self.gain)  # type: ignore[call-arg]

    def entering(self) -> Initializer:
        """Return Xavier's."""
        return INITIALIZERS["xavier_uniform"]()


@initializer("recurrent_unitary")
@dataclass(frozen=True)
class RecurrentUnitary(RecurrentOrthogonal):
    """Unitary matrices from the state to itself, in real numbers; Xavier's rule from the input; biases zero.

    Formula: ``W_h`` as in unitary, one a gate, ``W_x`` as in recurrent_orthogonal [Arjovsky2015], [Glorot2010]. The
    state is a vector of complex numbers: the real parts of all, then the imaginary ones.

    When to use it: recurrent networks over long sequences whose nonlinearity treats each pair as one complex number.

    When not: a state of an odd number of units, or one that is no pairs: recurrent_orthogonal.

    Parameters
    ----------
    gain
        Every singular value of the recurrent matrices, above zero.
    """

    def recurrent(self) -> Initializer:
        """Return the unitary scheme."""
        return INITIALIZERS["unitary"](gain=self.gain)  # type: ignore[call-arg]


@initializer("irnn")
@dataclass(frozen=True)
class Irnn(_Cell):
    """The identity from the state to itself, small weights from the input: a rectifier that integrates.

    Formula: ``W_h = gain · I``, ``W_x ~ N(0, input_std²)``, biases zero [Le2015].

    When to use it: plain recurrent networks of rectifiers over long sequences.

    When not: tanh or gated cells: recurrent_orthogonal.

    Parameters
    ----------
    gain
        Value of the diagonal, not zero; below one the past fades.
    input_std
        Standard deviation of the weights from the input, above zero.
    """

    gain: float = 1.0
    input_std: float = 0.001

    def __post_init__(self) -> None:
        self.needs(0.0 < abs(self.gain) < math.inf, "a gain other than zero")
        self.needs(0.0 < self.input_std < math.inf, "a standard deviation above zero")

    def recurrent(self) -> Initializer:
        """Return the identity, which has no packed gates."""
        return INITIALIZERS["identity"](gain=self.gain)  # type: ignore[call-arg]

    def entering(self) -> Initializer:
        """Return the small Gaussian."""
        return INITIALIZERS["normal"](std=self.input_std)  # type: ignore[call-arg]

    def scheme(self, target: Target) -> Initializer:
        """Return the scheme of a parameter of a cell without gates."""
        if len(target.place.gates or ()) > 1:
            raise self.refused(target, "a cell without gates, such as an RNN", "recurrent_orthogonal")
        return super().scheme(target)

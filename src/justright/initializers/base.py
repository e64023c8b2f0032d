"""What an initializer is, and the catalogue of them.

A scheme whose elements are independent and of one distribution is a frozen dataclass with one method,
`Elementwise.law`; its docstring is its page. Another scheme writes `Initializer.declared` and `Initializer.sample`.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from justright.core.layout import Kind
from justright.core.streams import Stream
from justright.initializers.laws import Constant, Law
from justright.initializers.multipliers import ONES, Multipliers
from justright.initializers.target import NOWHERE, Part, Place, SchemeError, Target
from justright.registry import Catalogue

__all__ = [
    "INITIALIZERS",
    "NOWHERE",
    "Declared",
    "Elementwise",
    "Initializer",
    "Part",
    "Place",
    "SchemeError",
    "Target",
    "initializer",
]

Floats = NDArray[np.float32]
Scheme = TypeVar("Scheme", bound="type[Initializer]")


@dataclass(frozen=True, slots=True)
class Declared:
    """What a scheme promises of the numbers that it puts into a parameter.

    Parameters
    ----------
    mean, variance
        Of an element, averaged over all elements: the mean, and the mean squared distance to it.
    bound
        Largest magnitude of an element.
    structure
        What holds of the whole: ``"elementwise"`` (independent, of one distribution), ``"constant"``,
        ``"orthogonal"``, ``"identity"``, ``"sparse"``, ``"delta"``, ``"upsampling"``, or a word of the scheme's own.
    law
        The distribution of an element, if all have the same.
    forward, backward
        Gain of the root mean square through a layer with these weights and no bias, for inputs (and gradients at the
        output) that are independent and of unit variance; ``None`` where the scheme promises nothing.
    """

    mean: float
    variance: float
    bound: float = math.inf
    structure: str = "elementwise"
    law: Law | None = None
    forward: float | None = None
    backward: float | None = None

    @property
    def std(self) -> float:
        """Standard deviation of an element."""
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Initializer(ABC):
    """A scheme with its parameters: it fills a parameter of a network with numbers.

    Subclasses are frozen dataclasses; the docstring of one is its page.
    """

    name: ClassVar[str] = ""
    """Name in the catalogue."""

    @abstractmethod
    def declared(self, target: Target) -> Declared:
        """Return what the scheme promises for a parameter, or raise `SchemeError` if it cannot serve it."""

    @abstractmethod
    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:
        """Return the numbers in float32, in the shape that is stored.

        Parameters
        ----------
        target
            The parameter.
        stream
            Its random numbers.
        part
            A slice of every axis, for one who holds only this part of the parameter.
        """

    def notes(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002  for those that have none
        """Return what a user should know of this parameter under this scheme."""
        return ()

    def multipliers(self, target: Target) -> Multipliers:  # noqa: ARG002  for those that have none
        """Return the factors on outputs and step sizes that belong to the scheme."""
        return ONES

    @classmethod
    def page(cls) -> str:
        """Return the manual page."""
        return inspect.cleandoc(cls.__doc__ or "")

    def refused(self, target: Target, expected: str, try_: str) -> SchemeError:
        """Return the error that this scheme cannot serve a parameter.

        Parameters
        ----------
        target
            The parameter.
        expected
            What the scheme needs.
        try_
            Which scheme would do.
        """
        return SchemeError(f"{target}, {describe(target)}", where=f"initializer {self}", expected=expected, try_=try_)

    def needs(self, condition: bool, what: str) -> None:
        """Raise `SchemeError` unless a condition on the scheme's own parameters holds."""
        if not condition:
            values = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
            raise SchemeError(
                values, where=f"initializer {self.name}", expected=what, try_=f"justright initializers {self.name}"
            )

    def knows(self, target: Target, what: str) -> None:
        """Raise `SchemeError` unless the place of a parameter says what is asked for, by its name in `Place`."""
        if getattr(target.place, what) is None:
            raise SchemeError(
                f"{target}, of which {what.replace('_', ' ')} is not known", where=f"initializer {self}",
                expected=f"{what.replace('_', ' ')}, from the network or as a parameter of the scheme",
                try_=f"{self.name}({what}=...)" if what in {each.name for each in fields(self)} else "he_normal",
            )  # fmt: skip

    def fans(self, target: Target) -> tuple[float, float]:
        """Return fan in and fan out of a weight, or raise `SchemeError` for what has none."""
        if target.layout.kind not in {Kind.MATRIX, Kind.LOOKUP} or 0 in target.shape:
            raise self.refused(
                target, "a weight that joins inputs and outputs, with at least one element", _other(target.layout.kind)
            )
        fans = target.layout.fans
        return fans.fan_in, fans.fan_out

    def __str__(self) -> str:
        """Return the scheme as it is written: its name, and the parameters that are not the defaults."""
        changed = [each for each in fields(self) if getattr(self, each.name) != each.default]
        written = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in changed)
        return f"{self.name}({written})" if written else self.name


@dataclass(frozen=True)
class Elementwise(Initializer):
    """A scheme whose elements are independent and of one distribution."""

    @abstractmethod
    def law(self, target: Target) -> Law:
        """Return the distribution of an element."""

    def declared(self, target: Target) -> Declared:
        """Return the moments and the bound of the distribution, and the gains of the layer by its fans."""
        laws = [self.law(piece) for _, piece in target.pieces]
        if len(laws) == 1:
            return self._declared(target, laws[0].mean, laws[0].variance, laws[0])
        shares = np.array([piece.size for _, piece in target.pieces]) / target.size
        mean = float(shares @ [law.mean for law in laws])
        variance = float(shares @ [law.variance + (law.mean - mean) ** 2 for law in laws])
        return self._declared(target, mean, variance, *laws)

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:
        """Return the numbers: each element depends on its own word of the stream alone."""
        words = target.words(stream, part)
        drawn: Floats
        if len(target.pieces) == 1:
            drawn = self.law(target).draw(words)
            return drawn
        (axis,) = target.layout.outputs
        rows = np.arange(target.shape[axis])[part[axis] if part else slice(None)]
        pieces = [
            self.law(piece).draw(np.compress((rows >= place.start) & (rows < place.stop), words, axis))
            for place, piece in target.pieces
        ]
        drawn = np.concatenate(pieces, axis)
        return drawn

    def _declared(self, target: Target, mean: float, variance: float, *laws: Law) -> Declared:
        constant, alone = all(isinstance(law, Constant) for law in laws), len(laws) == 1
        structure, bound = "constant" if constant else "elementwise", max(law.bound for law in laws)
        gains: tuple[float | None, float | None] = (None, None)
        if not constant and target.layout.kind is Kind.MATRIX and target.size:
            second = variance + mean**2
            gains = math.sqrt(self.fans(target)[0] * second), math.sqrt(self.fans(target)[1] * second)
        return Declared(mean, variance, bound, structure, laws[0] if alone else None, *gains)


INITIALIZERS: Catalogue[type[Initializer]] = Catalogue("initializer", package="justright.initializers")
"""The schemes by name."""


def initializer(name: str) -> Callable[[Scheme], Scheme]:
    """Register the decorated class under a name.

    Parameters
    ----------
    name
        As users write it.
    """

    def register(scheme: Scheme) -> Scheme:
        scheme.name = name
        INITIALIZERS.register(name, scheme)
        return scheme

    return register


def describe(target: Target) -> str:
    """Return what kind of a parameter a target is, in words."""
    words: dict[Any, str] = {
        Kind.MATRIX: "a weight",
        Kind.LOOKUP: "a table that rows are looked up in",
        Kind.SCALE: "a factor on every unit",
        Kind.SHIFT: "a bias",
    }
    return words.get(target.layout.kind, "a parameter whose use is not known")


def _other(kind: Kind) -> str:
    return {Kind.SCALE: "ones", Kind.SHIFT: "zeros"}.get(kind, "normal(std=0.02), which needs no fans")

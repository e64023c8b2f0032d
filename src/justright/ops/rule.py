"""What a moment rule is: how an operator maps the moments of its operands forward, and those of gradients backward.

Elementwise operators need none: `justright.ops.base.OPERATORS` has their functions and derivatives. For every other
operator one rule says what it does; a rule is a pair of functions of a `Call`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from justright.core.axes import Array
from justright.core.graph import Node
from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.core.stratified import stratified
from justright.registry import Catalogue

__all__ = [
    "RULES",
    "Backward",
    "Call",
    "Divided",
    "Forward",
    "Gradients",
    "Rule",
    "Sloped",
    "Unpredictable",
    "given",
    "rule",
]


class Unpredictable(Exception):  # noqa: N818  it is no error: the engine falls back to sampling, and says so
    """A rule does not cover this call; the message says why."""


@dataclass(frozen=True)
class Call:
    """One node with all that is known when its rule is asked.

    Parameters
    ----------
    node
        The node.
    signals
        For every operand its signal; ``None`` where nothing is known, as of integers.
    shapes
        Shapes of the operands.
    outputs
        Shapes of the outputs.
    known
        For every operand its values, where they follow from shapes and data alone: masks, positions, indices.
    divided
        Number of the weights by whose root mean square each unit of the gradient was divided; infinite if by none.
    """

    node: Node
    signals: tuple[Signal | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    known: tuple[Callable[[], Array | None], ...] = ()
    divided: float = math.inf

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Arguments that are no tensors."""
        return self.node.attributes

    def place(self, name: str) -> int | None:
        """Position of the first operand of this name."""
        return next((at for at, each in enumerate(self.node.operands) if each.name == name), None)

    def places(self, name: str) -> list[int]:
        """Positions of all operands of this name."""
        return [at for at, each in enumerate(self.node.operands) if each.name == name]

    def signal(self, name: str) -> Signal | None:
        """Signal of the first operand of this name; ``None`` if there is no such operand or nothing is known of it."""
        at = self.place(name)
        return None if at is None else self.signals[at]

    def needed(self, name: str) -> Signal:
        """Signal of the first operand of this name, or its values as one.

        Raises
        ------
        Unpredictable
            If nothing is known of it.
        """
        found = self.signal(name)
        if found is not None:
            return found
        values = self.values(name)
        if values is None or not values.size or not np.all(np.isfinite(values)):
            raise Unpredictable(f"nothing is known of its operand {name!r}")
        return given(values)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the first operand of this name."""
        at = self.place(name)
        if at is None:
            raise Unpredictable(f"it has no operand {name!r}")
        return self.shapes[at]

    def values(self, name: str) -> Array | None:
        """Values of the first operand of this name, where they are known."""
        at = self.place(name)
        return None if at is None or not self.known else self.known[at]()


@dataclass(frozen=True)
class Sloped:
    """A gradient that is an independent random tensor times a function of the forward signals."""

    gradient: Moments
    slope: Signal


@dataclass(frozen=True)
class Divided:
    """A gradient of which each unit was divided by its own deviation, a sum over `fan` weights that made the unit."""

    gradient: Moments
    fan: float


def given(values: Any) -> Signal:
    """Return known values as a signal."""
    return signal(Source(stratified(values), False, Provenance.EXACT))


Gradients = Mapping[str, Moments | Sloped | Divided | Sequence[Moments | None]]
"""Moments of the gradients by operand name; a sequence where several operands have one name."""

Forward = Callable[[Call], Signal | Sequence[Signal | None]]
Backward = Callable[[Call, Sequence[Signal | None], Sequence[Moments | None]], Gradients]


@dataclass(frozen=True)
class Rule:
    """How an operator maps moments.

    Parameters
    ----------
    name
        Canonical name of the operator.
    forward
        From a call to the signals of its outputs: one, or a sequence with ``None`` for outputs that are no signals.
    backward
        From a call, its outputs and the moments of the gradients with respect to them, to the moments of the gradients
        with respect to its operands.
    """

    name: str
    forward: Forward
    backward: Backward


RULES: Final[Catalogue[Rule]] = Catalogue("rule", package="justright.ops.rules")
"""The rules by canonical name."""


def rule(names: str, forward: Forward, backward: Backward) -> None:
    """Register one rule for operators, given by their canonical names with spaces in between."""
    for name in names.split():
        RULES.register(name, Rule(name, forward, backward))

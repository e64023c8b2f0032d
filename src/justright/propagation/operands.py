"""Values for the operands of one call: drawn with the predicted moments, or known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array
from justright.core.draws import draw
from justright.core.graph import Graph
from justright.core.signals import Signal
from justright.core.sources import Source
from justright.ops.rule import Call, Unpredictable
from justright.propagation.thinning import Thinned, taken, thinned

__all__ = ["Cuts", "drawn_operands", "thinned_shape"]

Cuts = Sequence[Mapping[int, Thinned]]
"""For every tensor of a call the dimensions of which some elements are kept, counted from the last one."""

INDEXED = {
    "embedding": ("weight", 0),
    "embedding_bag": ("weight", 0),
    "nll_loss": ("input", 1),
    "take": ("input", None),
}
"""Operators whose integers choose along a fixed dimension of an operand; `None` stands for all of its elements."""


def thinned_shape(shape: Sequence[int], cuts: Mapping[int, Thinned]) -> tuple[int, ...]:
    """Return the shape of the elements that are kept."""
    return tuple(
        cuts[dim - len(shape)].index.size if dim - len(shape) in cuts and length != 1 else int(length)
        for dim, length in enumerate(shape)
    )


def drawn_operands(graph: Graph, call: Call, cuts: Cuts, generator: np.random.Generator) -> list[NDArray[Any]]:
    """Draw every operand of a call; operands that share sources are functions of the same draws.

    Raises
    ------
    Unpredictable
        If nothing is known of an operand, or draws of common sources do not fit together.
    """
    drawn = _Sources(call.signals, generator)
    return [_operand(graph, call, at, cuts[at], drawn, generator) for at in range(len(call.shapes))]


def _operand(
    graph: Graph, call: Call, at: int, cuts: Mapping[int, Thinned], drawn: _Sources, generator: np.random.Generator
) -> NDArray[Any]:
    site = graph.sites[call.node.operands[at].site]
    known = call.known[at]() if call.known else None
    if known is not None:
        return taken(np.asarray(known).astype(_dtype(site.dtype)), cuts)
    if site.dtype.startswith("complex"):
        raise Unpredictable("complex tensors are not drawn")
    found = call.signals[at]
    if site.floating:
        maker = graph.producer(graph.root(site.index))
        if found is None and maker is not None and maker.op == "empty":  # which the call fills
            return np.zeros(thinned_shape(call.shapes[at], cuts))
        if found is None:
            raise Unpredictable(f"nothing is known of its operand {call.node.operands[at].name!r}")
        return np.array(np.broadcast_to(drawn.values(found, cuts), thinned_shape(call.shapes[at], cuts)))
    shape = thinned_shape(call.shapes[at], cuts)
    if site.dtype == "bool":
        return generator.integers(0, 2, shape) == 1  # nothing is known of it: a fair coin
    low, high = _drawn_between(graph, site.index) or (0, _range(call, cuts))
    return generator.integers(low, max(high, low + 1), shape)


def _drawn_between(graph: Graph, site: int) -> tuple[int, int] | None:
    """Return the bounds between which a call of the program drew these integers, the upper one excluded."""
    maker = graph.producer(graph.root(site))
    if maker is None or maker.op != "random_integers" or "high" not in maker.attributes:
        return None
    return int(maker.attributes.get("low", 0)), int(maker.attributes["high"])


def _dtype(name: str) -> str:
    return "float64" if name.startswith(("float", "bfloat")) else name


def _range(call: Call, cuts: Mapping[int, Thinned]) -> int:
    """Return below what unknown integers of a call lie: the length of the dimension along which they choose."""
    if cuts:
        raise Unpredictable("integers of which nothing is known have too many elements")
    name, dim = INDEXED.get(call.node.op, ("input", call.attributes.get("dim", 0)))
    place = call.place(name)
    floating = [shape for shape, each in zip(call.shapes, call.signals, strict=True) if each is not None]
    if place is None or not isinstance(dim, int | None):
        return min((min(shape, default=1) for shape in floating), default=1)
    shape = call.shapes[place]
    return (
        int(np.prod(shape)) if dim is None or not shape else int(shape[dim if -len(shape) <= dim < len(shape) else 0])
    )


class _Sources:
    """Draws of sources, each drawn once, so that whatever is made of them is dependent as it should be."""

    def __init__(self, signals: Sequence[Signal | None], generator: np.random.Generator) -> None:
        self._wanted = {source for each in signals if each is not None for source in each.sources}
        self._generator = generator
        self._drawn: dict[Source, Array] = {}
        self._cuts: dict[Source, Mapping[int, Thinned]] = {}

    def values(self, x: Signal, cuts: Mapping[int, Thinned]) -> Array:
        """Compute a signal from its sources; what is hidden is minus infinity."""
        for source in x.sources:
            self._draw(source, cuts)
        with np.errstate(all="ignore"):
            found = np.asarray(x.values(self._drawn), dtype=np.float64)
        if x.visible is not None:
            found = np.where(taken(np.asarray(x.visible) > 0, cuts), found, -np.inf)
        return found

    def _draw(self, source: Source, cuts: Mapping[int, Thinned]) -> Array:
        if source in self._drawn:
            if self._cuts[source] != cuts:
                raise Unpredictable("its operands share a source, and are too large in different dimensions")
            return self._drawn[source]
        if source.terms and self._wanted.intersection(source.ancestors):
            found = sum((factor * self._draw(term, cuts) for factor, term in source.terms), np.float64(source.shift))
        else:
            found = draw(thinned(source.moments, cuts), self._generator)
        self._drawn[source], self._cuts[source] = np.asarray(found), cuts
        return self._drawn[source]

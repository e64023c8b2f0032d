"""Values that follow from shapes and data alone: masks, positions, indices.

What is computed from neither parameters nor noise nor a signal is computed for real, in NumPy, when a rule asks. Sites
that are computed in the same way from the same leaves, such as the masks of all layers, are computed once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np

from justright.core.axes import Array
from justright.core.graph import Graph, Node
from justright.propagation.evaluated import evaluated
from justright.propagation.evaluation import Evaluation

__all__ = ["Constants"]

LARGEST: Final = 2**24
"""Elements beyond which nothing is computed: a mask of 4,096 by 4,096 positions is just as large."""

KEPT: Final = 2**27
"""Bytes of results that are kept: a mask of 4,096 by 4,096 positions in float64."""


class Constants:
    """Computes known values of a graph's sites on demand.

    Parameters
    ----------
    graph
        The graph.
    given
        Values of leaves, by site.
    """

    def __init__(self, graph: Graph, given: Mapping[int, Any]) -> None:
        self._graph = graph
        self._given = given
        self._never = _unknowable(graph, given)
        self._same = _identities(graph, self._never)
        self._kept: OrderedDict[int, Array | None] = OrderedDict()
        self._bytes = 0

    def __call__(self, site: int) -> Array | None:
        """Return the values of a site; ``None`` where they are not known."""
        if self._never[site] or self._graph.sites[site].size > LARGEST:
            return None
        if site in self._given:
            return np.asarray(self._given[site])
        key = self._same[site]
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = self._computed(site)
        self._keep(key, value)
        return value

    def _keep(self, key: int, value: Array | None) -> None:
        """Keep a result, and forget those that were not asked for the longest."""
        self._kept[key] = value
        self._bytes += 0 if value is None else value.nbytes
        while self._bytes > KEPT and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= 0 if gone is None else gone.nbytes

    def _computed(self, site: int) -> Array | None:
        node = self._graph.producer(site)
        if node is None:
            return None
        operands = tuple((each.name, self(each.site)) for each in node.operands)
        if any(value is None for _, value in operands):
            return None
        shape = self._graph.sites[site].shape
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(evaluated(Evaluation(node, operands, shape, node.outputs.index(site))))
        except (KeyError, TypeError, ValueError, IndexError, StopIteration):
            return None  # an operator or a form of it that is not covered: its values are taken as unknown
        return value if value.shape == shape else None


def _unknowable(graph: Graph, given: Mapping[int, Any]) -> list[bool]:
    """Say of every site whether it comes from a leaf without values, from noise or from memory nobody wrote to."""
    never = [site.node is None and site.index not in given for site in graph.sites]
    for node in graph.nodes:
        lost = node.kind.value == "random" or node.op == "empty" or any(never[site] for site in _read(node))
        for output in node.outputs:
            never[output] = lost
    return never


def _read(node: Node) -> tuple[int, ...]:
    return tuple(each.site for each in node.operands)


def _identities(graph: Graph, never: list[bool]) -> list[int]:
    """Give sites that are computed in the same way from the same leaves one number."""
    numbers: dict[Hashable, int] = {}
    found = list(range(len(graph.sites)))
    for node in graph.nodes:
        if any(never[output] for output in node.outputs):
            continue
        names = tuple((each.name, found[each.site]) for each in node.operands)
        for position, output in enumerate(node.outputs):
            key = (
                node.op,
                node.native,
                repr(sorted(node.attributes.items(), key=str)),
                names,
                position,
                graph.sites[output].shape,
            )
            found[output] = numbers.setdefault(key, output)
    return found

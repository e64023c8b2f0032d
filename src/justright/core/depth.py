"""Depth: which layers a signal passes, and how many of them lie before each.

A layer here is a contraction with weights. Uses of one weight (a recurrent cell over time, a tied layer) are one
layer: what a verdict needs is how far apart *different* weights are, since a weight's gradient sums over its uses.
"""

from __future__ import annotations

from dataclasses import dataclass

from justright.core.graph import Graph
from justright.core.vocabulary import Kind

__all__ = ["Layer", "depths", "layers"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight and all its uses.

    Parameters
    ----------
    weights
        Sites of the parameters the weight is made of (one, or several under a parametrization).
    nodes
        Contractions that use it, in execution order.
    outputs
        Their output sites.
    depth
        Number of distinct weights on the longest path from an input to its first use, itself included.
    hidden
        Whether its units feed another weight, so that they can be exchanged for one another; the units of an output
        layer are told apart by the target.
    """

    weights: frozenset[int]
    nodes: tuple[int, ...]
    outputs: tuple[int, ...]
    depth: int
    hidden: bool


def depths(graph: Graph) -> list[int]:
    """Return for every site the number of distinct weights on the longest path to it."""
    return _walk(graph)[0]


def layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the graph's layers, shallowest first."""
    _, found, first = _walk(graph)
    feeds = _feeds_weight(graph)
    made = [
        Layer(
            weights,
            tuple(nodes),
            tuple(output for index in nodes for output in graph.nodes[index].outputs[:1]),
            first[weights],
            any(feeds[output] for index in nodes for output in graph.nodes[index].outputs),
        )
        for weights, nodes in found.items()
    ]
    return tuple(sorted(made, key=lambda layer: (layer.depth, layer.nodes)))


Weights = frozenset[int]


def _walk(graph: Graph) -> tuple[list[int], dict[Weights, list[int]], dict[Weights, int]]:
    """Depth of every site, nodes of every weight, and depth of every weight."""
    depth = [0] * len(graph.sites)
    found: dict[Weights, list[int]] = {}
    first: dict[Weights, int] = {}
    for node in graph.nodes:
        reached = max((depth[operand.site] for operand in node.operands), default=0)
        weights = _weights(graph, node.index)
        if weights:
            if weights not in first:
                reached += 1
                first[weights] = reached
            found.setdefault(weights, []).append(node.index)
        for output in node.outputs:
            depth[output] = reached
    return depth, found, first


def _feeds_weight(graph: Graph) -> list[bool]:
    """Say of every site whether some path leads from it into a contraction with weights."""
    feeds = [False] * len(graph.sites)
    for node in reversed(graph.nodes):
        if _weights(graph, node.index) or any(feeds[output] for output in node.outputs):
            for operand in node.operands:
                feeds[operand.site] = True
    return feeds


def _weights(graph: Graph, index: int) -> frozenset[int]:
    """Parameter sites of a contraction's weight: the operand made of parameters alone, with two axes or more."""
    node = graph.nodes[index]
    if node.kind is not Kind.CONTRACTION:
        return frozenset()
    made = [graph.parameter_only[operand.site] for operand in node.operands if len(graph.sites[operand.site].shape) > 1]
    signals = [roots for roots in made if not roots]
    return frozenset().union(*made) if signals else frozenset()

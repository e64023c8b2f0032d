"""Where units are counted: the source of every nonlinear pointwise chain, with its flat parts and its unit axis."""

from __future__ import annotations

from dataclasses import dataclass

from justright.core.graph import Graph, Node
from justright.core.vocabulary import Kind
from justright.core.zones import Zones
from justright.ops.chains import Chain, chains
from justright.ops.zones import zones

__all__ = ["Nonlinearity", "nonlinearities"]

CHANNELS_SECOND = frozenset(
    (
        "convolution",
        "transposed_convolution",
        "batch_norm",
        "group_norm",
        "max_pool",
        "average_pool",
        "adaptive_average_pool",
    )
)
"""Operators whose units lie on axis 1; those of all others lie on the last axis."""


@dataclass(frozen=True, slots=True)
class Nonlinearity:
    """A function of one variable that the network applies, and how its units lie."""

    axis: int
    zones: Zones
    function: str


def nonlinearities(graph: Graph) -> dict[int, Nonlinearity]:
    """Return, by source site, every function that has flat parts.

    A site that feeds several functions is judged by the first of them.
    """
    found: dict[int, Nonlinearity] = {}
    known: dict[str, Zones] = {}  # a network repeats few functions, and finding zones takes milliseconds
    axes = _unit_axes(graph)
    for chain in chains(graph):
        site = graph.sites[chain.source]
        if chain.source in found or not site.shape or graph.parameter_only[chain.source]:
            continue
        structure = _structure(chain)
        if structure not in known:
            known[structure] = zones(chain, chain.derivative, chain.kinks())
        flat = known[structure]
        if flat.flat:
            found[chain.source] = Nonlinearity(axes[chain.source], flat, chain.expression)
    return found


def _structure(chain: Chain) -> str:
    """Write a chain's operators, attributes and wiring in full, without the sites' numbers."""
    places = {chain.source: -1} | {site: place for place, node in enumerate(chain.nodes) for site in node.outputs}
    rows = [
        (node.op, sorted(node.attributes.items()), [(each.name, places.get(each.site)) for each in node.operands])
        for node in chain.nodes
    ]
    return repr((rows, places[chain.output]))


def _unit_axes(graph: Graph) -> list[int]:
    """Find for every site the axis along which one index is one unit, as handed on from where the units were made."""
    axes = [1 if len(site.shape) > 3 else max(len(site.shape) - 1, 0) for site in graph.sites]  # noqa: PLR2004  images
    for node in graph.nodes:
        signals = [operand.site for operand in node.operands if not graph.parameter_only[operand.site]]
        for output in node.outputs:
            axis = _unit_axis(graph, node, output, axes, signals[0]) if signals else None
            axes[output] = axes[output] if axis is None else axis
    return axes


def _unit_axis(graph: Graph, node: Node, output: int, axes: list[int], source: int) -> int | None:
    """Return the unit axis of an output, if the operator decides or keeps it."""
    shape, before = graph.sites[output].shape, graph.sites[source].shape
    if node.op in CHANNELS_SECOND:
        return 1 if len(shape) > 1 else None
    if node.op in {"permute", "transpose"}:
        order = _order(node, len(shape))
        return order.index(axes[source]) if axes[source] in order else None
    if before == shape:
        return axes[source]
    last = len(shape) - 1
    kept = node.kind is Kind.VIEW and axes[source] == len(before) - 1
    return last if shape and (node.kind is Kind.CONTRACTION or kept) else None


def _order(node: Node, axes: int) -> list[int]:
    """For every axis after a permutation, the axis that it was."""
    if node.op == "permute":
        return [int(axis) % axes for axis in node.attributes["dims"]]
    order = list(range(axes))
    first, second = int(node.attributes.get("dim0", 0)) % axes, int(node.attributes.get("dim1", 1)) % axes
    order[first], order[second] = order[second], order[first]
    return order

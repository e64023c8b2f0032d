"""Where to look at relations between examples, positions and units, at attention, and at routing."""

from __future__ import annotations

from collections.abc import Iterator

from justright.adapters.base import Places
from justright.core.depth import layers
from justright.core.graph import Graph, Node, Role
from justright.core.information import read_sites
from justright.core.vocabulary import Kind
from justright.measure.examples import example_axes

__all__ = ["attentions", "relations", "routings"]

CARRIED = frozenset({Kind.VIEW, Kind.CAST, Kind.POINTWISE, Kind.SELECTION, Kind.RANDOM})
"""Kinds that attention probabilities pass on their way to the values: dropout, masks, shapes."""

SCORED = frozenset({Kind.VIEW, Kind.CAST, Kind.POINTWISE, Kind.SOFTMAX, Kind.NORMALIZATION})
"""Kinds that a router's scores pass on their way to the choice."""

CHANNELS_SECOND = frozenset({"convolution", "transposed_convolution"})


def relations(graph: Graph) -> dict[int, Places]:
    """Return, for every site that weights read and for what the network starts from, how its axes lie.

    Sites whose example axis is not known are left out.
    """
    examples, axes = example_axes(graph)
    if not examples:
        return {}
    found: dict[int, Places] = {}
    for site in dict.fromkeys((*_starts(graph), *read_sites(graph))):
        axis = axes[site]
        if axis is not None and (units := _unit_axis(graph, site)) != axis.axis:
            found[site] = Places(*axis, units)
    return found


def _starts(graph: Graph) -> Iterator[int]:
    """Yield floating inputs of the model, and what tables give for integer ones."""
    for site in graph.sites:
        node = graph.producer(site.index)
        table = node is not None and node.kind is Kind.LOOKUP and not graph.parameter_only[site.index]
        given = site.role is Role.INPUT and not site.name.startswith("target")
        if site.floating and site.size and (given or table):
            yield site.index


def _unit_axis(graph: Graph, site: int) -> int:
    """Axis that the weights reading a site sum over; the last one of what no weight reads."""
    reads = [graph.nodes[index] for index in graph.consumers[site]]
    second = any(node.op in CHANNELS_SECOND and node.operands[0].site == site for node in reads)
    return 1 if second else len(graph.sites[site].shape) - 1


def attentions(graph: Graph) -> dict[int, int]:
    """Return softmaxes over positions whose result is contracted with a signal, by output site, with their axis."""
    found: dict[int, int] = {}
    for node in graph.nodes:
        if node.op == "softmax" and len(graph.sites[node.outputs[0]].shape) > 1 and _weighs_values(graph, node):
            found[node.outputs[0]] = int(node.attributes.get("dim", -1))
    return found


def _weighs_values(graph: Graph, node: Node) -> bool:
    """Say whether the softmax's result is one factor of a contraction whose other factor is no parameter."""
    pending, seen = [node.outputs[0]], set[int]()
    while pending:
        site = pending.pop()
        for index in graph.consumers[site]:
            reader = graph.nodes[index]
            if reader.kind is Kind.CONTRACTION:
                others = [each.site for each in reader.operands[-2:] if each.site != site]
                return any(not graph.parameter_only[other] for other in others)
            if reader.kind in CARRIED and not seen.issuperset(reader.outputs):
                seen.update(reader.outputs)
                pending += reader.outputs
    return False


def routings(graph: Graph) -> dict[int, int]:
    """Return the scores by which tokens are sent to experts, with how many experts each token gets.

    These are the input of a top-k or an argmax along the units that a weight made, on whose choice the loss depends.
    """
    routers = {site for layer in layers(graph) for site in layer.outputs}
    needed = _needed(graph)
    found: dict[int, int] = {}
    for node in graph.nodes:
        if node.op not in {"top_k", "argmax"} or needed.isdisjoint(node.outputs):
            continue
        scores = graph.sites[node.operands[0].site]
        last = int(node.attributes.get("dim", -1)) % max(len(scores.shape), 1) == len(scores.shape) - 1
        chosen = int(node.attributes.get("k", 1))
        if scores.floating and len(scores.shape) > 1 and last and chosen < scores.shape[-1]:
            found |= {scores.index: chosen} if _made_by(graph, scores.index, routers) else {}
    return found


def _made_by(graph: Graph, site: int, routers: set[int]) -> bool:
    """Say whether scores are a weight's output, each of its units by itself."""
    width = graph.sites[site].shape[-1]
    while site not in routers:
        node = graph.producer(site)
        if node is None or node.kind not in SCORED:
            return False
        site = next((each.site for each in node.operands if not graph.parameter_only[each.site]), -1)
        if site < 0 or graph.sites[site].shape[-1:] != (width,):
            return False
    return True


def _needed(graph: Graph) -> frozenset[int]:
    """Return the sites on which the loss, or an output where there is none, depends."""
    needed = set(graph.outputs if graph.loss is None else (graph.loss,))
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(operand.site for operand in node.operands)
    return frozenset(needed)

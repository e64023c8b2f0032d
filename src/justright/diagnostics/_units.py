"""What a nonlinearity is used for, and what lies behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from justright.core.graph import Graph, Node
from justright.core.profile import SiteRecord, UnitStatistics
from justright.core.vocabulary import Kind
from justright.diagnostics.base import Case

__all__ = ["FEWEST", "feeding", "gates", "judged", "severed"]

FEWEST = 16
"""Elements a unit below which being flat or off for all of them is likely by chance (2**-16 for independent ones)."""

CARRIED = frozenset({Kind.POINTWISE, Kind.VIEW, Kind.CAST, Kind.SELECTION})
"""Kinds through which a gate's value reaches the product."""


def judged(case: Case) -> Iterator[tuple[SiteRecord, UnitStatistics, int]]:
    """Yield every nonlinearity on the way of a gradient, with its units and the number of elements of each."""
    for record in case.profile.sites:
        units = record.units
        if units and units.units and case.graph.by_name[record.name].differentiable:
            yield record, units, math.prod(record.shape) // units.units


def feeding(case: Case) -> frozenset[int]:
    """Sites from which a path leads into a weight: those of hidden units."""
    uses = [case.graph.nodes[use] for layer in case.layers for use in layer.nodes]
    return _before(case.graph, [operand.site for node in uses for operand in node.operands])


def severed(graph: Graph, off: Iterable[int]) -> bool:
    """Say whether no weight before these sites gets a gradient from the loss when they let none through."""
    blocked = set(off)
    before = _before(graph, blocked)
    alive = {site for site in before if site in graph.parameter_sites and len(graph.sites[site].shape) > 1}
    for node in graph.nodes:
        if any(operand.site in alive for operand in node.operands):
            alive.update(site for site in node.outputs if graph.sites[site].differentiable and site not in blocked)
    return graph.loss is not None and graph.loss not in alive


def _before(graph: Graph, sites: Iterable[int]) -> frozenset[int]:
    """Return these sites and everything they were computed from."""
    pending = list(sites)
    found: set[int] = set()
    while pending:
        site = pending.pop()
        node = None if site in found else graph.producer(site)
        found.add(site)
        pending += [operand.site for operand in node.operands] if node else []
    return frozenset(found)


def gates(graph: Graph) -> frozenset[int]:
    """Sites whose elementwise function ends as a factor of another signal: the inputs of gates.

    Followed from every product, and from the weight of every interpolation, back through pointwise operations and views
    of one operand; the other factor must come from elsewhere, so that x * sigmoid(x), one function of x, is none.
    """
    found: set[int] = set()
    for node in graph.nodes:
        paths = [_pointwise_path(graph, site) for site in _factors(node)]
        for path, other in zip(paths, reversed(paths), strict=True):
            if len(path) > 1 and not set(path) & set(other):
                found.update(path)
    return frozenset(found)


def _factors(node: Node) -> tuple[int, ...]:
    """Return the two sites that a node multiplies."""
    names = {"multiply": ("input", "other"), "addcmul": ("tensor1", "tensor2"), "lerp": ("end", "weight")}
    sites = [node.operand(name) for name in names.get(node.op, ())]
    found = tuple(site for site in sites if site is not None)
    return found if len(found) == 2 else ()  # noqa: PLR2004  a product of two


def _pointwise_path(graph: Graph, site: int) -> list[int]:
    """Sites from here back along pointwise operations of one signal."""
    path = [site]
    while (node := graph.producer(site)) is not None:
        signals = {operand.site for operand in node.operands}
        # A write into another part of the same memory leaves this part as it was.
        if node.kind is not Kind.UPDATE and (len(signals) != 1 or node.kind not in CARRIED):
            break
        site = node.operands[0].site
        path.append(site)
    return path

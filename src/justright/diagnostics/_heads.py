"""Attention heads that give the same for every token of every example, beside siblings that do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from justright.core.graph import Graph, Node
from justright.core.information import RelationStatistics
from justright.core.profile import SiteRecord
from justright.core.vocabulary import Kind
from justright.diagnostics._information import compared
from justright.diagnostics.base import Case

__all__ = ["Heads", "heads_of", "mixtures"]

CARRIED = frozenset({Kind.VIEW, Kind.CAST, Kind.POINTWISE, Kind.SELECTION, Kind.RANDOM})
"""Kinds that heads and attention probabilities pass with their places kept: masks, gates, dropout, shapes."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads of one layer of attention.

    Parameters
    ----------
    record
        The joined heads, as the output projection reads them.
    heads
        How many there are.
    constant
        How many of them give the same everywhere.
    unheard
        How many of them the output projection leaves out, so that no gradient comes to them.
    lasting
        Whether no gradient comes to the values of the constant ones, so that no step brings them back.
    """

    record: SiteRecord
    heads: int
    constant: int
    unheard: int
    lasting: bool

    @property
    def dead(self) -> int:
        """How many give nothing that differs, or are not read."""
        return max(self.constant, self.unheard)


def heads_of(case: Case) -> Iterator[Heads]:
    """Yield the heads of every layer of attention that has several, and how many are dead beside living ones."""
    for site, record, relation in compared(case):
        mixed = _mixed(case, site)
        width = case.graph.sites[mixed[0].outputs[0]].shape[-1] if mixed else 0
        heads = relation.units // width if width and relation.units % width == 0 else 1
        if mixed is not None and heads > 1:
            constant = _whole(relation.varying, relation, heads)
            unheard = _whole(relation.gradient_varying, relation, heads)
            yield Heads(record, heads, constant, unheard, _unmoved(case, mixed[1], constant / heads))


def mixtures(graph: Graph, site: int) -> frozenset[int]:
    """Return the products of attention and values, given the attention.

    Parameters
    ----------
    graph
        A traced graph.
    site
        Result of a softmax.
    """
    carried, found = {site}, set[int]()
    for node in graph.nodes:
        if carried.isdisjoint(each.site for each in node.operands):
            continue
        if node.kind is Kind.CONTRACTION:
            found.update(node.outputs)
        elif node.kind in CARRIED:
            carried.update(node.outputs)
    return frozenset(found)


def _whole(varying: int, relation: RelationStatistics, heads: int) -> int:
    """How many whole heads the units that do not vary make up; 0 if none is left that does.

    Of a head that is compared in part, one unit more or less may be among those compared.
    """
    silent = relation.compared - varying
    return int((silent + (relation.units > relation.compared)) * heads / relation.compared) if varying else 0


def _mixed(case: Case, site: int) -> tuple[Node, int] | None:
    """Find the product of attention and values that a site's units come from, and the site of the values."""
    node = _made(case.graph, site)
    if node is None or node.kind is not Kind.CONTRACTION:
        return None
    for weights, values in ((0, 1), (1, 0)):
        if len(node.operands) > 1 and _attends(case, node.operands[weights].site):
            return node, node.operands[values].site
    return None


def _attends(case: Case, site: int) -> bool:
    node = _made(case.graph, site)
    record = case.record(node.outputs[0]) if node is not None and node.kind is Kind.SOFTMAX else None
    return record is not None and record.attention is not None


def _made(graph: Graph, site: int) -> Node | None:
    """Follow views, masks and dropout back to what made the values."""
    *_, last = _way(graph, site)
    return graph.producer(last)


def _way(graph: Graph, site: int) -> Iterator[int]:
    """Yield a site, and those that it comes from through views, masks and dropout."""
    yield site
    while (node := graph.producer(site)) is not None and node.kind in CARRIED and node.operands:
        signals = [each.site for each in node.operands if graph.sites[each.site].differentiable]
        site = signals[0] if signals else node.operands[0].site
        yield site


def _unmoved(case: Case, values: int, share: float) -> bool:
    """Say whether, on the way from the weights to the values, this share of the gradient is exactly zero."""
    records = [case.record(site) for site in _way(case.graph, values)]
    return share > 0 and any(each and each.gradient and each.gradient.zeros >= share for each in records)

"""Where the way from parameters to the loss loses its gradient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from justright.core.graph import Graph, Node, Role
from justright.core.vocabulary import Kind

__all__ = ["LOSS", "Cuts", "Fate"]

LOSS = "loss"
"""Module path of the loss's own operations."""

INTEGER = frozenset({Kind.ROUTING, Kind.CAST})
"""Kinds that lose a gradient because their result is a number, an order or a truth value, not because someone asked."""


class Fate(NamedTuple):
    """What a gradient's way from a site leads to.

    Parameters
    ----------
    unread
        Whether it leads to an output that the loss does not read.
    hard, soft
        First operation on it that has no derivative, and first one that keeps the gradient away although it has one.
    """

    unread: bool = False
    hard: int | None = None
    soft: int | None = None

    def joined(self, other: Fate) -> Fate:
        """Return what two ways lead to together."""
        return Fate(self.unread or other.unread, _first(self.hard, other.hard), _first(self.soft, other.soft))


@dataclass(frozen=True)
class Cuts:
    """The operations of one graph that take the gradient of some parameters.

    Parameters
    ----------
    graph
        A traced graph.
    missing
        Sites of the parameters that got no gradient.
    """

    graph: Graph
    missing: frozenset[int]

    @cached_property
    def needed(self) -> frozenset[int]:
        """Sites on which the loss depends in any way."""
        return self._before([] if self.graph.loss is None else [self.graph.loss])

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Operations that get something of these parameters, give no gradient back, and on which the loss depends."""
        return tuple(
            node
            for node in self.graph.nodes
            if any(operand.site in self._alive for operand in node.operands)
            and any(site in self.needed for site in node.outputs)
            and not any(self.graph.sites[site].differentiable for site in node.outputs)
        )

    @cached_property
    def fates(self) -> dict[int, Fate]:
        """What the gradient's way leads to from every site that it passes, one reverse pass for all."""
        cuts = {node.index for node in self.nodes}
        found = {site: Fate(unread=True) for site in self.graph.outputs if site not in self.needed}
        for node in reversed(self.graph.nodes):
            fate = self._of_node(node, found, cuts)
            for operand in node.operands:
                if operand.site in self._alive and fate != Fate():
                    found[operand.site] = found.get(operand.site, Fate()).joined(fate)
        return found

    @cached_property
    def only_way(self) -> bool:
        """Whether all that the loss learns of the model's input passes through these operations."""
        stopped = {node.index for node in self.nodes}
        behind = self._before(operand.site for node in self.nodes for operand in node.operands)
        inputs = frozenset(site.index for site in self.graph.sites if site.role is Role.INPUT and site.index in behind)
        alive = set(inputs)
        for node in self.graph.nodes:
            # A loss compares with the input itself in an autoencoder; that is no way through the model.
            reads = {operand.site for operand in node.operands} - (inputs if node.module == LOSS else frozenset())
            if node.index not in stopped and not alive.isdisjoint(reads):
                alive.update(node.outputs)
        return self.graph.loss not in alive

    @cached_property
    def blind(self) -> bool:
        """Whether the loss depends on nothing that the model was given, the target aside."""
        given = [site.index for site in self.graph.sites if site.role is Role.INPUT and self._read_by_model(site.index)]
        return bool(given) and self.needed.isdisjoint(given)

    def integer(self, node: Node) -> bool:
        """Say whether an operation has no derivative at all, as argmax and comparisons."""
        return node.kind in INTEGER and not any(self.graph.sites[site].floating for site in node.outputs)

    @cached_property
    def _alive(self) -> frozenset[int]:
        """Sites to which a gradient's way leads from the parameters, themselves included."""
        alive = set(self.missing)
        for node in self.graph.nodes:
            if any(operand.site in alive for operand in node.operands):
                alive.update(site for site in node.outputs if self.graph.sites[site].differentiable)
        return frozenset(alive)

    def _of_node(self, node: Node, found: dict[int, Fate], cuts: set[int]) -> Fate:
        if node.index in cuts:
            return Fate(hard=node.index) if self.integer(node) else Fate(soft=node.index)
        fate = Fate()
        for site in node.outputs:
            if site in self._alive and site in found:
                fate = fate.joined(found[site])
        return fate

    def _read_by_model(self, site: int) -> bool:
        return any(self.graph.nodes[index].module != LOSS for index in self.graph.consumers[site])

    def _before(self, sites: Iterable[int]) -> frozenset[int]:
        pending = list(sites)
        found: set[int] = set()
        while pending:
            site = pending.pop()
            node = None if site in found else self.graph.producer(site)
            found.add(site)
            pending += [operand.site for operand in node.operands] if node else []
        return frozenset(found)


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)

"""Where the way from a parameter to the loss loses its gradient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from justright.core.graph import Graph, Node, Role
from justright.core.vocabulary import Kind

__all__ = ["LOSS", "Cuts"]

LOSS = "loss"
"""Module path of the loss's own operations."""

INTEGER = frozenset({Kind.ROUTING, Kind.CAST})
"""Kinds that lose a gradient because their result is a number, an order or a truth value, not because someone asked."""


@dataclass(frozen=True)
class Cuts:
    """The operations of one graph that take a gradient's way."""

    graph: Graph

    @cached_property
    def needed(self) -> frozenset[int]:
        """Sites on which the loss depends in any way."""
        pending = [] if self.graph.loss is None else [self.graph.loss]
        found: set[int] = set()
        while pending:
            site = pending.pop()
            node = None if site in found else self.graph.producer(site)
            found.add(site)
            pending += [operand.site for operand in node.operands] if node else []
        return frozenset(found)

    def reached(self, sites: Iterable[int]) -> frozenset[int]:
        """Sites to which a gradient's way leads from these."""
        alive = set(sites)
        for node in self.graph.nodes:
            if any(operand.site in alive for operand in node.operands):
                alive.update(site for site in node.outputs if self.graph.sites[site].differentiable)
        return frozenset(alive)

    def between(self, alive: frozenset[int]) -> tuple[Node, ...]:
        """Operations that read one of these sites, give no gradient back, and on whose result the loss depends."""
        return tuple(
            node
            for node in self.graph.nodes
            if any(operand.site in alive for operand in node.operands)
            and any(site in self.needed for site in node.outputs)
            and not any(self.graph.sites[site].differentiable for site in node.outputs)
        )

    def integer(self, node: Node) -> bool:
        """Say whether an operation has no derivative at all, as argmax and comparisons."""
        return node.kind in INTEGER and not any(self.graph.sites[site].floating for site in node.outputs)

    def unread_output(self, alive: frozenset[int]) -> bool:
        """Say whether a gradient's way leads to an output that the loss does not read."""
        return any(site in alive and site not in self.needed for site in self.graph.outputs)

    def only_way(self, cuts: Iterable[Node]) -> bool:
        """Say whether whatever the loss learns of the model's input passes through these operations."""
        stopped = {node.index for node in cuts}
        behind = {operand.site for node in cuts for operand in node.operands}
        alive = {
            site.index for site in self.graph.sites if site.role is Role.INPUT and self._leads_to(site.index, behind)
        }
        inputs = frozenset(alive)
        for node in self.graph.nodes:
            # A loss compares with the input itself in an autoencoder; that is no way through the model.
            reads = {operand.site for operand in node.operands} - (inputs if node.module == LOSS else frozenset())
            if node.index not in stopped and not alive.isdisjoint(reads):
                alive.update(node.outputs)
        return self.graph.loss not in alive

    def _leads_to(self, start: int, goals: set[int]) -> bool:
        alive = {start}
        for node in self.graph.nodes:
            if any(operand.site in alive for operand in node.operands):
                alive.update(node.outputs)
        return not alive.isdisjoint(goals)

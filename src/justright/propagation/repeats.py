"""Where a graph repeats: loops over time, found by their structure.

A loop is what lies between the first and the last call of an operator that the same line of the same module makes
again and again along one path, with what comes straight before and after it in that module: the states of all steps
covary, with each other and with what the steps read, so that none of these can be drawn without the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from justright.core.graph import Graph, Node
from justright.core.vocabulary import Kind

__all__ = ["Loop", "find_loops"]

STEPS: Final = 8
"""Repetitions along one path from which on a loop is run: fewer steps of a product hardly differ."""

LARGEST: Final = 1 << 26
"""Elements of all tensors of a loop up to which it is run: half a minute."""

CUT: Final = (Kind.CONTRACTION, Kind.NORMALIZATION, Kind.SOFTMAX, Kind.LOOKUP, Kind.RANDOM, Kind.RECURRENT)
"""Operators whose results are drawn where a loop stands in the model itself and not in a module of its own."""


@dataclass(frozen=True)
class Loop:
    """A loop of a graph.

    Parameters
    ----------
    nodes
        Its operators in order.
    entering
        Sites that it reads and does not make.
    leaving
        Sites that it makes and something else reads.
    size
        Elements of all tensors that it makes.
    """

    nodes: tuple[Node, ...]
    entering: tuple[int, ...]
    leaving: tuple[int, ...]
    size: int

    @property
    def last(self) -> int:
        """Index of its last operator."""
        return self.nodes[-1].index


def find_loops(graph: Graph) -> tuple[Loop, ...]:
    """Find what repeats along a path: the same operator of the same module at the same source line."""
    occurrences: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for node in graph.nodes:
        if node.kind in {Kind.POINTWISE, Kind.CONTRACTION}:
            occurrences[node.module, node.source, node.op].append(node.index)
    spans = [(found[0], found[-1]) for found in occurrences.values() if len(found) >= STEPS and _chained(graph, found)]
    merged = list(_merged(spans))
    limits = [start for start, _ in merged[1:]] + [len(graph.nodes)]
    loops = [_loop(graph, start, end, limit) for (start, end), limit in zip(merged, limits, strict=False)]
    return tuple(loop for loop in loops if _runs(graph, loop))


def _chained(graph: Graph, found: Sequence[int]) -> bool:
    """Say whether enough of these nodes lie on one path."""
    chosen = set(found)
    length: dict[int, int] = {}
    for node in graph.nodes[found[0] : found[-1] + 1]:
        before = max((length.get(operand.site, 0) for operand in node.operands), default=0)
        for site in node.outputs:
            length[site] = before + (node.index in chosen)
    return max(length.values()) >= STEPS


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans of nodes that overlap."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    yield from joined


def _loop(graph: Graph, start: int, end: int, limit: int) -> Loop:
    """Take what comes straight before and after a loop into it, as far as what can be drawn."""
    inside = set(range(start, end + 1))
    module = Counter(graph.nodes[index].module for index in inside).most_common(1)[0][0]
    inside.update(_following(graph, inside, module, end, limit))
    last = max(inside)
    for node in reversed(graph.nodes[:last]):
        readers = {reader for site in node.outputs for reader in graph.consumers[site]} - {node.index}
        if readers and all(reader in inside or reader > last for reader in readers) and _belongs(node, module):
            inside.add(node.index)
    nodes = tuple(graph.nodes[index] for index in sorted(inside))
    made = {site for node in nodes for site in node.outputs}
    read = dict.fromkeys(operand.site for node in nodes for operand in node.operands)
    ends = {*graph.outputs, *(() if graph.loss is None else (graph.loss,))}
    leaving = (site for site in made if site in ends or not inside.issuperset(graph.consumers[site]))
    size = sum(graph.sites[site].size for site in made)
    return Loop(nodes, tuple(site for site in read if site not in made), tuple(sorted(leaving)), size)


def _following(graph: Graph, inside: set[int], module: str, end: int, limit: int) -> set[int]:
    """Return the nodes behind a loop that read it, up to the first one that does not belong to it."""
    made = {site for index in inside for site in graph.nodes[index].outputs}
    found: set[int] = set()
    for node in graph.nodes[end + 1 : limit]:
        if not made.intersection(operand.site for operand in node.operands):
            continue
        if not _belongs(node, module):
            break
        found.add(node.index)
        made.update(node.outputs)
    return found


def _belongs(node: Node, module: str) -> bool:
    """Say whether a node next to a loop is part of it: all of a module, and what is no cut of the model itself."""
    return node.module.startswith(module) if module else node.kind not in CUT


def _runs(graph: Graph, loop: Loop) -> bool:
    size = loop.size + sum(graph.sites[site].size for site in loop.entering)
    native = all(len(node.native.split(".")) > 1 and node.kind is not Kind.UPDATE for node in loop.nodes)
    return size <= LARGEST and native

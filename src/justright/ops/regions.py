"""The parts of a graph in which one tensor is turned into others element by element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from justright.core.graph import Graph, Node, Role
from justright.core.vocabulary import Kind
from justright.ops.base import OPERATORS, Pointwise

__all__ = ["IDENTITIES", "LONGEST", "regions"]

IDENTITIES: Final = frozenset(("cast", "clone", "alias", "detach"))
"""Operators that hand on the same values, as long as shape and kind of number stay."""

LONGEST: Final = 256
"""Operators in sequence after which a region is cut, so that the chains of a graph stay linear in its size."""

REAL: Final = ("float", "bfloat")
"""Prefixes of the dtypes whose values are real numbers."""

CONSTANT: Final = (Role.CONSTANT, Role.BUFFER)
"""Roles of the leaves that vary neither with the input nor in training."""


def regions(graph: Graph) -> Iterator[tuple[int, int, tuple[Node, ...]]]:
    """Yield the ways from a tensor through pointwise operators to a tensor that something else reads.

    Parameters
    ----------
    graph
        Any traced graph.

    Yields
    ------
    tuple
        The site that feeds the region, the site at which it is left, and the nodes in between in execution order;
        by the second. A region is as large as can be, up to `LONGEST` operators in sequence.
    """
    sources = _sources(graph)
    constant = _constant(graph)
    for end in _ends(graph, sources):
        if not constant[sources[end]]:
            yield sources[end], end, _between(graph, sources, end)


def _sources(graph: Graph) -> list[int]:
    """For every site, the earliest one of which it is a pointwise function; itself where there is none."""
    sources = list(range(len(graph.sites)))
    depth = [0] * len(graph.sites)
    for node in graph.nodes:
        if not _may_fold(graph, node):
            continue
        feeding = {sources[operand.site] for operand in node.operands}
        reached = 1 + max(depth[operand.site] for operand in node.operands)
        if reached > LONGEST:
            feeding, reached = {operand.site for operand in node.operands}, 1
        if len(feeding) == 1:
            output = node.outputs[0]
            sources[output], depth[output] = feeding.pop(), reached
    return sources


def _may_fold(graph: Graph, node: Node) -> bool:
    """Say whether a node is a function of its operands' elements, and all its other arguments are known numbers."""
    sites = [graph.sites[site] for site in (*node.outputs, *(operand.site for operand in node.operands))]
    alike = len({site.shape for site in sites}) == 1 and all(site.dtype.startswith(REAL) for site in sites)
    if len(node.outputs) != 1 or not node.operands or not alike:
        return False
    return node.op in IDENTITIES or (node.op in OPERATORS and _complete(OPERATORS[node.op], node))


def _complete(entry: Pointwise, node: Node) -> bool:
    names = [operand.name for operand in node.operands]
    known = entry.required <= {*names, *node.attributes}
    scalars = all(np.ndim(value) == 0 for name, value in node.attributes.items() if name in entry.defaults)
    return known and scalars and len(set(names)) == len(names) and entry.partials.keys() >= set(names)


def _constant(graph: Graph) -> list[bool]:
    """Say of every site whether it is computed from constants and buffers alone."""
    constant = [site.role in CONSTANT for site in graph.sites]
    for node in graph.nodes:
        if node.kind is not Kind.RANDOM and all(constant[operand.site] for operand in node.operands):
            for output in node.outputs:
                constant[output] = True
    return constant


def _ends(graph: Graph, sources: list[int]) -> list[int]:
    """Return the sites of regions that something outside their own region needs, or nothing at all reads."""
    outside: set[int | None] = {*graph.outputs, graph.loss}
    for node in graph.nodes:
        regions = {sources[output] for output in node.outputs}
        outside.update(operand.site for operand in node.operands if sources[operand.site] not in regions)
    folded = (site for site, source in enumerate(sources) if site != source)
    return [site for site in folded if site in outside or not graph.consumers[site]]


def _between(graph: Graph, sources: list[int], output: int) -> tuple[Node, ...]:
    """Return the nodes that lead from a site's source to it, in execution order."""
    found: dict[int, Node] = {}
    pending = [output]
    while pending:
        site = pending.pop()
        node = graph.producer(site)
        if node is not None and site != sources[output] and node.index not in found:
            found[node.index] = node
            pending += [operand.site for operand in node.operands]
    return tuple(found[index] for index in sorted(found))

"""What a nonlinearity is used for."""

from __future__ import annotations

from justright.core.graph import Graph
from justright.core.vocabulary import Kind

__all__ = ["gates"]


def gates(graph: Graph) -> frozenset[int]:
    """Sites whose elementwise function ends as a factor of another signal: the inputs of gates.

    Followed from every product back through pointwise operations and views of one operand; the other factor must come
    from elsewhere, so that x * sigmoid(x), one function of x, is none.
    """
    found: set[int] = set()
    for node in graph.nodes:
        if node.op != "multiply" or len(node.operands) < 2:  # noqa: PLR2004  a product of two
            continue
        paths = [_pointwise_path(graph, operand.site) for operand in node.operands]
        for path, other in ((paths[0], paths[1]), (paths[1], paths[0])):
            if len(path) > 1 and not set(path) & set(other):
                found.update(path)
    return frozenset(found)


def _pointwise_path(graph: Graph, site: int) -> list[int]:
    """Sites from here back along pointwise operations of one signal."""
    path = [site]
    while (node := graph.producer(site)) is not None:
        signals = {operand.site for operand in node.operands}
        if len(signals) != 1 or node.kind not in {Kind.POINTWISE, Kind.VIEW, Kind.CAST, Kind.SELECTION}:
            break
        site = node.operands[0].site
        path.append(site)
    return path

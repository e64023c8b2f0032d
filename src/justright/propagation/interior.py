"""What lies inside a program's own functions, whose backward a graph does not show."""

from __future__ import annotations

from justright.core.graph import Graph, Node

__all__ = ["interior"]


def interior(graph: Graph) -> frozenset[int]:
    """Return the sites inside functions that bring a backward of their own (`torch.autograd.Function`).

    Autograd does not look into such a function: its inputs and outputs are differentiable, and what lies between is
    not. These are the sites between; a gradient is taken to pass them as the derivative of what the function computes.
    """
    inside: set[int] = set()
    for node in graph.nodes:
        if _closes(graph, node):
            inside |= _between(graph, node)
    return frozenset(inside)


def _closes(graph: Graph, node: Node) -> bool:
    """Say whether a node is the last of such a function: it has a gradient, and nothing that it reads has one."""
    return any(graph.sites[site].differentiable for site in node.outputs) and not any(
        graph.sites[each.site].differentiable for each in node.operands
    )


def _between(graph: Graph, last: Node) -> set[int]:
    """Return the sites between the last node and what reaches the function with a gradient."""
    met: dict[int, bool] = {}

    def carries(node: Node) -> bool:
        found = False
        for each in node.operands:
            site = graph.sites[each.site]
            if not site.floating or site.differentiable:
                found |= site.differentiable
                continue
            if site.index not in met:
                met[site.index] = False
                producer = graph.producer(site.index)
                met[site.index] = producer is not None and producer.op != "detach" and carries(producer)
            found |= met[site.index]
        return found

    carries(last)
    return {site for site, carried in met.items() if carried}

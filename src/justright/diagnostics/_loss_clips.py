"""Hard edges between the weights and the loss: what they cut off has no gradient."""

from __future__ import annotations

import math
from typing import NamedTuple

from justright.core.graph import Graph, Node
from justright.diagnostics._loss_activations import PASSED, bounds, guards

__all__ = ["Clip", "clip_before"]

ONE_SIDED = frozenset({"relu", "relu6", "hardtanh", "threshold", "clamp", "clamp_min", "clamp_max"})
"""Operators that pass a value as it is up to an edge, and give no gradient at all beyond it."""

COMPARED = frozenset({"minimum", "maximum"})
"""Operators that do the same where they compare with a tensor that is not learned."""


class Clip(NamedTuple):
    """The first of the hard edges that an output passes last, in a row.

    Parameters
    ----------
    node
        The operator with the edge.
    start
        Site before it, and before scales and shifts ahead of it: that of the whole nonlinearity.
    last
        Site behind the last edge of the row.
    """

    node: Node
    start: int
    last: int


def clip_before(graph: Graph, site: int, low: float, high: float) -> Clip | None:
    """Return the hard edges that an output passes, through scales, shifts, views and epsilons.

    Parameters
    ----------
    graph
        A traced graph.
    site
        The output.
    low, high
        Range in which it is wanted. What keeps within it by itself, as a softmax does, is not clipped by a clamp.

    Returns
    -------
    Clip
        Where the row starts; ``None`` if there is no edge, or nothing can come beyond it.
    """
    found: Clip | None = None
    scale, shift = 1.0, 0.0  # of the output, as a function of the current site
    while (node := graph.producer(site)) is not None:
        line, edge = _line(node), _edge(graph, node)
        if edge is not None:
            found = Clip(node, edge, node.outputs[0] if found is None else found.last)
        elif line is not None:
            scale, shift = scale * line[0], scale * line[1] + shift
            at = node.operands[0].site
            found = found._replace(start=at) if found is not None and found.start == node.outputs[0] else found
        elif not guards(node) and node.kind not in PASSED:
            break
        site = node.operands[0].site if edge is None else edge
    ends = (-math.inf, math.inf) if node is None else bounds(node)
    least, greatest = sorted(scale * end + shift for end in ends) if scale else ends
    return None if low <= least and greatest <= high else found


def _edge(graph: Graph, node: Node) -> int | None:
    """Return the site that an operator clips; ``None`` if it has no hard edge."""
    if node.op in ONE_SIDED and len(node.operands) == 1:
        return node.operands[0].site
    learned = [operand.site for operand in node.operands if graph.sites[operand.site].differentiable]
    return learned[0] if node.op in COMPARED and len(learned) == 1 else None


def _line(node: Node) -> tuple[float, float] | None:
    """Return scale and shift of an operator that is a straight line with known numbers."""
    other, alpha = node.attributes.get("other"), node.attributes.get("alpha", 1)
    if len(node.operands) != 1:
        return None
    if node.op == "negative":
        return -1.0, 0.0
    if not isinstance(other, int | float) or alpha != 1:
        return None
    lines = {
        "add": (1.0, other),
        "subtract": (1.0, -other),
        "reverse_subtract": (-1.0, other),
        "multiply": (other, 0.0),
        "divide": (1.0 / other if other else math.nan, 0.0),
    }
    return lines.get(node.op)

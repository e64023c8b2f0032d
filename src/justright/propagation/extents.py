"""How far neighbouring positions go together: variance, in positions, of their correlation along each spatial axis.

A sum over k neighbours makes outputs at a distance d agree as 1 - |d| / k, a triangle of variance (k² - 1) / 6; further
sums add theirs, as convolutions of correlations do, and a stride of s divides distances by s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from justright.core.graph import Graph, Node
from justright.core.vocabulary import Kind

__all__ = ["extents"]

FIRST_SPATIAL: Final = 2
"""Dimensions before the spatial ones: examples and channels."""


def extents(graph: Graph) -> tuple[dict[int, float], dict[int, float]]:
    """Return the extent of every signal, and of every gradient, that has neighbours; independent ones have none."""
    forward: dict[int, float] = {}
    for node in graph.nodes:
        signals = [each.site for each in node.operands if not graph.parameter_only[each.site]]
        found = max((forward.get(site, 0.0) for site in signals), default=0.0)
        for site in node.outputs:
            forward[site] = _widened(graph, node, found, signals[0] if signals else site, site)
    backward: dict[int, float] = {}
    for node in reversed(graph.nodes):
        found = max((backward.get(site, 0.0) for site in node.outputs), default=0.0)
        for operand in node.operands:
            if not graph.parameter_only[operand.site]:
                passed = _widened(graph, node, found, node.outputs[0], operand.site)
                backward[operand.site] = max(backward.get(operand.site, 0.0), passed)
    return forward, backward


def _widened(graph: Graph, node: Node, extent: float, before: int, after: int) -> float:
    """Return the extent behind a node, in either direction."""
    old, new = graph.sites[before].shape[FIRST_SPATIAL:], graph.sites[after].shape[FIRST_SPATIAL:]
    if len(old) != len(new) or not new or node.kind in {Kind.LOSS, Kind.REDUCTION}:
        return 0.0
    kernel = _kernel(graph, node)
    if kernel == 1.0 and node.kind in {Kind.VIEW, Kind.CONTRACTION} and old != new:
        return 0.0
    scale = float(np.mean([after / before for before, after in zip(old, new, strict=True)]))
    added = (kernel**2 - 1.0) / 6.0  # the variance of a triangle
    return (extent + added) * scale**2 if scale <= 1 else extent * scale**2 + added


def _kernel(graph: Graph, node: Node) -> float:
    """Return over how many neighbours along an axis a node sums, on average over axes."""
    attributes: Mapping[str, object] = node.attributes
    if node.kind is Kind.POOLING and "kernel_size" in attributes:
        return float(np.mean(np.asarray(attributes["kernel_size"], dtype=np.float64)))
    weight = node.operand("weight")
    if node.op not in {"convolution", "transposed_convolution"} or weight is None:
        return 1.0
    return float(np.mean(graph.sites[weight].shape[FIRST_SPATIAL:])) if graph.sites[weight].shape[2:] else 1.0

"""Growth through time: the size of a signal or gradient from one use of a weight to the next that depends on it."""

from __future__ import annotations

import math

from justright.core.depth import Layer
from justright.diagnostics._trend import Size, Trend, trend_of
from justright.diagnostics.base import Case

__all__ = ["fastest", "through_time"]

FEWEST = 8
"""Uses in a row of one weight from which on its growth through time is judged; a shorter loop is like a few layers."""


def through_time(case: Case, size: Size) -> list[Trend]:
    """Growth over the uses of each weight that is used again and again on its own result."""
    return [trend for layer in case.layers if len(layer.nodes) >= FEWEST and (trend := _over_uses(case, layer, size))]


def fastest(trends: list[Trend | None], sign: int) -> Trend | None:
    """Of several trends, the one with the largest certain growth in the direction of `sign`."""
    grown = [trend for trend in trends if trend is not None and trend.certain * sign > 0]
    return max(grown, key=lambda trend: abs(trend.certain), default=None)


def _over_uses(case: Case, layer: Layer, size: Size) -> Trend | None:
    uses = _in_a_row(case, layer)
    if len(uses) < FEWEST:
        return None
    sized = [(place, size(record)) for place, site in enumerate(uses) if (record := case.record(site))]
    points = [(place, math.log(each)) for place, each in sized if each > 0]
    if len(points) < FEWEST:
        return None
    places, logs = zip(*points, strict=True)
    return trend_of(places, logs, (uses[places[0]], uses[places[-1]]), len(uses) - 1, "step")


def _in_a_row(case: Case, layer: Layer) -> list[int]:
    """List the outputs of uses on the longest path from use to use, one for each number of uses before it."""
    uses = set(layer.nodes)
    passed = [0] * len(case.graph.sites)
    first: dict[int, int] = {}
    for node in case.graph.nodes[layer.nodes[0] :]:
        before = max((passed[operand.site] for operand in node.operands), default=0)
        if node.index in uses:
            first.setdefault(before, node.outputs[0])
            before += 1
        for output in node.outputs:
            passed[output] = before
    return [first[count] for count in sorted(first)]

"""Growth over depth: a robust slope of the logarithm of a signal's or gradient's size from layer to layer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

import numpy as np

from justright.core.findings import Severity
from justright.core.graph import Graph
from justright.core.profile import SiteRecord, TensorStatistics
from justright.core.vocabulary import Kind
from justright.diagnostics.base import Case

__all__ = [
    "FEWEST",
    "Limits",
    "Trend",
    "forward_size",
    "forward_trend",
    "gradient_size",
    "gradient_trend",
    "normalized",
    "trend_of",
]

FEWEST = 3
"""Different depths below which no slope is judged: one step between two layers is a difference, not a trend."""

GROUPS = ((20, (3, 5)), (12, (3,)), (0, (1,)))
"""From how many depths on, how many layers on each side of a jump are compared: medians of more forgive odd layers."""

NORMALIZING = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})
"""Operators whose result has a scale of its own, whatever comes in."""

CARRIED = frozenset({Kind.VIEW, Kind.CAST, Kind.POINTWISE})
"""Kinds between a layer and its normalization: shapes, and the bias."""

PAIRS = 200
"""Depths beyond which the slope is taken over an even subsample, so that all pairs stay few."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Total growth in nats from which on a finding is a note, a warning, an error."""

    note: float
    warning: float
    error: float

    def severity(self, nats: float) -> Severity | None:
        """Severity of a total growth, `None` within the limits."""
        size = abs(nats)
        if size > self.error:
            return Severity.ERROR
        if size > self.warning:
            return Severity.WARNING
        return Severity.NOTE if size > self.note else None


@dataclass(frozen=True, slots=True)
class Trend:
    """Growth of a size over depth.

    Parameters
    ----------
    rate
        Nats per step, from shallow to deep; negative where the size shrinks with depth.
    total
        Nats over all steps by that rate.
    start, end
        Logarithm of the size in the first and in the last quarter of the layers, by the median.
    steady
        Nats between the ends without the largest jump, brought to the same number of steps: a head that starts near
        zero or a bottleneck between two parts is one jump, growth goes on from layer to layer.
    depth
        Number of steps between the ends.
    first, last
        Sites of the shallowest and the deepest layer that were used.
    step
        What one step is: a layer, or a use of one weight.
    """

    rate: float
    total: float
    start: float
    end: float
    steady: float
    depth: int
    first: int
    last: int
    step: str = "layer"

    @property
    def ends(self) -> float:
        """Nats between the first and the last quarter: what was seen, without any fit."""
        return self.end - self.start

    @property
    def certain(self) -> float:
        """The smallest of the three readings in magnitude, with its sign; 0 if they disagree on the direction."""
        readings = (self.total, self.ends, self.steady)
        if min(readings) < 0 < max(readings):
            return 0.0
        return min(readings, key=abs)


Size = Callable[[SiteRecord], float]


def forward_size(record: SiteRecord) -> float:
    """RMS of the forward value; 0 where there is none."""
    return _finite(record.forward.rms if record.forward else 0.0)


def gradient_size(record: SiteRecord) -> float:
    """Norm of the gradient; 0 where there is none.

    The norm of the whole tensor, not its RMS: it is what a product of Jacobians maps, whatever the widths are.
    """
    return _finite(_norm(record.gradient) if record.gradient else 0.0)


def forward_trend(case: Case) -> Trend | None:
    """Growth of the forward RMS at the outputs of layers; `None` with too few layers."""
    return _over_depth(case, forward_size, fmean)


def gradient_trend(case: Case) -> Trend | None:
    """Growth of the gradient's norm at the outputs of layers; `None` with too few layers."""
    return _over_depth(case, gradient_size, sum)


def trend_of(places: Sequence[int], logs: Sequence[float], sites: tuple[int, int], depth: int, step: str) -> Trend:
    """Fit a trend through the logarithm of a size at places in ascending order.

    Parameters
    ----------
    places, logs
        Depths, ascending and different, and the logarithm of the size at each; at least `FEWEST`.
    sites
        The first and the last site.
    depth
        Number of steps over which the trend is extended.
    step
        What one step is.
    """
    rate = _slope(places, logs)
    quarter = max(len(logs) // 4, 1)
    start, end = median(logs[:quarter]), median(logs[-quarter:])
    return Trend(rate, rate * depth, start, end, _steady(logs, end - start), depth, *sites, step)


def _norm(statistics: TensorStatistics) -> float:
    return statistics.rms * math.sqrt(statistics.count)


def _finite(size: float) -> float:
    return size if math.isfinite(size) else 0.0


def _over_depth(case: Case, size: Size, combine: Callable[[list[float]], float]) -> Trend | None:
    """Fit the trend; the squares of the uses of one weight are combined by `combine`, parallel layers averaged."""
    at: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for layer in case.layers:
        sizes = [size(record) for site in layer.outputs if (record := case.record(normalized(case.graph, site)))]
        squares = [2.0 * math.log(each) for each in sizes if each > 0]
        if squares:
            # Scaled by the largest, since squares of small gradients underflow in float64 too.
            highest = max(squares)
            whole = highest + math.log(combine([math.exp(each - highest) for each in squares]))
            at[layer.depth].append((whole / 2.0, layer.outputs[0]))
    if len(at) < FEWEST:
        return None
    depths = sorted(at)
    logs = [fmean(value for value, _ in at[depth]) for depth in depths]
    span = max(layer.depth for layer in case.layers) - min(layer.depth for layer in case.layers)
    return trend_of(depths, logs, (at[depths[0]][0][1], at[depths[-1]][0][1]), span, "layer")


def normalized(graph: Graph, site: int) -> int:
    """Follow a layer's output to the normalization that alone reads it, if there is one.

    What a normalization reads may have any scale, and its gradient the inverse of it, without harm: neither goes on to
    the next layer.
    """
    end = site
    while len(readers := graph.consumers[end]) == 1:
        node = graph.nodes[readers[0]]
        signals = {operand.site for operand in node.operands if not graph.parameter_only[operand.site]}
        if node.op in NORMALIZING and node.operands[0].site == end:
            return node.outputs[0]
        if node.kind not in CARRIED or signals != {end}:
            return site
        end = node.outputs[0]
    return site


def _slope(x: Iterable[float], y: Iterable[float]) -> float:
    """Median of the slopes of all pairs (Theil 1950, Sen 1968): 29 % of the layers may be outliers."""
    points = list(zip(x, y, strict=True))
    if len(points) > PAIRS:
        points = [points[round(index)] for index in np.linspace(0, len(points) - 1, PAIRS)]
    return median((second[1] - first[1]) / (second[0] - first[0]) for first, second in combinations(points, 2))


def _steady(logs: Sequence[float], ends: float) -> float:
    """Growth from end to end without its largest jump, as if there had been growth like elsewhere.

    A jump is one whichever number of layers is compared on its sides; odd layers are forgiven by one of them.
    """
    groups = next(groups for fewest, groups in GROUPS if len(logs) >= fewest)
    return max((_without_jump(logs, ends, group) for group in groups), key=abs)


def _without_jump(logs: Sequence[float], ends: float, group: int) -> float:
    cuts = range(group, len(logs) - group + 1)
    jumps = [median(logs[cut : cut + group]) - median(logs[cut - group : cut]) for cut in cuts]
    largest = max(jumps) if ends > 0 else min(jumps)
    steps = len(logs) - 1
    return (ends - largest) * steps / (steps - group)

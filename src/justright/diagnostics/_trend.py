"""Growth over depth: a robust slope of the logarithm of a signal's or gradient's size from layer to layer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

import numpy as np

from justright.core.findings import Severity
from justright.core.profile import TensorStatistics
from justright.core.vocabulary import Kind
from justright.diagnostics.base import Case

__all__ = ["ERROR", "FEWEST", "WARNING", "Trend", "attribution", "forward_trend", "gradient_trend", "severity_of"]

WARNING = 6.0
"""Total growth in nats of the RMS beyond which a network trains worse.

The depth-scale rule (Schoenholz 2017: trainable up to 6 xi) allows |sum ln chi_1| <= 6 on squares, which is 3 nats of
the RMS, under a small plain step. Adam rescues more. Twice the rule, a factor of 400 between the first and the last
layer, is where no published recipe without normalization or skips still trains well.
"""

ERROR = 12.0
"""Total growth in nats of the RMS beyond which a network does not train: a factor of 1.6e5.

Adam divides by sqrt(v) + 1e-8: a gradient of ordinary size (1e-3) that has shrunk by this factor is below its epsilon.
"""

FEWEST = 4
"""Different depths below which no slope is judged."""

PAIRS = 200
"""Depths beyond which the slope is taken over an even subsample, so that all pairs stay few."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Growth of a size over depth.

    Parameters
    ----------
    rate
        Nats per layer, from shallow to deep; negative where the size shrinks with depth.
    total
        Nats over all layers by that rate.
    ends
        Nats between the medians of the first and the last quarter: what was seen, without any fit.
    depth
        Number of layers between the ends.
    first, last
        Sites of the shallowest and the deepest layer that were used.
    """

    rate: float
    total: float
    ends: float
    depth: int
    first: int
    last: int

    @property
    def certain(self) -> float:
        """The smaller of the two readings in magnitude, with its sign; 0 if they disagree on the direction."""
        if self.total * self.ends <= 0:
            return 0.0
        return min(self.total, self.ends, key=abs)


def forward_trend(case: Case) -> Trend | None:
    """Growth of the forward RMS at the outputs of layers; `None` with too few layers."""
    return _trend(case, lambda record: record.forward, lambda each: each.rms, fmean)


def gradient_trend(case: Case) -> Trend | None:
    """Growth of the gradient's norm at the outputs of layers; `None` with too few layers.

    The norm of the whole tensor, not its RMS: it is what a product of Jacobians maps, whatever the widths are.
    """
    return _trend(case, lambda record: record.gradient, lambda each: each.rms * math.sqrt(each.count), sum)


def severity_of(nats: float) -> Severity | None:
    """Severity of a total growth."""
    if abs(nats) > ERROR:
        return Severity.ERROR
    return Severity.WARNING if abs(nats) > WARNING else None


def attribution(case: Case) -> dict[str, float]:
    """Mean change of the gradient's norm, in nats a layer, that each kind of operator causes on the way back."""
    changes: dict[str, float] = defaultdict(float)
    for node in case.graph.nodes:
        operand = next((each.site for each in node.operands if not case.graph.parameter_only[each.site]), None)
        if operand is None or len(case.graph.consumers[operand]) != 1:
            continue
        if node.kind in {Kind.CONTRACTION, Kind.POINTWISE, Kind.NORMALIZATION, Kind.SOFTMAX, Kind.POOLING}:
            below, above = _norm(case, operand), _norm(case, node.outputs[0])
            if below > 0 and above > 0:
                name = "weights" if node.kind is Kind.CONTRACTION else node.op
                changes[name] += math.log(below / above)
    count = max(len({layer.depth for layer in case.layers}), 1)
    return {name: change / count for name, change in sorted(changes.items(), key=lambda item: -abs(item[1]))}


def _norm(case: Case, site: int) -> float:
    record = case.record(site)
    if record is None or record.gradient is None or not math.isfinite(record.gradient.rms):
        return 0.0
    return record.gradient.rms * math.sqrt(record.gradient.count)


def _trend(
    case: Case,
    side: Callable[..., TensorStatistics | None],
    size: Callable[[TensorStatistics], float],
    combine: Callable[[list[float]], float],
) -> Trend | None:
    """Fit the trend; the squares of the uses of one weight are combined by `combine`."""
    at: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for layer in case.layers:
        sizes = [size(found) for site in layer.outputs if (record := case.record(site)) and (found := side(record))]
        logs = [2.0 * math.log(each) for each in sizes if math.isfinite(each) and each > 0]
        if logs:
            # Scaled by the largest, since squares of small gradients underflow in float64 too.
            highest = max(logs)
            whole = highest + math.log(combine([math.exp(each - highest) for each in logs]))
            at[layer.depth].append((whole / 2.0, layer.outputs[0]))
    if len(at) < FEWEST:
        return None
    depths = sorted(at)
    logs = [fmean(value for value, _ in at[depth]) for depth in depths]
    rate = _slope(depths, logs)
    span = max(layer.depth for layer in case.layers) - min(layer.depth for layer in case.layers)
    quarter = max(len(logs) // 4, 1)
    ends = median(logs[-quarter:]) - median(logs[:quarter])
    return Trend(rate, rate * span, ends, span, at[depths[0]][0][1], at[depths[-1]][0][1])


def _slope(x: Iterable[float], y: Iterable[float]) -> float:
    """Median of the slopes of all pairs (Theil 1950, Sen 1968): a third of the layers may be outliers."""
    points = list(zip(x, y, strict=True))
    if len(points) > PAIRS:
        points = [points[round(index)] for index in np.linspace(0, len(points) - 1, PAIRS)]
    return median((second[1] - first[1]) / (second[0] - first[0]) for first, second in combinations(points, 2))

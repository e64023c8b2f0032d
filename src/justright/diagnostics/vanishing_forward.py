"""Signals shrink from layer to layer until the input no longer reaches the output.

## What it does

Fits the growth of the forward RMS at the outputs of all layers (contractions with weights) over depth, by the median
slope of all pairs of layers, and holds the growth over the whole depth against what trains.

## Why is this bad

A signal that shrinks by a constant factor a layer is smaller than rounding after enough layers: the output then
depends on biases alone, every input looks the same, and gradients of weights, which are products with these signals,
shrink with it.

## How it is judged

A loss over all layers of more than 6 nats (a factor of 400) is a note: plain SGD stands still, Adam trains. More than
9.2 nats (1e4) is a warning, more than 33 nats (2e14, both passes beyond the precision of float32) an error. The fit,
the plain difference between the first and the last quarter of the layers and, in a network of few layers, the growth
without its largest step must all say so. Weights in normalized or residual networks, single small layers (a head that
starts near zero), zero-initialized branches and embeddings do not make a trend over depth. Nothing is judged while
batch normalization runs on stored statistics that no batch has set.

## Example

    layers = [m for _ in range(50) for m in (torch.nn.Linear(64, 64, bias=False), torch.nn.ReLU())]
    model = torch.nn.Sequential(*layers)
    # default weights are U(-1/8, 1/8): every layer multiplies the RMS by 1/sqrt(6)

## Fix

Draw weights so that one layer keeps the second moment: variance 1/fan_in before tanh, 2/fan_in before ReLU
(`torch.nn.init.kaiming_normal_`), or normalize between layers.

## References

[Glorot2010], [He2015], [Schoenholz2017], [Kingma2015]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Finding
from justright.diagnostics._advice import rescale
from justright.diagnostics._growth import evidence, expected, grown, size
from justright.diagnostics._shrinking import FORWARD as LIMITS
from justright.diagnostics._unjudged import signal_growth
from justright.diagnostics.base import Case, diagnostic

__all__ = ["vanishing_forward"]


@diagnostic("JR101", "vanishing-forward", rank=6, causes=("JR801", "JR304", "JR306", "JR202"), predicts=True)
def vanishing_forward(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the forward RMS shrinks over depth."""
    trend = signal_growth(case)
    if isinstance(trend, Gap):
        yield trend
        return
    severity = LIMITS.severity(trend.certain)
    if severity is None or trend.certain > 0:
        return
    yield Finding(
        "JR101",
        "vanishing-forward",
        severity,
        where=f"from {case.place(trend.first)} to {case.place(trend.last)}",
        got=grown("RMS", trend.rate, trend.total, trend),
        expected=expected(LIMITS),
        because=f"each layer's weights and nonlinearity lose {-trend.rate:.2g} nats: RMS "
        f"{size(trend.start)} in the first quarter of them, {size(trend.end)} in the last",
        try_=rescale(case, trend, trend.rate),
        evidence=evidence("RMS", trend.rate, trend.certain, trend, LIMITS),
        sites=(case.graph.sites[trend.last].name, case.graph.sites[trend.first].name),
    )

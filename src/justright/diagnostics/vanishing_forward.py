"""Signals shrink from layer to layer until the input no longer reaches the output.

## What it does

Fits the growth of the forward RMS at the outputs of all layers (contractions with weights) over depth, by the median
slope of all pairs of layers, and holds the growth over the whole depth against what trains.

## Why is this bad

A signal that shrinks by a constant factor a layer is smaller than rounding after enough layers: the output then depends
on biases alone, every input looks the same, and gradients of weights, which are products with these signals, shrink
with it.

## How it is judged

Growth over all layers below -6 nats (a factor of 1/400) is a warning, below -12 nats (6e-6) an error, if both the fit
and the plain difference between the first and the last quarter of the layers say so. Weights in normalized or residual
networks, single small layers, zero-initialized branches and embeddings do not make a trend over depth.

## Example

    model = torch.nn.Sequential(*[torch.nn.Linear(64, 64, bias=False) for _ in range(50)])
    # default weights are U(-1/8, 1/8): every layer multiplies the RMS by 1/sqrt(3)

## Fix

Draw weights so that one layer keeps the second moment: variance 1/fan_in before tanh, 2/fan_in before ReLU
(`torch.nn.init.kaiming_normal_`), or normalize between layers.

## References

[Glorot2010], [He2015], [Schoenholz2017]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding
from justright.diagnostics._advice import rescale
from justright.diagnostics._trend import FEWEST, WARNING, forward_trend, severity_of
from justright.diagnostics.base import Case, diagnostic

__all__ = ["vanishing_forward"]


@diagnostic("JR101", "vanishing-forward")
def vanishing_forward(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the forward RMS shrinks over depth."""
    trend = forward_trend(case)
    if trend is None:
        yield Gap("growth of the signal over depth", f"fewer than {FEWEST} layers with weights follow each other")
        return
    severity = severity_of(trend.certain)
    if severity is None or trend.certain > 0:
        return
    first, last = case.record(trend.first), case.record(trend.last)
    yield Finding(
        "JR101",
        "vanishing-forward",
        severity,
        where=f"from {case.place(trend.first)} to {case.place(trend.last)}",
        got=f"the RMS is multiplied by {math.exp(trend.rate):.3g} a layer, by {math.exp(trend.total):.2g} over "
        f"{trend.depth} layers",
        expected=f"a factor within exp(±{WARNING:g}) over the whole depth; 1 a layer",
        because=f"each layer's weights and nonlinearity lose {-trend.rate:.2g} nats: RMS "
        f"{first.forward.rms if first and first.forward else math.nan:.2g} at the first layer, "
        f"{last.forward.rms if last and last.forward else math.nan:.2g} at the last",
        try_=rescale(case, trend.rate),
        evidence=(
            Evidence("growth of the forward RMS", trend.rate, "nats per layer", -WARNING / max(trend.depth, 1)),
            Evidence("growth over all layers", trend.certain, "nats", -WARNING, WARNING),
        ),
        sites=(case.graph.sites[trend.last].name, case.graph.sites[trend.first].name),
    )

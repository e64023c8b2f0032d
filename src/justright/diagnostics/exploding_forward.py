"""Signals grow from layer to layer until they overflow or drown the loss.

## What it does

Fits the growth of the forward RMS at the outputs of all layers (contractions with weights) over depth, by the median
slope of all pairs of layers, and holds the growth over the whole depth against what trains.

## Why is this bad

A signal that grows by a constant factor a layer gives huge outputs, a huge loss, gradients of the same factor, and
soon values that half precision cannot hold (65504 in float16).

## How it is judged

Growth over all layers above 6 nats (a factor of 400) is a warning, above 12 nats (1.6e5) an error, if both the fit and
the plain difference between the first and the last quarter of the layers say so. The slow growth of a residual stream
(by the square root of depth) stays far below.

## Example

    for layer in stack:                       # 50 x Linear(256, 256)
        torch.nn.init.normal_(layer.weight)   # standard deviation 1: every layer multiplies the RMS by 16

## Fix

Draw weights so that one layer keeps the second moment: variance 1/fan_in before tanh, 2/fan_in before ReLU; scale
residual branches by the square root of depth, or normalize.

## References

[Glorot2010], [He2015], [Hayou2021]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.findings import Evidence, Finding
from justright.diagnostics._advice import rescale
from justright.diagnostics._trend import WARNING, forward_trend, severity_of
from justright.diagnostics.base import Case, diagnostic

__all__ = ["exploding_forward"]


@diagnostic("JR102", "exploding-forward")
def exploding_forward(case: Case) -> Iterator[Finding]:
    """Yield a finding if the forward RMS grows over depth."""
    trend = forward_trend(case)
    severity = severity_of(trend.certain) if trend else None
    if trend is None or severity is None or trend.certain < 0:
        return
    first, last = case.record(trend.first), case.record(trend.last)
    yield Finding(
        "JR102",
        "exploding-forward",
        severity,
        where=f"from {case.place(trend.first)} to {case.place(trend.last)}",
        got=f"the RMS is multiplied by {math.exp(trend.rate):.3g} a layer, by {math.exp(trend.total):.2g} over "
        f"{trend.depth} layers",
        expected=f"a factor within exp(±{WARNING:g}) over the whole depth; 1 a layer",
        because=f"each layer's weights and nonlinearity add {trend.rate:.2g} nats: RMS "
        f"{first.forward.rms if first and first.forward else math.nan:.2g} at the first layer, "
        f"{last.forward.rms if last and last.forward else math.nan:.2g} at the last",
        try_=rescale(case, trend.rate),
        evidence=(
            Evidence("growth of the forward RMS", trend.rate, "nats per layer", None, WARNING / max(trend.depth, 1)),
            Evidence("growth over all layers", trend.certain, "nats", -WARNING, WARNING),
        ),
        sites=(case.graph.sites[trend.last].name, case.graph.sites[trend.first].name),
    )

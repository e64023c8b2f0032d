"""Gradients grow on their way back, so that the first layers' steps are far too large.

## What it does

Fits the growth of the gradient's norm at the outputs of all layers (contractions with weights) over depth, by the
median slope of all pairs of layers, and holds the growth over the whole depth against what trains. It then says which
kind of operator adds how much of it.

## Why is this bad

The gradient at layer l is a product of the Jacobians of all later layers and a vector; the product of 100 Gaussian 4x4
matrices has entries around 1e24. A step size small enough for the first layers is then useless for the last ones, and
one that suits the last ones makes the loss jump to infinity.

## How it is judged

A growth over all layers above 6 nats (a factor of 400) is a warning, above 12 nats (1.6e5) an error, if both the fit and
the plain difference between the first and the last quarter of the layers say so.

## Example

    for layer in stack:                                       # 50 x Linear(256, 256) and tanh
        torch.nn.init.normal_(layer.weight, std=2 / 16)       # sigma_w^2 = 4: deep in the chaotic phase

## Fix

Weights of variance 1/fan_in (tanh) or 2/fan_in (ReLU); residual branches scaled by the square root of depth; after the
fact, gradient clipping or layer-wise rates (LARS). Batch normalization without residual connections explodes by itself:
1.21 a layer after ReLU, whatever the weights are.

## References

[Glorot2010], [He2015], [Yang2019], [You2017]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.findings import Evidence, Finding
from justright.diagnostics._advice import cause, rescale
from justright.diagnostics._trend import WARNING, attribution, gradient_trend, severity_of
from justright.diagnostics.base import Case, diagnostic

__all__ = ["exploding_gradient"]


@diagnostic("JR104", "exploding-gradient")
def exploding_gradient(case: Case) -> Iterator[Finding]:
    """Yield a finding if the gradient grows towards the input."""
    trend = gradient_trend(case)
    severity = severity_of(trend.certain) if trend else None
    if trend is None or severity is None or trend.certain > 0:
        return
    yield Finding(
        "JR104",
        "exploding-gradient",
        severity,
        where=f"from {case.place(trend.last)} back to {case.place(trend.first)}",
        got=f"the gradient is multiplied by {math.exp(-trend.rate):.3g} a layer, by {math.exp(-trend.total):.2g} over "
        f"{trend.depth} layers: a step that suits the last layers throws the first ones away",
        expected=f"a factor within exp(±{WARNING:g}) over the whole depth; 1 a layer",
        because=cause(attribution(case), -trend.rate),
        try_=rescale(case, -trend.rate),
        evidence=(
            Evidence("growth of the gradient's norm", -trend.rate, "nats per layer", None, WARNING / max(trend.depth, 1)),
            Evidence("growth over all layers", -trend.certain, "nats", -WARNING, WARNING),
        ),
        sites=(case.graph.sites[trend.first].name, case.graph.sites[trend.last].name),
    )

"""Gradients shrink on their way back, so that the first layers do not learn.

## What it does

Fits the growth of the gradient's norm at the outputs of all layers (contractions with weights) over depth, by the
median slope of all pairs of layers, and holds the loss of gradient over the whole depth against what trains. It then
says which kind of operator takes how much of it.

## Why is this bad

The gradient at layer l is a product of the Jacobians of all later layers and a vector. If each shrinks it by a constant
factor, layers far from the loss get a gradient that no step size can use: large enough for them, it is far too large
for the last ones. Adam divides by the size of each gradient and so rescues a moderate loss, until the gradient is below
its epsilon (1e-8) or below rounding.

## How it is judged

A loss over all layers above 6 nats (a factor of 400) is a warning: plain SGD stands still, Adam may rescue it. Above 12
nats (1.6e5) it is an error. Both the fit and the plain difference between the first and the last quarter of the layers
must say so. Gradients that are exactly zero behind a gate that opens with the first step (a zero head, LoRA's B, a
residual gamma) are no vanishing gradients. Uses of one weight over time count as one layer.

## Example

    layers = [m for _ in range(20) for m in (torch.nn.Linear(64, 64), torch.nn.Sigmoid())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    # the sigmoid's slope is at most 1/4, and PyTorch's default weights shrink by 1/sqrt(3)

## Fix

A nonlinearity whose slope is 1 on half the line (ReLU and its kin) with weights of variance 2/fan_in, tanh with 1/fan_in,
normalization, or residual connections.

## References

[Hochreiter1991], [Glorot2010], [He2015], [Schoenholz2017]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.diagnostics._advice import cause, rescale
from justright.diagnostics._trend import FEWEST, WARNING, attribution, gradient_trend, severity_of
from justright.diagnostics.base import Case, diagnostic

__all__ = ["vanishing_gradient"]


@diagnostic("JR103", "vanishing-gradient")
def vanishing_gradient(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the gradient shrinks towards the input."""
    trend = gradient_trend(case)
    if trend is None:
        yield Gap("growth of the gradient over depth", f"fewer than {FEWEST} layers with a gradient follow each other")
        return
    severity = severity_of(trend.certain)
    if severity is None or trend.certain < 0:
        return
    optimizer = "no optimizer trains" if severity is Severity.ERROR else "SGD hardly trains (Adam may)"
    yield Finding(
        "JR103",
        "vanishing-gradient",
        severity,
        where=f"from {case.place(trend.last)} back to {case.place(trend.first)}",
        got=f"the gradient is multiplied by {math.exp(-trend.rate):.3g} a layer, by {math.exp(-trend.total):.2g} over "
        f"{trend.depth} layers: {optimizer} the first layers",
        expected=f"a factor within exp(±{WARNING:g}) over the whole depth; 1 a layer",
        because=cause(attribution(case), -trend.rate),
        try_=rescale(case, -trend.rate),
        evidence=(
            Evidence("growth of the gradient's norm", -trend.rate, "nats per layer", -WARNING / max(trend.depth, 1)),
            Evidence("growth over all layers", -trend.certain, "nats", -WARNING, WARNING),
        ),
        sites=(case.graph.sites[trend.first].name, case.graph.sites[trend.last].name),
    )

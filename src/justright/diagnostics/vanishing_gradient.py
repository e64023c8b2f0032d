"""Gradients shrink on their way back, so that the first layers do not learn.

## What it does

Fits the growth of the gradient's norm at the outputs of all layers (contractions with weights) over depth, by the
median slope of all pairs of layers, and holds the loss of gradient over the whole depth against what trains. It then
says which kind of operator takes how much of it.

## Why is this bad

The gradient at layer l is a product of the Jacobians of all later layers and a vector. If each shrinks it by a
constant factor, layers far from the loss get a gradient that no step size can use: large enough for them, it is far
too large for the last ones. Adam divides by the size of each gradient and so rescues a moderate loss, until the
gradient is below its epsilon (1e-8) or below rounding.

## How it is judged

A loss over all layers of more than 6 nats (a factor of 400) is a note: plain SGD stands still, Adam trains. More than
9.2 nats (1e4) is a warning: Adam trains worse. More than 18.4 nats (1e8) is an error, unless the signal shrinks with
the gradient: that is a matter of scale alone (JR101), from which Adam recovers further. The fit, the plain difference
between the first and the last quarter of the layers and, in a network of few layers, the growth without its largest
step must all say so. Gradients that are exactly zero behind a gate that opens with the first step (a zero head,
LoRA's B, a residual gamma) are no vanishing gradients. Uses of one weight over time count as one layer, since its
gradient is their sum. Nothing is judged while batch normalization runs on stored statistics that no batch has set.

## Example

    layers = [m for _ in range(20) for m in (torch.nn.Linear(64, 64), torch.nn.Sigmoid())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    # the sigmoid's slope is at most 1/4, and PyTorch's default weights shrink by 1/sqrt(3)

## Fix

A nonlinearity whose slope is 1 on half the line (ReLU and its kin) with weights of variance 2/fan_in, tanh with
1/fan_in, normalization, or residual connections.

## References

[Hochreiter1991], [Glorot2010], [He2015], [Schoenholz2017], [Kingma2015]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Finding, Severity
from justright.diagnostics._advice import rescale
from justright.diagnostics._cause import attribution, cause
from justright.diagnostics._growth import evidence, expected, grown
from justright.diagnostics._shrinking import GRADIENT as LIMITS
from justright.diagnostics._shrinking import severity_of
from justright.diagnostics._unjudged import gradient_growth
from justright.diagnostics.base import Case, diagnostic

__all__ = ["vanishing_gradient"]

OPTIMIZERS = {
    Severity.NOTE: "plain SGD hardly trains the first layers, Adam does",
    Severity.WARNING: "plain SGD does not train the first layers, Adam hardly",
    Severity.ERROR: "no ordinary step of any optimizer trains the first layers",
}


@diagnostic("JR103", "vanishing-gradient", rank=8, causes=("JR304", "JR202", "JR201", "JR603", "JR101"), predicts=True)
def vanishing_gradient(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the gradient shrinks towards the input."""
    trend = gradient_growth(case)
    if isinstance(trend, Gap):
        yield trend
        return
    severity = severity_of(case, trend)
    if severity is None or trend.certain < 0:
        return
    yield Finding(
        "JR103",
        "vanishing-gradient",
        severity,
        where=f"from {case.place(trend.last)} back to {case.place(trend.first)}",
        got=f"{grown('gradient', -trend.rate, -trend.total, trend)}: {OPTIMIZERS[severity]}",
        expected=expected(LIMITS),
        because=cause(attribution(case), -trend.rate),
        try_=rescale(case, trend, -trend.rate),
        evidence=evidence("gradient's norm", -trend.rate, -trend.certain, trend, LIMITS),
        sites=(case.graph.sites[trend.first].name, case.graph.sites[trend.last].name),
    )

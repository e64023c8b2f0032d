"""Gradients grow on their way back, so that the first layers' steps are far too large.

## What it does

Fits the growth of the gradient's norm at the outputs of all layers (contractions with weights) over depth, by the
median slope of all pairs of layers, and holds the growth over the whole depth against what trains. Does the same
along a weight that is used again and again on its own result, as a recurrent cell's over time. It then says which
kind of operator adds how much of it.

## Why is this bad

The gradient at layer l is a product of the Jacobians of all later layers and a vector; the product of 100 Gaussian
4x4 matrices has entries around 1e24. A step size small enough for the first layers is then useless for the last ones,
and one that suits the last ones makes the loss jump to infinity.

## How it is judged

A growth over all layers above 6.9 nats (a factor of 1000) is a warning; ten times more with batch normalization,
whose weights tune their own step size. Above 9.2 nats (1e4) it is an error if the signal itself does not grow as
much: the network is then chaotic, neighbouring inputs fly apart, and no optimizer rescues that. Where gradient and
signal grow together it is a matter of scale alone, and an error above 20.7 nats (1e9). The fit, the plain difference
between the first and the last quarter of the layers and, in a network of few layers, the growth without its largest
step must all say so. Nothing is judged while batch normalization runs on stored statistics that no batch has set.

## Example

    for layer in stack:                                       # 50 x Linear(256, 256) and tanh
        torch.nn.init.normal_(layer.weight, std=3 / 16)       # sigma_w^2 = 9: deep in the chaotic phase

## Fix

Weights of variance 1/fan_in (tanh) or 2/fan_in (ReLU); residual branches scaled by the square root of depth; after
the fact, gradient clipping or layer-wise rates (LARS). Batch normalization without residual connections explodes by
itself: 1.21 a layer after ReLU, whatever the weights are.

## References

[Poole2016], [Schoenholz2017], [Yang2019], [Arora2019], [You2017]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Finding, Severity
from justright.diagnostics._advice import rescale
from justright.diagnostics._cause import attribution, cause
from justright.diagnostics._chaos import LIMITS, exploding, severity_of
from justright.diagnostics._growth import evidence, expected, grown
from justright.diagnostics._trend import Trend
from justright.diagnostics._unjudged import gradient_growth
from justright.diagnostics.base import Case, diagnostic

__all__ = ["exploding_gradient"]


@diagnostic(
    "JR104",
    "exploding-gradient",
    rank=9,
    causes=("JR801", "JR304", "JR305", "JR307", "JR703", "JR102", "JR201", "JR603"),
    predicts=True,
)
def exploding_gradient(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the gradient grows towards the input or towards the past."""
    over_depth = gradient_growth(case)
    if isinstance(over_depth, Gap):
        yield over_depth
    trend = exploding(case)
    severity = severity_of(case, trend)
    if trend is not None and severity is not None:
        yield _finding(case, trend, severity)


def _finding(case: Case, trend: Trend, severity: Severity) -> Finding:
    return Finding(
        "JR104",
        "exploding-gradient",
        severity,
        where=f"from {case.place(trend.last)} back to {case.place(trend.first)}",
        got=f"{grown('gradient', -trend.rate, -trend.total, trend)}: a step that suits the last ones throws the first "
        "ones away",
        expected=expected(LIMITS),
        because=_reason(case, trend),
        try_=rescale(case, trend, -trend.rate),
        evidence=evidence("gradient's norm", -trend.rate, -trend.certain, trend, LIMITS),
        sites=(case.graph.sites[trend.first].name, case.graph.sites[trend.last].name),
    )


def _reason(case: Case, trend: Trend) -> str:
    if trend.step == "layer":
        return cause(attribution(case), -trend.rate)
    return f"one weight is used {trend.depth + 1} times in a row, and each use multiplies the gradient again"

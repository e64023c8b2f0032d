"""Signals grow from layer to layer until they overflow or drown the loss.

## What it does

Fits the growth of the forward RMS at the outputs of all layers (contractions with weights) over depth, by the median
slope of all pairs of layers, and holds the growth over the whole depth against what trains. Does the same along a
weight that is used again and again on its own result, as a recurrent cell's over time.

## Why is this bad

A signal that grows by a constant factor a layer gives huge outputs, a huge loss, gradients of the same factor, and
soon values that half precision cannot hold (65504 in float16).

## How it is judged

Growth over all layers above 6 nats (a factor of 400) is a warning: plain SGD diverges at every step size that moves
anything, Adam needs steps that suit the outsized weights. Above 20.7 nats (1e9) it is an error. The fit, the plain
difference between the first and the last quarter of the layers and, in a network of few layers, the growth without
its largest step must all say so. The slow growth of a residual stream (by the square root of depth) stays far below.
Nothing is judged while batch normalization runs on stored statistics that no batch has set.

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

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Finding
from justright.diagnostics._advice import rescale
from justright.diagnostics._growth import evidence, expected, grown, size
from justright.diagnostics._stored import on_fresh_statistics
from justright.diagnostics._time import fastest, through_time
from justright.diagnostics._trend import Limits, forward_size
from justright.diagnostics._unjudged import signal_growth
from justright.diagnostics.base import Case, diagnostic

__all__ = ["exploding_forward"]

LIMITS = Limits(
    note=6.0,  # a factor of 400: no note below the warning
    warning=6.0,  # measured on digits (docs/zoo.md): from here on every step of SGD stands still or diverges
    error=20.7,  # ln 1e9: the loss is so large that no step of an ordinary schedule brings it down
)


@diagnostic("JR102", "exploding-forward", rank=4, causes=("JR801", "JR304", "JR305", "JR306", "JR307"), predicts=True)
def exploding_forward(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the forward RMS grows over depth or through time."""
    over_depth = signal_growth(case)
    if isinstance(over_depth, Gap):
        yield over_depth
    if on_fresh_statistics(case):
        return
    known = [] if isinstance(over_depth, Gap) else [over_depth]
    trend = fastest([*known, *through_time(case, forward_size)], 1)
    severity = LIMITS.severity(trend.certain) if trend else None
    if trend is None or severity is None:
        return
    yield Finding(
        "JR102",
        "exploding-forward",
        severity,
        where=f"from {case.place(trend.first)} to {case.place(trend.last)}",
        got=grown("RMS", trend.rate, trend.total, trend),
        expected=expected(LIMITS),
        because=f"each {trend.step}'s weights and nonlinearity add {trend.rate:.2g} nats: RMS "
        f"{size(trend.start)} in the first quarter of them, {size(trend.end)} in the last",
        try_=rescale(case, trend, trend.rate),
        evidence=evidence("RMS", trend.rate, trend.certain, trend, LIMITS),
        sites=(case.graph.sites[trend.last].name, case.graph.sites[trend.first].name),
    )

"""How far the gradient explodes, and whether that is a matter of scale or of chaos."""

from __future__ import annotations

from justright.core.findings import Severity
from justright.diagnostics._stored import on_fresh_statistics
from justright.diagnostics._time import fastest, through_time
from justright.diagnostics._trend import Limits, Trend, forward_trend, gradient_size, gradient_trend
from justright.diagnostics.base import Case

__all__ = ["LIMITS", "exploding", "severity_of"]

LIMITS = Limits(
    note=6.9,  # ln 1e3: no note below the warning
    warning=6.9,  # ln 1e3: deep batch normalization without skips trains to 16 xi, 8 nats of RMS (Yang 2019), but worse
    error=20.7,  # ln 1e9: the loss is so large that no step of an ordinary schedule brings it down
)

CHAOS = 9.2
"""Nats by which the gradient outgrows the signal: ln 1e4; from half as much on, deep tanh networks fail under SGD."""

NORMALIZED = 2.3
"""More nats that batch normalization bears, ln 10: weights before it tune their own step size (Arora 2019)."""


def exploding(case: Case) -> Trend | None:
    """Growth of the gradient towards the input or the past, whichever is larger; `None` if it does not grow."""
    if on_fresh_statistics(case):
        return None
    return fastest([gradient_trend(case), *through_time(case, gradient_size)], -1)


def severity_of(case: Case, trend: Trend | None) -> Severity | None:
    """Severity of an exploding gradient, `None` within the limits."""
    if trend is None:
        return None
    normalized = any(node.op == "batch_norm" for node in case.graph.nodes)
    growth = max(abs(trend.certain) - (NORMALIZED if normalized else 0.0), 0.0)
    severity = LIMITS.severity(growth)
    if severity is None:
        return None
    if trend.step != "layer":
        return severity  # the last uses of a weight still teach it, whatever the first ones do
    signal = forward_trend(case)
    scale = max(signal.certain, 0.0) if signal else 0.0
    return Severity.ERROR if growth - scale > CHAOS else severity

"""How far signal and gradient may shrink, and whether information is lost or only scale."""

from __future__ import annotations

from justright.core.findings import Severity
from justright.diagnostics._trend import Limits, Trend, forward_trend
from justright.diagnostics.base import Case

__all__ = ["FORWARD", "GRADIENT", "severity_of"]

FORWARD = Limits(
    note=6.0,  # |sum ln chi_1| <= 6 on squares, 3 nats of RMS, trains under a small step (Schoenholz 2017); twice that
    warning=9.2,  # ln 1e4: measured on digits (docs/zoo.md), Adam trains up to here as if nothing were
    error=33.0,  # -2 ln 2^-24: forward and backward each lose all digits of float32; Adam still trains 8 layers at 30
)

GRADIENT = Limits(
    note=6.0,  # as above
    warning=9.2,  # as above
    error=18.4,  # ln 1e8: Adam divides by sqrt(v) + 1e-8, below which a gradient of order one has shrunk by then
)


def severity_of(case: Case, trend: Trend) -> Severity | None:
    """Severity of a vanishing gradient, `None` within the limits.

    Where the signal shrinks as well, every layer's weights get the same gradient, and nothing but scale is lost.
    """
    signal = forward_trend(case)
    scale = max(-signal.certain, 0.0) if signal else 0.0
    limits = FORWARD if abs(trend.certain) - scale < GRADIENT.note else GRADIENT
    return limits.severity(trend.certain)

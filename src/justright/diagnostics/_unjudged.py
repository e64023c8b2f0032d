"""Growth over depth, or why there is none to judge: in the same words for every diagnostic that asks."""

from __future__ import annotations

from justright.core.coverage import Gap
from justright.diagnostics._stored import REASON, on_fresh_statistics
from justright.diagnostics._trend import FEWEST, Trend, forward_trend, gradient_trend
from justright.diagnostics.base import Case

__all__ = ["gradient_growth", "signal_growth"]


def signal_growth(case: Case) -> Trend | Gap:
    """Growth of the signal over depth, or why it cannot be judged."""
    what = "growth of the signal over depth"
    if on_fresh_statistics(case):
        return Gap(what, REASON)
    return forward_trend(case) or Gap(what, f"fewer than {FEWEST} layers with weights follow each other")


def gradient_growth(case: Case) -> Trend | Gap:
    """Growth of the gradient over depth, or why it cannot be judged."""
    what = "growth of the gradient over depth"
    if on_fresh_statistics(case):
        return Gap(what, REASON)
    return gradient_trend(case) or Gap(what, f"fewer than {FEWEST} layers with a gradient follow each other")

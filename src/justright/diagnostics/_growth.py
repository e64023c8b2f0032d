"""Sentences and evidence that the four findings on growth share."""

from __future__ import annotations

import math

from justright.core.findings import Evidence
from justright.diagnostics._trend import Limits, Trend

__all__ = ["evidence", "expected", "grown", "size"]


def grown(what: str, rate: float, total: float, trend: Trend) -> str:
    """Say what was seen: the factor a step, and over all steps."""
    steps = "layers" if trend.step == "layer" else "steps through time"
    each = f"the {what} is multiplied by {math.exp(rate):.3g} a {trend.step}"
    return f"{each}, by {size(total)} over {trend.depth} {steps}"


def expected(limits: Limits) -> str:
    """Say what a healthy network shows."""
    return f"a factor between {size(-limits.note)} and {size(limits.note)} over the whole depth; 1 a layer"


def evidence(what: str, rate: float, certain: float, trend: Trend, limits: Limits) -> tuple[Evidence, ...]:
    """Return the rate and the growth that is certain, each with its interval."""
    bound = limits.note / max(trend.depth, 1)
    return (
        Evidence(f"growth of the {what}", rate, f"nats per {trend.step}", -bound, bound),
        Evidence(f"growth of the {what} in all", certain, "nats", -limits.note, limits.note),
    )


def size(nats: float) -> str:
    """Write e to the power of this as people do, also where it is out of the range of a float."""
    exponent = nats / math.log(10.0)
    if abs(exponent) < 3:  # noqa: PLR2004  below a thousand, plain digits
        return f"{math.exp(nats):.2g}"
    whole = math.floor(exponent)
    return f"{10 ** (exponent - whole):.1f}e{whole:+d}"

"""Signals or gradients vanish in float16, and no loss scale keeps all of them.

## What it does

Reads from a run in float32 what automatic mixed precision would hold in float16 (see JR501), signals and gradients.
For signals it computes which share of the squared norm lies below 3e-8, where float16 rounds to zero. For gradients it
computes the interval of loss scales (powers of two) at which every one of them keeps 99 % of its squared norm and none
overflows, and the tensor that binds each end.

## Why is this bad

A signal that becomes zero is lost, and so is a gradient. A loss scale lifts all gradients by the same factor; if some
are 12 decades smaller than others, the large ones overflow before the small ones appear. The loss scaler then halves
its scale again and again, or the small ones never learn.

## How it is judged

By the norm and not by the number of elements: small elements underflow in every healthy network, and carry nothing.
A warning is a signal that loses more than half of its squared norm while the loss hangs on it (the norms of signal and
gradient multiply to more than 1 % of the loss); a small head, or a branch behind a LayerScale of 1e-6, may vanish
without harm. A warning is also an empty interval of loss scales. An interval that begins above 2**16, where
`torch.amp.GradScaler` starts, is a note that names it; that a scale is needed at all is the usual case and stays
silent. Left out are biases, and tensors whose share of the loss is below float32's own rounding. An exactly zero
gradient binds nothing. bfloat16 has the range of float32. The 8-bit formats are used with a scale for every tensor,
under which what falls below e4m3's range of 18 binades (e5m2: 32) holds less than 2e-5 of the squared norm of a tensor
of a million elements: nothing to judge. In a model that runs in float16 already what was lost does not show; that is
said.

## Example

    charge = 1.6e-19                                        # coulomb: zero in float16
    energy = model(x * charge) / charge

## Fix

Compute in units in which values are near one, keep the operation in float32
(`with torch.autocast("cuda", enabled=False)`), or use bfloat16; for gradients
`torch.amp.GradScaler(init_scale=2.0 ** k)` with k inside the interval.

## References

[Micikevicius2018], [Goldberg1991]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.formats import LossScaleWindow
from justright.core.profile import TensorStatistics
from justright.diagnostics._precision import HALF, Half, halves, largest_scale, lost_square, smallest_scale, weight_of
from justright.diagnostics.base import Case, diagnostic

__all__ = ["half_precision_underflow"]

LOST = 0.5
"""Share of a signal's squared norm: more than half of it is gone."""

MATTERS = 0.01
"""Share of the loss that the signal could change at first order: an hundredth of it is seen in training."""

TURNED = 0.01
"""Share of a gradient's squared norm: losing it turns the gradient by at most asin(0.1) = 6 degrees."""

ROUNDING = 2.0**-23
"""Relative size of float32's last digit: what carries less than that of the loss is rounding in the run itself."""

START = 16
"""log2 of the scale at which torch.amp.GradScaler starts; it doubles it only after 2000 steps without overflow."""


@diagnostic(
    "JR502",
    "half-precision-underflow",
    rank=15,
    causes=("JR801", "JR306", "JR304", "JR307", "JR703", "JR102", "JR101", "JR103", "JR104"),
    predicts=True,
)
def half_precision_underflow(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if signals vanish in float16, or if no ordinary loss scale suits all gradients."""
    already = [record for record in case.profile.sites if record.dtype == HALF.name]
    if already:
        reason = "the network runs in float16 already: what underflowed is zero, and does not show"
        yield Gap("underflow in float16", reason, len(already), already[0].name)
    held = [half for half in halves(case) if _finite(half.record.forward) and _finite(half.record.gradient)]
    if held and not math.isfinite(case.profile.loss):
        yield Gap("underflow in float16", "the loss is not finite", len(held), held[0].record.name)
        return
    gone = [half for half in held if _vanishes(case, half)]
    window = _window(case, held)
    if gone:
        yield _signal(case, gone)
    elif window.empty:
        yield _no_scale(case, window)
    elif window.low > START:
        yield _scale(case, window)


def _finite(statistics: TensorStatistics | None) -> bool:
    return statistics is not None and statistics.nonfinite == 0 and statistics.absmax > 0


def _vanishes(case: Case, half: Half) -> bool:
    """Say whether a signal that the loss hangs on loses most of its norm."""
    value = half.record.forward
    if value is None or not half.importance > MATTERS * abs(case.profile.loss) > 0:
        return False
    # What lies below the edge holds at most the square of the edge an element.
    small = value.rms * math.sqrt(LOST) < HALF.underflow
    return small and lost_square(value, HALF.underflow) > LOST


def _window(case: Case, held: list[Half]) -> LossScaleWindow:
    """Return the loss scales that suit the gradient of every site that carries a part of the loss."""
    largest = max([abs(case.profile.loss), *(half.importance for half in held)])
    judged = [half for half in held if half.importance >= ROUNDING * largest and weight_of(case, half)]
    gradients = {half.record.name: half.record.gradient for half in judged if half.record.gradient}
    if not gradients:
        return LossScaleWindow(-math.inf, math.inf)
    high_site = max(gradients, key=lambda name: gradients[name].absmax)
    low, low_site = -math.inf, ""
    for name in sorted(gradients, key=lambda name: gradients[name].rms):
        # Elements below a tenth of the RMS hold less than a hundredth of the squares, so that no later site binds.
        if HALF.underflow / (math.sqrt(TURNED) * gradients[name].rms) <= 2.0**low:
            break
        if (needed := smallest_scale(gradients[name], HALF, TURNED)) > low:
            low, low_site = needed, name
    return LossScaleWindow(low, largest_scale(gradients[high_site], HALF), low_site, high_site)


def _signal(case: Case, gone: list[Half]) -> Finding:
    first = gone[0]
    value = first.record.forward
    assert value is not None
    share = lost_square(value, HALF.underflow)
    return Finding(
        "JR502",
        "half-precision-underflow",
        Severity.WARNING,
        where=case.place(first.site) + (f" and {len(gone) - 1} more" if len(gone) > 1 else ""),
        got=f"RMS {value.rms:.3g}: {share:.0%} of its squared norm rounds to zero in float16",
        expected=f"at most {LOST:.0%}: magnitudes above {HALF.underflow:.2g}",
        because=f"float16 ends at {HALF.smallest_subnormal:.2g}, and the loss hangs on this tensor: what comes after "
        "it makes it large again, or divides by it",
        try_=f"scale it by {1 / value.rms:.1g} where it is made; or with torch.autocast(device, enabled=False): "
        "compute it from x.float(); or dtype=torch.bfloat16",
        evidence=(Evidence("squared norm that vanishes in float16", share, "share of the squared norm", 0.0, LOST),),
        sites=tuple(half.record.name for half in gone),
    )


def _no_scale(case: Case, window: LossScaleWindow) -> Finding:
    return Finding(
        "JR502",
        "half-precision-underflow",
        Severity.WARNING,
        where=f"gradients of {_place(case, window.low_site)} and {_place(case, window.high_site)}",
        got=f"the first needs a loss scale of at least 2**{window.low:.0f}, the second one of at most "
        f"2**{window.high:.0f}: no scale suits both in float16",
        expected="an interval of loss scales that suits every gradient",
        because=f"{_sizes(case, window.low_site)}; {_sizes(case, window.high_site)}: float16 spans 40 binades",
        try_="dtype=torch.bfloat16 in torch.autocast; or bring both tensors to a similar scale",
        evidence=(Evidence("binades that are missing", window.low - window.high, "binades", None, 0.0),),
        sites=(window.low_site, window.high_site),
    )


def _scale(case: Case, window: LossScaleWindow) -> Finding:
    return Finding(
        "JR502",
        "half-precision-underflow",
        Severity.NOTE,
        where=f"gradient of {_place(case, window.low_site)}",
        got=f"in float16 all gradients keep their norm at loss scales from 2**{window.low:.0f} to 2**{window.high:.0f} "
        f"only; torch.amp.GradScaler starts at 2**{START}",
        expected=f"an interval that begins at 2**{START} or below",
        because=f"{_sizes(case, window.low_site)}; the upper end is set by {window.high_site}",
        try_=f"torch.amp.GradScaler(init_scale=2.0 ** {min(window.low + 1, window.high):.0f})",
        evidence=(Evidence("smallest loss scale", window.low, "log2", None, float(START)),),
        sites=(window.low_site, window.high_site),
    )


def _place(case: Case, name: str) -> str:
    return case.place(case.graph.by_name[name].index)


def _sizes(case: Case, name: str) -> str:
    gradient = case.profile.by_name[name].gradient
    assert gradient is not None
    return f"the gradient of {name} has RMS {gradient.rms:.2g} and magnitudes up to {gradient.absmax:.2g}"

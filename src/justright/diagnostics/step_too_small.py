"""A step of the optimizer so small that no run is long enough to learn with it.

## What it does

Takes one step of the real optimizer on the first batch and undoes it, and reads how far it moves each parameter beside
the parameter's own size, and how much of the loss it takes away to first order. Where the step is small it takes ten
more, since momentum lets steps grow, and counts with what they reach.

## Why is this bad

The loss stands still, and looks as if the network could not learn.

## How it is judged

Both must hold: it would take more than a million steps at this pace to take a tenth off the loss, and in a million
steps in one direction no weight would change by a tenth of its size. That is an error: the longest published runs take
about a million steps. A hundred thousand steps are a warning. Parameters that are exactly zero (a zero head, fresh
biases) count in the loss alone, as they have no size to compare with. Nothing is judged while a schedule of PyTorch
warms the learning rate up, nor where the gradient is zero. The verdict is that of this optimizer and its rate.

## Example

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-8)
    justright.check(model, batch, loss="cross_entropy", optimizer=optimizer)

## Fix

A larger learning rate. A step of about a thousandth of the weights' size is usual ([You2017] scales every layer's step
to that). If only some layers move too little, their gradients vanish (JR103): Adam evens steps out over layers.

## References

[You2017], [Kingma2015], [Bengio2012]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.step import StepRecord
from justright.diagnostics._step import SCHEDULE, largest_moves, limited, rate_in_words, taken
from justright.diagnostics.base import Case, diagnostic

__all__ = ["step_too_small"]

LIMITS = {Severity.ERROR: 1e6, Severity.WARNING: 1e5}
"""Steps that a run may need: the longest published ones take 1e6 (Devlin 2019, BERT), most far fewer than 1e5."""

PART = 0.1
"""Part of the loss and of a weight that must change for learning to have begun: a tenth is beyond any noise."""

USUAL = 1e-3
"""Update beside the weight that is usual: the trust coefficient of LARS ([You2017], section 4)."""


@diagnostic(
    "JR902",
    "step-too-small",
    rank=17,
    causes=(
        "JR803",
        "JR801",
        "JR802",
        "JR306",
        "JR301",
        "JR302",
        "JR702",
        "JR304",
        "JR202",
        "JR201",
        "JR603",
        "JR101",
        "JR103",
        "JR303",
        "JR601",
        "JR602",
    ),
)
def step_too_small(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the optimizer's steps change nothing in any reasonable time."""
    step = taken(case)
    if isinstance(step, Gap):
        yield step
        return
    if step.waiting:
        yield Gap("size of the optimizer's step", SCHEDULE)
        return
    pace, reach = _pace(step), _reach(step)
    severity = next((each for each, most in LIMITS.items() if most * max(pace, reach) < PART), None)
    if severity is None or not _pushed(case):
        return
    most = largest_moves(step)
    yield Finding(
        "JR902",
        "step-too-small",
        limited(step, severity),
        where=f"a step of {step.optimizer}",
        got=f"a step takes {pace:.1e} of the loss away and moves weights by at most {reach:.1e} of their size",
        expected=f"a tenth of the loss, or of a weight, within {LIMITS[severity]:,.0f} steps",
        because=f"the learning rate is {step.largest_rate:g}" if step.rates else "the optimizer's steps are that small",
        try_=_remedy(step, pace, reach),
        evidence=(
            Evidence("fall of the loss in a step", pace, "share of the loss", low=PART / LIMITS[severity]),
            Evidence("update beside weight", reach, "largest RMS ratio", low=PART / LIMITS[severity]),
        ),
        sites=tuple(each.name for each in most),
    )


def _pace(step: StepRecord) -> float:
    """Part of the loss that a step takes away to first order, with momentum; infinite where the loss is zero."""
    return abs(step.predicted) * max(1.0, step.growth) / abs(step.before) if step.before else math.inf


def _reach(step: StepRecord) -> float:
    """Largest move of a parameter in one step beside its size, with momentum."""
    return max((each.ratio for each in step.parameters if each.weight), default=0.0) * max(1.0, step.growth)


def _pushed(case: Case) -> bool:
    """Say whether there is a gradient for a step to follow: without one, no learning rate helps."""
    return any(record.gradient and record.gradient.absmax > 0 for record in case.profile.parameters)


def _remedy(step: StepRecord, pace: float, reach: float) -> str:
    factors = [most / found for most, found in ((USUAL, reach), (PART, pace)) if found]
    if not factors or not step.rates:
        return "a learning rate above zero: 1e-3 is Adam's usual one, 0.1 that of SGD"
    return rate_in_words(step, min(factors))

"""A step of the optimizer that makes the loss run away.

## What it does

Takes one step of the real optimizer on the first batch, holds the change of the loss against what the gradient
promises, and undoes it. Where the loss falls by less than half of the promise, or rises, it takes 20 more real steps on
the same batch with the same random numbers and undoes them too. Where these run away, it looks for the sharpest
direction with Hessian-vector products, and for a learning rate at which the loss falls.

## Why is this bad

Gradient descent on a parabola of curvature h is stable up to a learning rate of 2/h. Far beyond, each step lands
further from the minimum than the one before, until numbers overflow or units are pushed so far that they are off for
good. A moderate excess is no harm: the network moves to where the loss is flatter, and Adam's first steps, which are
all of one size, often raise the loss on networks that train well.

## How it is judged

Only what the trial shows counts, not the bound. Numbers that are not finite, and weights whose gradient is exactly zero
after the trial (half of them or more), are an error: neither comes back. A loss that is still above its start at the
end of the trial, over the last five steps, is a warning. An optimizer that was not given but chosen for the kind of
network takes one step only; where that doubles the loss and is larger than the largest stable one, a note says so.
Nothing is judged while batch normalization runs on stored statistics that no batch has set. The verdict is that of this
optimizer.

## Example

    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    justright.check(model, batch, loss="cross_entropy", optimizer=optimizer)

## Fix

A smaller learning rate: the one that the finding names has brought the loss down on this batch. Warm-up, which starts
from a small one; `torch.nn.utils.clip_grad_norm_`, which bounds the step of SGD. If signals or gradients explode
(JR102, JR104), mend that first: it is what makes the loss so sharp.

## References

[Cohen2021], [Lewkowycz2020], [Kingma2015]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.step import StepRecord
from justright.diagnostics._step import largest_moves, limited, rate_in_words, taken
from justright.diagnostics.base import Case, diagnostic

__all__ = ["step_too_large"]

SILENCED = 0.5
"""Share of the weights without any gradient after the trial from which on a network is dead: with half of its weights
off for every example, a chain of two layers of equal size has one that passes nothing."""


@diagnostic(
    "JR901",
    "step-too-large",
    rank=17,
    causes=("JR803", "JR801", "JR306", "JR301", "JR304", "JR305", "JR307", "JR703", "JR102", "JR603", "JR104", "JR701"),
)
def step_too_large(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the optimizer's steps make the loss run away."""
    step = taken(case)
    if isinstance(step, Gap):
        yield step
        return
    if step.left_out:
        yield Gap("step of parameters", "the optimizer does not have them", step.left_out)
    dead = _dead(case, step)
    if not step.runs_away and not step.leaps and not dead:
        return
    lost = not all(map(math.isfinite, (step.after, *step.trial)))
    most = largest_moves(step)
    yield Finding(
        "JR901",
        "step-too-large",
        limited(step, Severity.ERROR if lost or dead else Severity.WARNING),
        where=f"first steps of {step.optimizer}",
        got=_course(step, dead=dead),
        expected="a loss that the first steps bring down",
        because=_reason(step),
        try_=_remedy(step),
        evidence=tuple(_evidence(step, dead=dead)),
        sites=tuple(each.name for each in most),
    )


def _dead(case: Case, step: StepRecord) -> bool:
    weights = [each.name for each in step.parameters if len(case.graph.by_name[each.name].shape) > 1]
    solved = bool(step.trial) and step.trial[-1] == 0.0
    return bool(step.silenced) and not solved and len(step.silenced) >= SILENCED * len(weights)


def _course(step: StepRecord, *, dead: bool) -> str:
    ends = f"the loss goes from {step.before:.3g} to {step.after:.3g}"
    if step.trial:
        ends += f" and in {len(step.trial)} more steps to {step.trial[-1]:.3g}"
    return ends + (f"; {len(step.silenced)} weights then have no gradient any more" if dead else "")


def _reason(step: StepRecord) -> str:
    ratio = largest_moves(step, 1)[0]
    parts = [f"{ratio.name} moves by {ratio.ratio:.2g} of its size"]
    if step.stable < 1.0:
        along = "the sharpest direction" if step.given else "its own direction"
        parts.append(f"the step is {1 / step.stable:.2g} times the one that is stable along {along}")
    if _divides_by_zero(step):
        parts.append("no smaller rate helps: float16 rounds an epsilon of 1e-8 to zero, and 0 / 0 is not a number")
    return "; ".join(parts)


def _divides_by_zero(step: StepRecord) -> bool:
    """Say whether what looks like too large a step is Adam in float16, where its epsilon is zero."""
    return math.isnan(step.tame) and any(each.dtype == "float16" for each in step.parameters)


def _remedy(step: StepRecord) -> str:
    if _divides_by_zero(step):
        return "float32 weights under torch.autocast, or eps=1e-4 in the optimizer"
    if not math.isnan(step.tame) and step.rates:
        return f"{rate_in_words(step, step.tame)}: with it the loss falls on this batch"
    if step.stable < 1.0 and step.rates:
        return f"{rate_in_words(step, step.stable)}: the largest step that is stable along its direction"
    return "a much smaller learning rate, or torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before each step"


def _evidence(step: StepRecord, *, dead: bool) -> Iterator[Evidence]:
    if step.runs_away:
        end = (step.after, *step.trial)[-1]
        rise = end - step.before if math.isfinite(end) else math.inf
        yield Evidence("change of the loss over the trial", max(rise, 0.0) or math.inf, "units of the loss", high=0.0)
    if dead:
        yield Evidence("weights that lost their gradient", float(len(step.silenced)), "parameters", 0.0, 0.0)
    if step.stable < 1.0:
        yield Evidence("step over the largest stable one", 1 / step.stable, "times 2 / curvature", high=1.0)

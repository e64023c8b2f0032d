"""Steps that are lost to rounding: the weights stay as they are.

## What it does

Takes one step of the real optimizer on the first batch, undoes it, and counts the elements that were meant to change
and have the same value as before, because the step was smaller than half the distance to the next number of their
dtype. Where most are lost, ten more steps show whether momentum carries them over. For parameters in 16 bits, what was
meant is the step that the same optimizer takes on float32 copies of them.

## Why is this bad

bfloat16 has 8 significant bits, so that a step of less than a 512th of a weight (0.2 %; a 256th near the next power of
two) vanishes, at every step anew: the weight never moves, whatever the gradient. Ordinary steps are a thousandth of the
weights. float16 has 11 bits and loses steps of less than a 4096th.

## How it is judged

For parameters in 16 bits, a share of 95 % of all elements that do not move in eleven steps is an error, 80 % a warning.
A model in float32 whose steps would be lost in bfloat16, 95 % of them, gets a note: keep float32 weights there; steps
that float32 loses are too small for any dtype (JR902). Nothing is judged while a
schedule of PyTorch warms the learning rate up. The verdict is that of this optimizer and its rate; one that was not
given but chosen for the kind of network makes it a note.

## Example

    model.bfloat16()
    justright.check(model, batch, loss="cross_entropy", optimizer="adamw:1e-5")

## Fix

Keep the weights in float32 and compute in bfloat16 under `torch.autocast`; or an optimizer with float32 copies,
stochastic rounding or compensated (Kahan) summation.

## References

[Micikevicius2018], [Gupta2015], [Zamirai2020]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.step import ParameterStep, StepRecord
from justright.diagnostics._step import SCHEDULE, limited, taken
from justright.diagnostics.base import Case, diagnostic

__all__ = ["lost_updates"]

ERROR, WARNING = 0.95, 0.8
"""Shares of elements that never move. Measured on multilayer perceptrons in bfloat16 beside float32: at 0.5 to 0.8 they
need 1.2 to 2.7 times the steps, at 0.85 and 0.9 they have not learned when float32 has, at 0.95 they stand still."""

HALVES = frozenset({"float16", "bfloat16"})
"""Dtypes in which ordinary steps are lost."""

OTHER, FEW = 0.95, 0.01
"""Share in bfloat16 from which on a model in float32 gets a note, if float32 itself loses no more than the other: else
the step is too small, not the dtype too coarse."""


@diagnostic("JR503", "lost-updates", rank=16)
def lost_updates(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if most elements of the weights stay as they are."""
    step = taken(case)
    if isinstance(step, Gap):
        yield step
        return
    if step.waiting:
        yield Gap("rounding of the optimizer's step", SCHEDULE)
        return
    lost = _lost(step)
    if lost > WARNING:
        yield _finding(step, lost)
    elif step.given and step.unchanged() < FEW and step.unchanged("bfloat16") > OTHER:
        yield _elsewhere(step)


def _lost(step: StepRecord) -> float:
    """Share of elements that the steps leave as they are, after the trial where there was one; 0 if all are wide."""
    if not any(each.dtype in HALVES for each in step.parameters):
        return 0.0
    found = step.unchanged() if math.isnan(step.frozen) else step.frozen
    return 0.0 if math.isnan(found) else found


def _finding(step: StepRecord, lost: float) -> Finding:
    most = _most(step, "unchanged")
    dtypes = ", ".join(sorted({each.dtype for each in most}))
    return Finding(
        "JR503",
        "lost-updates",
        limited(step, Severity.ERROR if lost > ERROR else Severity.WARNING),
        where=f"{most[0].name}" + (f" and {len(most) - 1} more" if len(most) > 1 else ""),
        got=f"{lost:.1%} of the elements keep their value over {1 + len(step.trial)} steps of {step.optimizer}",
        expected="weights that move",
        because=f"steps of {most[0].ratio:.1e} of the weight's size are rounded away in {dtypes}",
        try_="model.float(), and torch.autocast(device_type, dtype=torch.bfloat16) around the forward",
        evidence=(Evidence("elements that do not move", lost, "share of those with a gradient", high=WARNING),),
        sites=tuple(each.name for each in most),
    )


def _elsewhere(step: StepRecord) -> Finding:
    share = step.unchanged("bfloat16")
    most = _most(step, "unchanged_bfloat16")
    return Finding(
        "JR503",
        "lost-updates",
        Severity.NOTE,
        where=f"a step of {step.optimizer}, if weights were kept in bfloat16",
        got=f"{share:.1%} of the elements would keep their value; {step.unchanged():.1%} do in the dtype they have",
        expected="weights that move",
        because=f"the step is {most[0].ratio:.1e} of the size of {most[0].name}, and bfloat16 ends at a 512th",
        try_="torch.autocast(device_type, dtype=torch.bfloat16) in place of model.bfloat16(), and weights in float32",
        evidence=(Evidence("elements that would not move", share, "share of those with a gradient", high=OTHER),),
        sites=tuple(each.name for each in most),
    )


def _most(step: StepRecord, name: str) -> tuple[ParameterStep, ...]:
    """Return the parameters that lose most of their elements, the largest first."""
    losing = [each for each in step.parameters if getattr(each, name) > WARNING] or list(step.parameters)
    return tuple(sorted(losing, key=lambda each: -each.size * each.pushed))

"""What the diagnostics of an optimizer's step share: the step, or why there is none to judge."""

from __future__ import annotations

from justright.core.coverage import Gap
from justright.core.findings import Severity
from justright.core.step import ParameterStep, StepRecord
from justright.diagnostics._stored import REASON, on_fresh_statistics
from justright.diagnostics.base import Case

__all__ = ["SCHEDULE", "largest_moves", "limited", "rate_in_words", "taken"]

WHAT = "step of an optimizer"

SCHEDULE = "a schedule will raise the learning rate: what a first step of the warm-up leaves undone says little"
"""Why small steps are not judged while a learning rate warms up."""


def taken(case: Case) -> StepRecord | Gap:
    """Return the step that was taken, or why there is none to judge."""
    step = case.profile.step
    if step is None:
        return Gap(WHAT, "none was tried")
    if step.untaken:
        return Gap(WHAT, step.untaken)
    return Gap(WHAT, REASON) if on_fresh_statistics(case) else step


def limited(step: StepRecord, severity: Severity) -> Severity:
    """Make a finding about an optimizer that nobody asked for a note."""
    return severity if step.given else Severity.NOTE


def largest_moves(step: StepRecord, count: int = 3) -> tuple[ParameterStep, ...]:
    """Return the parameters, not zero before, that move furthest beside their size; any if all are zero."""
    named = [each for each in step.parameters if each.weight] or list(step.parameters)
    return tuple(sorted(named, key=lambda each: -each.ratio)[:count])


def rate_in_words(step: StepRecord, factor: float) -> str:
    """Say what the learning rate should be, given the factor on today's."""
    if len(set(step.rates)) == 1:
        return f"lr={step.largest_rate * factor:.1e} in place of {step.largest_rate:g}"
    return f"every learning rate times {factor:.1e}"

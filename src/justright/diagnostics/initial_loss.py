"""The loss starts far from what guessing costs.

## What it does

Compares the loss of the untrained network with that of guessing: ln C for C classes, ln 2 for a binary cross-entropy,
the variance of the targets for a squared error. From the gradient it then tells how large a step, or how many, would
bring the loss down.

## Why is this bad

An untrained network knows nothing; a loss far above chance says that it is sure of what it does not know. Where the
gradient is large as well, any usual step of plain gradient descent overshoots; where it is small, training spends its
first thousands of steps on taking back the initialization. A loss well below chance says that the answer is in the
input, or that the model is trained already.

## How it is judged

Only above twice chance. Warning: Adam's largest usual step would have to be repeated more than 1,000 times at first
order, and so would the largest of gradient descent; or Polyak's step, loss / |gradient|², is below 1e-4, a tenth of
the smallest step in common use, so that gradient descent overshoots at every one of them (Adam, whose step does not
depend on the size of the gradient, copes); or a squared error starts above 2,500 times the variance of the targets.
Anything else that starts above ten times chance is repaired by the first steps and is a note, and so is a loss below
half of the best constant answer's. A sum over examples is divided by their number first.

## Example

    nn.init.normal_(model.head.weight)              # scores with a standard deviation of 16 for 256 features

## Fix

Small or zero weights in the last layer, `nn.init.zeros_(model.head.weight)`, its bias at the mean of the targets or at
the logarithms of the classes' shares; targets of unit scale.

## References

[Goodfellow2016], [Kingma2015], [Polyak1987]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import Provenance
from justright.diagnostics._loss import Form, Reading, readings
from justright.diagnostics._loss_chance import Start, start_of
from justright.diagnostics.base import Case, diagnostic

__all__ = ["initial_loss"]

ABOVE = 2.0
"""Times chance below which a loss is ordinary: scores of unit variance add half a nat to ln C."""

HIGH = 10.0
"""Times chance above which a loss is worth knowing although it is repaired. [ours]"""

STEPS = 1000.0
"""Steps that nobody spends on taking back an initialization. [ours]"""

EFFECTIVE = 1.0
"""Largest step of plain gradient descent in common use: 0.1, times ten for a momentum of 0.9."""

SMALLEST = 1e-4
"""A tenth of 1e-3, the smallest step of plain gradient descent in common use."""

SQUARED = 2.5e3
"""Times the targets' variance from which no usual step brings a squared error down: outputs are 50 standard deviations
away, and the gradient of every hidden layer is 50 times that of an ordinary start, its safe step 1/2,500."""

BELOW = 0.5
"""Part of the best constant answer's loss below which an answer is no luck. [ours]"""


@diagnostic(
    "JR701",
    "initial-loss",
    rank=14,
    causes=("JR803", "JR801", "JR306", "JR702", "JR304", "JR305", "JR307", "JR703", "JR102", "JR201", "JR104", "JR401"),
    predicts=True,
)
def initial_loss(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the loss starts far from chance."""
    found = readings(case)
    if len({each.output for each in found}) > 1:
        yield Gap("initial loss", "the loss reads several outputs: what guessing costs in each of them is not known")
        return
    start = start_of(case, found[0]) if found else None
    doubt = _doubt(case) if found else ""
    if doubt:
        yield Gap("initial loss", doubt)
    elif start is None:
        yield from [Gap("initial loss", "what guessing costs is not known for this loss")] if found else []
    elif start.ratio > ABOVE:
        yield from _above(case, found[0], start)
    elif start.loss < BELOW * min(start.known, start.chance) and start.known > 0:
        yield _below(case, found[0], start)


def _doubt(case: Case) -> str:
    """Say why a predicted loss cannot be judged; nothing if it can, or was measured."""
    if case.profile.provenance is Provenance.MEASURED or case.graph.loss is None:
        return ""
    record = case.record(case.graph.loss)
    estimate = record.predicted.forward if record is not None and record.predicted is not None else None
    if estimate is None:
        return "the loss was not predicted"
    return "" if estimate.trusted else f"the predicted loss cannot be relied on: {estimate.why}"


def _above(case: Case, reading: Reading, start: Start) -> Iterator[Finding]:
    evidence = Evidence("loss over chance", start.ratio, "times", 0.0, ABOVE)
    if start.adam > STEPS and start.polyak > STEPS * EFFECTIVE:
        yield _finding(
            case, reading, start, Severity.WARNING,
            f"its gradient is so small that Adam at 0.01 takes {start.adam:,.0f} steps to chance, and gradient "
            f"descent at its largest step {start.polyak:,.0f}",
            (Evidence("steps to chance under Adam at 0.01", start.adam, "steps", 0.0, STEPS), evidence),
        )  # fmt: skip
    elif start.polyak < SMALLEST:
        yield _finding(
            case, reading, start, Severity.WARNING,
            f"its gradient is so large that steps of gradient descent above {start.polyak:.1g} overshoot; Adam, whose "
            "steps do not grow with the gradient, copes",
            (Evidence("step that brings the loss to zero", start.polyak, "step size", SMALLEST), evidence),
        )  # fmt: skip
    elif reading.form is Form.VALUES and start.ratio > SQUARED:
        yield _finding(
            case, reading, start, Severity.WARNING,
            "the outputs are further from the targets than these are from each other, so that hidden layers get "
            "gradients of the difference and not of the task",
            (Evidence("loss over chance", start.ratio, "times", 0.0, SQUARED),),
        )  # fmt: skip
    elif start.ratio > HIGH:
        yield _finding(
            case, reading, start, Severity.NOTE, "the last layer makes large scores; the first steps repair that",
            (Evidence("loss over chance", start.ratio, "times", 0.0, HIGH),),
        )  # fmt: skip


def _finding(
    case: Case, reading: Reading, start: Start, severity: Severity, because: str, evidence: tuple[Evidence, ...]
) -> Finding:
    return Finding(
        "JR701",
        "initial-loss",
        severity,
        where=case.place(reading.output),
        got=f"a loss of {start.loss:.4g}, {start.ratio:.3g} times what guessing costs",
        expected=f"about {start.chance:.3g}" + (" per element of the sum" if start.summed else ""),
        because=because,
        try_="nn.init.zeros_(last.weight), and last.bias at the mean of the targets or the log shares of the classes",
        evidence=evidence,
        sites=(case.graph.sites[reading.output].name,),
    )


def _below(case: Case, reading: Reading, start: Start) -> Finding:
    return Finding(
        "JR701",
        "initial-loss",
        Severity.NOTE,
        where=case.place(reading.output),
        got=f"a loss of {start.loss:.3g}, where the best constant answer costs {start.known:.3g}",
        expected="at least what guessing costs, if the model is untrained",
        because="the model is trained already, or the target stands in the input",
        try_="build the model anew; look for the target among the inputs",
        evidence=(Evidence("loss over that of the best constant", start.loss / start.known, "times", BELOW),),
        sites=(case.graph.sites[reading.output].name,),
    )

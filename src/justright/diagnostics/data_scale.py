"""Input or target far from unit scale.

## What it does

Looks at what the first weights read, after whatever the model itself does to its input (a division by 255, a
normalization): its size, its mean beside its standard deviation, and one feature beside the others. For a squared
error it looks at the targets in the same way.

## Why is this bad

The curvature of the loss along a weight grows with the square of what the weight reads. Inputs of a thousand allow
steps a million times smaller than inputs of one; inputs of a hundredth slow the first layer ten thousand times beside
its bias; a mean of ten standard deviations, or one feature a thousand times larger than the others, does the same to
everything but the mean or that feature. A network starts with outputs of about one: targets of a thousand make
gradients of a thousand, targets of a thousandth are drowned in the output's own noise.

## How it is judged

Behind a normalization, at once or right after the first weights, size does not matter. Warning: an RMS above 1,000 or
below 0.03; a mean of more than 10 standard deviations; a feature of 300 times the middle one's standard deviation, in
a table of features; targets with a standard deviation above 300 or below 0.003, or with a mean of more than 50
standard deviations that the output does not start at. Plain gradient descent does not learn there, Adam does to some
extent. Error: a mean of more than 100 standard deviations, or an RMS below 0.0001 divided by the number of features of
a hundred, where Adam does not either. Gray levels from 0 to 255 are a note: steps must be small. Integers are indices
and have no scale.

## Example

    model(torch.tensor(table.values))       # one column in years, one in grams, one in dollars

## Fix

Standardize with the statistics of the training set, `(x - x.mean(0)) / x.std(0)`, or start the model with a
`BatchNorm1d`; standardize targets the same way, and undo it at inference.

## References

[LeCun1998], [Kingma2015]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.data import DataRecord
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.core.profile import TensorStatistics
from justright.diagnostics._data import entries, inputs, normalized_after
from justright.diagnostics._loss import Form, Reading, readings
from justright.diagnostics.base import Case, diagnostic

__all__ = ["data_scale"]

LARGE = 1e3
"""RMS from which no step in common use is small enough: the safe one is about 1 / RMS², 1e-6. [ours, trained: gray
levels of RMS 100 learn under a step of 1e-3, inputs of 1,000 hardly do]"""

NOTABLE = 50.0
"""RMS from which the largest common steps of plain gradient descent, 0.1 and 0.01, are gone. [ours]"""

SMALL = 0.03
"""RMS below which plain gradient descent slows the first layer a thousandfold, 1 / RMS²."""

ADAM = 1e-2
"""Largest step size that Adam is commonly used with; a step moves no weight further [Kingma2015]."""

REACH = 1e4
"""Steps of Adam at 0.01 to move the first layer's output by one: beyond that, nothing moves it. [ours]"""

OFFSET, LOST = 10.0, 100.0
"""Mean over standard deviation: the inputs' Gram matrix gets a condition number of its square, 100 and 10,000, the
second beyond what Adam makes up for. [ours, trained]"""

DOMINANT = 300.0
"""Largest over middle standard deviation of features: a condition number of 100,000 [LeCun1998]."""

TARGET, FAINT = 300.0, 0.003
"""Standard deviation of targets, beside outputs that start at about one. [ours, trained: 100 and 0.01 learn]"""

AWAY = 50.0
"""Mean over standard deviation of targets: a loss of 2,500 times their variance before the first step."""


@diagnostic("JR801", "data-scale", rank=0, predicts=True)
def data_scale(case: Case) -> Iterator[Finding]:
    """Yield a finding for every input and target whose scale keeps the network from learning."""
    told: set[int] = set()
    for node, site in entries(case):
        record = case.record(site)
        if site in told or record is None or record.forward is None or not math.isfinite(record.forward.rms):
            continue
        told.add(site)
        yield from _entry(case, node, site, record.forward)
    for reading in readings(case):
        if reading.form is Form.VALUES:
            yield from _target(case, reading)


def _entry(case: Case, node: Node, site: int, forward: TensorStatistics) -> Iterator[Finding]:
    dominant = _dominant(case, node, site)
    offset = abs(forward.mean) / forward.std if forward.std > 0 else 0.0
    if dominant is not None:
        yield _dominated(case, site, dominant)
    elif normalized_after(case, node):
        return
    elif offset > OFFSET:
        yield _far(case, site, forward, offset)
    elif forward.rms > NOTABLE or 0 < forward.rms < SMALL:
        yield _sized(case, node, site, forward)


def _dominant(case: Case, node: Node, site: int) -> DataRecord | None:
    """Return the record of a table of features, one a column, of which one drowns the others."""
    table = 2  # axes of [examples, features]
    root = case.graph.sites[case.graph.root(site)]
    found = (each for each in inputs(case) if each.name == root.name)
    record = next(found, None)
    whole = record is not None and len(record.shape) == table and node.op in {"linear", "matmul"}
    return record if record is not None and whole and record.spread > DOMINANT else None


def _dominated(case: Case, site: int, record: DataRecord) -> Finding:
    return _finding(
        record.name,
        Severity.WARNING,
        got=f"a feature with {record.spread:.3g} times the standard deviation of the middle one",
        expected="features of like scale",
        because="the first layer hears that feature alone, and a step that is safe along it moves nothing along the "
        "others; Adam makes up for a part of it",
        try_="x = (x - x.mean(0)) / x.std(0).clamp_min(1e-6), with the statistics of the training set",
        evidence=Evidence("largest over middle standard deviation", record.spread, "times", 1.0, DOMINANT),
        sites=_sites(case, site),
    )


def _far(case: Case, site: int, forward: TensorStatistics, offset: float) -> Finding:
    return _finding(
        case.place(site),
        Severity.ERROR if offset > LOST else Severity.WARNING,
        got=f"a mean of {forward.mean:.3g} and a standard deviation of {forward.std:.3g}",
        expected="a mean of less than a few standard deviations",
        because="all examples look nearly the same to the first layer: what they have in common is "
        f"{offset:.3g} times as large as what they differ in",
        try_="x = (x - x.mean(0)) / x.std(0).clamp_min(1e-6), with the statistics of the training set",
        evidence=Evidence("mean over standard deviation", offset, "standard deviations", 0.0, OFFSET),
        sites=_sites(case, site),
    )


def _sized(case: Case, node: Node, site: int, forward: TensorStatistics) -> Finding:
    small = forward.rms < SMALL
    bound = {"low": SMALL} if small else {"low": 0.0, "high": NOTABLE}
    return _finding(
        case.place(site),
        _severity(case, node, forward.rms),
        got=f"values of RMS {forward.rms:.3g}",
        expected=f"about 1, between {SMALL:g} and {NOTABLE:g}",
        because="gradients of the first weights shrink with it, and what they do to the output shrinks again"
        if small
        else "the curvature along the first weights grows with its square, so that steps must be as much smaller",
        try_="x = (x - mean) / std with the statistics of the training set, or a BatchNorm as the first layer; under "
        "Adam it matters less",
        evidence=Evidence("RMS of what the first weights read", forward.rms, "input units", **bound),
        sites=_sites(case, site),
    )


def _severity(case: Case, node: Node, rms: float) -> Severity:
    """Judge the size: small ones by how many steps it takes to move an output by one."""
    if rms > NOTABLE:
        return Severity.WARNING if rms > LARGE else Severity.NOTE
    weights = [operand.site for operand in node.operands if operand.name != "bias"]
    size = max((case.graph.sites[site].size for site in weights if case.graph.parameter_only[site]), default=1)
    made = case.graph.sites[node.outputs[0]].shape
    units = made[1] if node.op == "convolution" and len(made) > 1 else made[-1] if made else 1
    return Severity.ERROR if 1 / (ADAM * rms * max(size / units, 1.0)) > REACH else Severity.WARNING


def _target(case: Case, reading: Reading) -> Iterator[Finding]:
    record, output = reading.compared(case), case.record(reading.output)
    if record is None or output is None or output.forward is None or not record.std > 0:
        return
    start = output.forward
    gap = abs(record.mean - start.mean) / record.std
    if gap > AWAY and abs(record.mean) > AWAY * record.std:
        yield _offset_target(case, record, gap)
    elif record.std > TARGET and start.std < record.std / AWAY:
        yield _sized_target(
            case,
            record,
            "targets so large make gradients as large in every layer, where weights of about one start",
            TARGET,
        )
    elif record.std < FAINT and start.std > record.std * AWAY:
        yield _sized_target(case, record, "the network's own output is as much larger, and its noise drowns them", None)


def _offset_target(case: Case, record: DataRecord, gap: float) -> Finding:
    return _finding(
        record.name,
        Severity.WARNING,
        got=f"targets of mean {record.mean:.4g} and standard deviation {record.std:.3g}",
        expected="an output that starts at their mean, or targets of mean zero",
        because=f"the output starts {gap:.3g} standard deviations away, and until it is there gradients tell no more",
        try_="target = (target - target.mean()) / target.std(), or nn.init.constant_(last.bias, target.mean())",
        evidence=Evidence("distance of the output from the targets' mean", gap, "standard deviations", 0.0, AWAY),
        sites=_names(case, record),
    )


def _sized_target(case: Case, record: DataRecord, because: str, high: float | None) -> Finding:
    return _finding(
        record.name,
        Severity.WARNING,
        got=f"targets with a standard deviation of {record.std:.3g}",
        expected=f"about 1, between {FAINT:g} and {TARGET:g}",
        because=because,
        try_="target = (target - target.mean()) / target.std(), undone at inference",
        evidence=Evidence(
            "standard deviation of the targets", record.std, "target units", FAINT if high is None else 0.0, high
        ),
        sites=_names(case, record),
    )


def _names(case: Case, record: DataRecord) -> tuple[str, ...]:
    return (record.name,) if record.name in case.graph.by_name else ()


def _sites(case: Case, site: int) -> tuple[str, ...]:
    """Return what the weights read, and the tensor of the batch that it comes from where that is another."""
    names = (case.graph.sites[each].name for each in (case.graph.root(site), site))
    return tuple(dict.fromkeys(names))


def _finding(
    where: str,
    severity: Severity,
    *,
    got: str,
    expected: str,
    because: str,
    try_: str,
    evidence: Evidence,
    sites: tuple[str, ...],
) -> Finding:
    return Finding(
        "JR801", "data-scale", severity, where, got, expected, because, try_, evidence=(evidence,), sites=sites
    )

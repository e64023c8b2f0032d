"""The last operator of the model does not fit the loss.

## What it does

Reads from the operators what the loss takes its input to be (scores of classes, logits, probabilities, logarithms of
probabilities, values), whether it is a library's loss or written by hand, and compares that with the last operator of
the model: which values it can take at all, over which axis it normalizes, and how many elements that axis has.

## Why is this bad

A softmax over a single unit is 1 whatever the network does. A softmax in the model and a second one in the loss leave
the loss a small range, with small gradients, and a floor that it cannot go below. Scores in place of probabilities
make a loss without a lower end, or one that is not defined. An output that cannot take the targets' values cannot
learn them.

## How it is judged

Error: a softmax over one element; values outside of [0, 1] where probabilities are read, or positive ones where their
logarithms are; probabilities that a hard edge cuts off, all of them; a range that holds none of the targets better than
a constant does. Warning: a range within which the loss cannot come below 0.4 of what guessing costs (softmax or sigmoid
before a softmax or sigmoid in the loss, ReLU before a sigmoid), an axis that is not the loss's, or a squared error of a
fifth of the targets' variance that the range makes necessary; a tenth of the probabilities cut off by a hard edge
(ReLU, hard tanh, clamp), beyond which there is no gradient, while a clamp behind a sigmoid or softmax cuts nothing off;
or a ReLU before a softmax where a class is off for every example, and so gets no gradient. A log-softmax before another
is the same as one, and a ReLU with all classes alive may lose some: notes. An output that passes other operators first,
such as a scaled tanh, is not confined.

## Example

    model = nn.Sequential(nn.Linear(64, 10), nn.Softmax(-1))
    loss = nn.CrossEntropyLoss()(model(x), y)       # takes a softmax itself

## Fix

Give `cross_entropy` and `binary_cross_entropy_with_logits` the bare output of the last linear layer, and apply the
softmax or sigmoid at inference; `log_softmax` before `nll_loss`; one unit with a sigmoid, or two with a softmax; a
linear output for targets of any size.

## References

[Goodfellow2016], [Bridle1990]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.core.vocabulary import Kind
from justright.diagnostics._loss import Form, Reading, readings, unread
from justright.diagnostics._loss_activations import activation_before, axis_of, bounds, one_way
from justright.diagnostics._output_misfit import line_of, misfit
from justright.diagnostics._output_probabilities import probabilities
from justright.diagnostics.base import Case, diagnostic

__all__ = ["output_activation"]

FLOOR = 0.4
"""Part of what guessing costs that an output's range may make necessary. [ours: label
smoothing of 0.1, which people choose, costs 0.2 to 0.3; a tanh before a softmax over ten classes 0.35, and learns as
fast as without]"""

SHORT = 0.2
"""Part of the targets' variance that an output's range may make necessary: what lies beyond it is no outlier. [ours]"""

LOGIT = {Form.SCORES: "softmax", Form.LOGITS: "sigmoid"}
"""What a loss applies to its input by itself."""

RANGES = {(0.0, 1.0): "unit", (-1.0, 1.0): "symmetric", (0.0, math.inf): "positive"}
"""Ranges to which the distances of the targets are known."""


@diagnostic("JR702", "output-activation", rank=1, predicts=True)
def output_activation(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding for every output that does not fit the loss that reads it."""
    gap = unread(case)
    if gap is not None:
        yield gap
    for reading in readings(case):
        made = activation_before(case.graph, reading.output)
        node = made.node if made else None
        if node is not None and one_way(case.graph, node):
            yield _single(case, reading, node)
        elif reading.form is Form.SCORES and reading.classes(case.graph) == 1:
            yield _single(case, reading, reading.node)
        elif (softmax := _transposed(case, reading)) is not None:
            yield _across(case, reading, softmax)
        elif reading.form in LOGIT and node is not None:
            yield from _confined(case, reading, node)
        elif reading.form is Form.VALUES and node is not None:
            yield from _missed(case, reading, node)
        elif reading.form in {Form.PROBABILITIES, Form.LOGARITHMS}:
            yield from probabilities(case, reading, node)


def _single(case: Case, reading: Reading, node: Node) -> Finding:
    return misfit(
        case,
        reading,
        Severity.ERROR,
        got="a softmax over a single unit",
        expected="a softmax over two units or more, or a sigmoid over one",
        because=f"exp(x) / exp(x) is 1 whatever the network gives, so no gradient comes back ({line_of(node)})",
        try_="torch.sigmoid and binary cross-entropy for one unit, or nn.Linear(…, 2) before the softmax",
        evidence=Evidence("elements that the softmax runs over", 1.0, "units", 2.0),
    )


def _confined(case: Case, reading: Reading, node: Node) -> Iterator[Finding]:
    """Judge what goes into a softmax or sigmoid that is part of the loss."""
    low, high = bounds(node)
    chance = math.log(max(reading.classes(case.graph), 2))
    if reading.form is Form.SCORES:
        floor = math.log1p((math.exp(chance) - 1) * math.exp(low - high))
    else:
        floor = max(math.log1p(math.exp(-high)), math.log1p(math.exp(low)))
    if floor > FLOOR * chance:
        yield misfit(
            case,
            reading,
            Severity.WARNING,
            got=f"{node.op} before a loss that applies a {LOGIT[reading.form]} itself",
            expected="scores that may take any value",
            because=f"{node.op} ({line_of(node)}) confines them to [{low:.3g}, {high:.3g}], so that the loss cannot go "
            f"below {floor:.2g} nats, where guessing costs {chance:.2g}, and its gradients are small",
            try_=f"remove the {node.op} from the model: the loss takes the output of the last linear layer",
            evidence=Evidence("lowest loss within reach", floor, "nats", 0.0, FLOOR * chance),
        )
    elif reading.form is Form.SCORES and node.op in {"log_softmax", "relu"}:
        yield _spare(case, reading, node)


def _spare(case: Case, reading: Reading, node: Node) -> Finding:
    twice = node.op == "log_softmax"
    record = case.record(node.operands[0].site)
    silent = record is not None and record.units is not None and record.units.dead > 0
    return misfit(
        case,
        reading,
        Severity.WARNING if silent else Severity.NOTE,
        got=f"{node.op} before a loss that applies a softmax itself",
        expected="the output of the last linear layer",
        because="a log-softmax of a log-softmax is the same as one: it costs time and changes nothing"
        if twice
        else f"{node.op} ({line_of(node)}) gives no gradient to a class whose score is off, however wrong it is",
        try_=f"remove the {node.op} from the model",
        evidence=Evidence("operators between the last weights and the loss", 1.0, "operators", 0.0, 0.0),
    )


def _missed(case: Case, reading: Reading, node: Node) -> Iterator[Finding]:
    """Judge a range that does not hold the targets."""
    record = reading.compared(case)
    name = RANGES.get(bounds(node))
    if record is None or name is None or not record.std > 0:
        return
    floor = record.beyond[name] / record.std**2
    if floor > SHORT:
        low, high = bounds(node)
        yield misfit(
            case,
            reading,
            Severity.ERROR if floor >= 1.0 else Severity.WARNING,
            got=f"an output of {node.op}, in [{low:.3g}, {high:.3g}], and targets from {record.minimum:.3g} to "
            f"{record.maximum:.3g}",
            expected="an output that can take the targets' values",
            because=f"the squared error cannot go below {floor:.0%} of the targets' variance, and where the output is "
            f"pushed against its end, {node.op} ({line_of(node)}) gives no gradient",
            try_=f"remove the {node.op} after the last linear layer, or bring the targets into [{low:.3g}, {high:.3g}]",
            evidence=Evidence("squared error that the range makes necessary", floor, "of the variance", 0.0, SHORT),
        )


def _transposed(case: Case, reading: Reading) -> Node | None:
    """Return a softmax over examples in place of classes: the first axis of ``[examples, classes]``.

    A square one may have been transposed on the way, as where pairs are matched both ways, and is left alone.
    """
    read = {reading.output, *(site for site in (reading.node.operand("input"),) if site is not None)}
    found = (made.node for site in read if (made := activation_before(case.graph, site)) is not None)
    return next((node for node in found if node.kind is Kind.SOFTMAX and _over_rows(case, reading, node)), None)


def _over_rows(case: Case, reading: Reading, node: Node) -> bool:
    shape = case.graph.sites[node.outputs[0]].shape
    matrix = 2  # axes of [examples, classes]
    as_it_is = shape == case.graph.sites[reading.output].shape and len(shape) == matrix
    return as_it_is and shape[0] != shape[1] and axis_of(case.graph, node)[0] == 0


def _across(case: Case, reading: Reading, node: Node) -> Finding:
    return misfit(
        case,
        reading,
        Severity.WARNING,
        got=f"a {node.op} over axis 0, the {axis_of(case.graph, node)[1]} examples",
        expected="a softmax over the classes",
        because="probabilities sum to one over the examples of a batch, so that each answer depends on the others",
        try_="torch.log_softmax(output, dim=1) before nll_loss; no softmax at all before cross_entropy",
        evidence=Evidence("axis that the softmax runs over", 0.0, "(number of the axis)", 1.0, 1.0),
    )

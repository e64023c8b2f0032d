"""Labels or indices that do not exist.

## What it does

Compares the classes of the target with the number of scores that the loss chooses from, the targets of a binary
cross-entropy with [0, 1], the dtype of a target with one number for every score, and the indices of an embedding with
the rows of its table.

## Why is this bad

PyTorch raises for a class that does not exist, on a GPU without saying where. A probability outside of [0, 1] makes a
loss without a lower end. Integers of the scores' own shape, such as one-hot classes, are refused. A batch whose labels
are all ignored has no loss at all: 0 / 0.

## How it is judged

Every finding is an error. The class that the loss ignores, -100 by default, is no label. To measure the rest of the
network, labels that do not exist were left out of the loss, and indices were moved to the end of their table.

## Example

    loss = torch.nn.functional.cross_entropy(model(x), y)      # 10 scores, classes from 1 to 10

## Fix

Count classes from 0; give the last layer one unit for every class; `ignore_index=-1` where -1 stands for none; a table
with a row for every token of the vocabulary; targets of a binary cross-entropy in [0, 1].

## References

[Goodfellow2016]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.data import DataRecord
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.diagnostics._loss import Form, Reading, readings
from justright.diagnostics.base import Case, diagnostic

__all__ = ["labels_out_of_range"]


@diagnostic("JR803", "labels-out-of-range", rank=0, predicts=True)
def labels_out_of_range(case: Case) -> Iterator[Finding]:
    """Yield a finding for every target and index tensor with values that do not exist."""
    for reading in readings(case):
        record = reading.compared(case)
        if record is None:
            continue
        if (given := _refused(case, reading)) is not None:
            yield _integers(given)
        if record.ignored and record.ignored == record.count:
            yield _ignored(record)
        elif record.integer and reading.node.op == "nll_loss":
            yield from _classes(case, reading, record)
        elif reading.form in {Form.LOGITS, Form.PROBABILITIES} and reading.node.op.startswith("binary"):
            yield from _probabilities(record)
    for node in case.graph.nodes:
        if node.op == "embedding":
            yield from _indices(case, node)


def _refused(case: Case, reading: Reading) -> DataRecord | None:
    """Return the target of integers that the loss refuses: one that had to be cast for it, by no line of the user's."""
    cast = case.graph.producer(reading.target)
    if cast is None or cast.op != "cast" or cast.source or reading.form is Form.VALUES:
        return None
    known = {record.name: record for record in case.profile.data}
    record = known.get(case.graph.sites[cast.operands[0].site].name)
    return record if record is not None and record.integer else None


def _integers(record: DataRecord) -> Finding:
    return _finding(
        record,
        got=f"integers of shape {list(record.shape)}, one for every score",
        expected="one class index for every example, or shares of classes as floating-point numbers",
        because="the loss raises for them: it was computed on their values as shares",
        try_="labels.argmax(1) for one-hot classes, or labels.float() for several classes at once",
        evidence=Evidence(
            "axes of a target of integers", float(len(record.shape)), "axes", 0.0, len(record.shape) - 1.0
        ),
    )


def _ignored(record: DataRecord) -> Finding:
    return _finding(
        record,
        got=f"all {record.count} labels are ignored",
        expected="labels to learn from",
        because="the mean over no label is 0 / 0",
        try_="look at how labels are masked: (labels != -100).sum() must not be 0",
        evidence=Evidence("ignored labels", 1.0, "share of the labels", 0.0, math.nextafter(1.0, 0.0)),
    )


def _classes(case: Case, reading: Reading, record: DataRecord) -> Iterator[Finding]:
    shape = case.graph.sites[reading.output].shape
    axis = reading.axis if reading.axis is not None else min(1, len(shape) - 1)
    classes = shape[axis]
    low, high = int(record.minimum), int(record.maximum)
    if low < 0 or high >= classes:
        wrong = sum(count for value, count in record.values if not 0 <= value < classes)
        yield _finding(
            record,
            got=f"classes from {low} to {high}" + (f", {wrong} of {record.count} out of range" if wrong else ""),
            expected=f"classes from 0 to {classes - 1}: the output has {classes} scores",
            because="there is no score for them" + ("; the labels seem to count from 1" if low == 1 else ""),
            try_=_class_fix(low, high, classes),
            evidence=Evidence("class", float(low if low < 0 else high), "index", 0.0, classes - 1.0),
        )


def _class_fix(low: int, high: int, classes: int) -> str:
    if low >= 1 and high == classes:
        return "labels = labels - 1"
    if low < 0 and high < classes:
        return f"cross_entropy(output, labels, ignore_index={low}), if {low} stands for no label"
    return f"a last layer with {high + 1} outputs, or labels below {classes}"


def _probabilities(record: DataRecord) -> Iterator[Finding]:
    if record.minimum < 0 or record.maximum > 1:
        far = record.minimum if record.minimum < 0 else record.maximum
        yield _finding(
            record,
            got=f"targets from {record.minimum:.3g} to {record.maximum:.3g} of a binary cross-entropy",
            expected="targets in [0, 1]",
            because="they are read as probabilities: for any other value the loss has no lower end",
            try_="target = (target > 0).float()" if record.minimum < 0 else "scale the target into [0, 1]",
            evidence=Evidence("target", far, "probability", 0.0, 1.0),
        )


def _indices(case: Case, node: Node) -> Iterator[Finding]:
    table, site = node.operand("weight"), node.operand("indices")
    known = {record.name: record for record in case.profile.data}
    record = known.get(case.graph.sites[case.graph.root(site)].name) if site is not None else None
    if record is None or table is None or not record.count:
        return
    rows = case.graph.sites[table].shape[0]
    low, high = int(record.minimum), int(record.maximum)
    if low < 0 or high >= rows:
        yield _finding(
            record,
            got=f"indices from {low} to {high} into {case.graph.sites[table].name}",
            expected=f"indices from 0 to {rows - 1}: the table has {rows} rows",
            because="there is no row for them",
            try_=f"nn.Embedding({high + 1}, …)" if high >= rows else "give padding an index of its own, of at least 0",
            evidence=Evidence("index", float(low if low < 0 else high), "row", 0.0, rows - 1.0),
        )


def _finding(record: DataRecord, *, got: str, expected: str, because: str, try_: str, evidence: Evidence) -> Finding:
    return Finding(
        "JR803",
        "labels-out-of-range",
        Severity.ERROR,
        where=record.name,
        got=got,
        expected=expected,
        because=because,
        try_=try_,
        evidence=(evidence,),
        sites=(record.name,),
    )

"""Inputs or targets that are all the same.

## What it does

Looks whether all examples of the batch are the same, and whether all targets are.

## Why is this bad

A network that is shown one input again and again cannot learn to tell inputs apart; one that is shown one target
learns to ignore its input. Most often the loader is at fault: an index that does not move, a file read once, data
sorted by class and not shuffled, labels lost on the way.

## How it is judged

Every input the same for all examples is an error, from two examples on, as long as the targets differ or there are
none. A single class for 16 labels or more is a warning, and so is a target of values that never changes; at 0, 1 or -1
it is a note: the target of a discriminator or of an equation's residual. Some features that are constant, such as the
corners of an image, are healthy. A batch of one example shows nothing of this.

## Example

    x = torch.stack([images[0] for i in batch])

## Fix

Look at the batch: `x.std(0)`, `y.unique()`; shuffle: `DataLoader(..., shuffle=True)`.

## References

[LeCun1998]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.data import DataRecord
from justright.core.findings import Evidence, Finding, Severity
from justright.diagnostics._data import FEW, inputs
from justright.diagnostics._loss import Reading, readings
from justright.diagnostics.base import Case, diagnostic

__all__ = ["constant_data"]

CONVENTIONAL = (0.0, 1.0, -1.0)
"""Values that a constant target has by design."""


@diagnostic("JR802", "constant-data", rank=0, predicts=True)
def constant_data(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding for inputs that are the same for all examples, and one for a target that never changes."""
    given = inputs(case)
    rows = max((record.rows for record in given), default=0)
    if rows == 1:
        yield Gap("data", "a batch of one example does not show whether examples differ")
    if rows > 1 and all(record.alike for record in given) and not _cloned(case):
        yield _same(given, rows)
    for reading in readings(case):
        record = reading.compared(case)
        if record is not None and _constant(record):
            yield _target(reading, record)


def _cloned(case: Case) -> bool:
    """Say whether the targets are the same as well: a batch made for its shape."""
    targets = [record for record in case.profile.data if record.part != "input"]
    return bool(targets) and all(record.alike for record in targets)


def _constant(record: DataRecord) -> bool:
    used = record.count - record.ignored - record.nonfinite
    return used >= FEW and record.minimum == record.maximum


def _same(given: tuple[DataRecord, ...], rows: int) -> Finding:
    flat = all(record.minimum == record.maximum for record in given)
    return Finding(
        "JR802",
        "constant-data",
        Severity.ERROR,
        where=", ".join(record.name for record in given[:2]),
        got=f"{rows} examples that are all the same" + (f", {given[0].minimum:.3g} everywhere" if flat else ""),
        expected="examples that differ",
        because="the network has nothing to tell them apart by: the best it can do is the best constant answer",
        try_="x.std(0) on the batch as it comes out of the loader; it must not be 0 everywhere",
        evidence=(Evidence("different examples", 1.0, "examples", 2.0),),
        sites=tuple(record.name for record in given),
    )


def _target(reading: Reading, record: DataRecord) -> Finding:
    meant = not record.integer and record.minimum in CONVENTIONAL
    kind = "labels of one class" if record.integer else "targets of one value"
    return Finding(
        "JR802",
        "constant-data",
        Severity.NOTE if meant else Severity.WARNING,
        where=record.name,
        got=f"{record.count - record.ignored} {kind}, {record.minimum:.4g}",
        expected="targets that differ between examples",
        because="the loss is least for a constant answer, so the network learns to ignore its input"
        + ("; this value may be meant" if meant else ""),
        try_="DataLoader(..., shuffle=True); y.unique(return_counts=True) on several batches",
        evidence=(Evidence("different values", 1.0, f"values read as {reading.form.value}", 2.0),),
        sites=(record.name,),
    )

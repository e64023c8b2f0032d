"""A parameter holds whatever was in memory: nothing has given it values.

## What it does

Reads, where the building of the model was recorded (the command records it), which parameters were made by
`torch.empty` or `torch.Tensor(n, m)` and never written to. Without that record it looks for values that no initializer
gives and no training leaves: magnitudes scattered over dozens of powers of two up to more than 1e12, which are texts,
addresses or halves of longer numbers read as floats; or nothing but subnormal numbers, which are small integers and
addresses read as floats.

## Why is this bad

Memory that was used before holds anything: zeros on one machine, 1e30 or NaN on the next. Huge values overflow in the
first forward; subnormal ones act as zeros. And a run cannot be repeated, since the seed does not decide on them.

## How it is judged

Scattered huge values in a trainable parameter are an error. A parameter that is recorded as never written to is a
warning whatever it holds. A weight that holds only subnormal numbers is an error if its gradient is as small, as that
of several such layers in a row is, and a note otherwise: one layer of zeros is healed by its own first step. Masks (one
huge magnitude) do not count, nor do zeros. A parameter that is subnormal in part may as well have decayed: it is not
judged, and that is said, and so are values that are not finite (JR401). float16, where subnormal numbers are common, is
judged by its huge values only.

## Example

    self.position = torch.nn.Parameter(torch.empty(1, 128, 512))     # and no torch.nn.init after it

## Fix

`torch.nn.init.normal_(self.position, std=0.02)` after creating it, or `torch.zeros` in place of `torch.empty`.

## References

[Goldberg1991], [Kingma2015]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import NEVER_FILLED
from justright.core.profile import ParameterRecord, TensorStatistics
from justright.diagnostics.base import Case, diagnostic

__all__ = ["never_initialized"]

HUGE = 40
"""Binary exponent: 2**40 = 1.1e12, beyond the largest weight and the largest mask value (1e9) that networks use."""

KINDS = 3
"""Different exponents among huge values from which on they are no masks, which have one or two values."""

NEAR = 6
"""Binades below the largest magnitude that hold nearly all of what is drawn: 94 % of a million normal numbers."""

SUBNORMAL = {"float32": -126, "bfloat16": -126, "float64": -126}
"""Exponent below which a number is subnormal in float32; in float64 nothing drawn is so small either."""

EPSILON = 1e-16
"""Gradient that moves nothing: 1e-8, where Adam's steps begin to shrink (Kingma 2015), and as much again."""

FEWEST = 16
"""Values below which nothing is said about how they are spread."""


@diagnostic("JR306", "never-initialized", rank=0, predicts=True)
def never_initialized(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding for every way in which parameters show that nothing gave them values."""
    given = [record for record in case.profile.parameters if record.trainable]
    wild = [record for record in given if _scattered(record.value)]
    if wild:
        yield _wild(wild)
    unwritten = [record for record in given if _unwritten(case, record) and record not in wild]
    if unwritten:
        yield _never_written(case, unwritten)
    rest = [record for record in given if record not in wild and record not in unwritten]
    small = [record for record in rest if _weight(case, record) and _subnormal(case, record) == 1.0]
    if small:
        yield _addresses(small)
    unsure = [record for record in rest if 0.0 < _subnormal(case, record) < 1.0]
    if unsure:
        reason = "some of its values are subnormal: never written, or decayed in an earlier training"
        yield Gap("never initialized parameters", reason, len(unsure), unsure[0].name)


def _scattered(value: TensorStatistics) -> bool:
    """Say whether magnitudes are spread over many powers of two, up to huge ones."""
    total = sum(count for _, count in value.histogram)
    huge = sum(exponent >= HUGE for exponent, _ in value.histogram)
    return total >= FEWEST and huge >= KINDS and _near(value) < 0.5 * total


def _near(value: TensorStatistics) -> int:
    """Count the elements within a few binades of the largest."""
    top = value.histogram[-1][0]
    return sum(count for exponent, count in value.histogram if exponent > top - NEAR)


def _unwritten(case: Case, record: ParameterRecord) -> bool:
    parameter = case.graph.parameter_sites[case.graph.by_name[record.name].index]
    return parameter.initializer is not None and parameter.initializer.name == NEVER_FILLED


def _weight(case: Case, record: ParameterRecord) -> bool:
    return len(case.graph.by_name[record.name].shape) > 1


def _subnormal(case: Case, record: ParameterRecord) -> float:
    """Share of the nonzero values that are subnormal; 0 where there are too few, or in narrower formats."""
    below = SUBNORMAL.get(case.graph.by_name[record.name].dtype)
    total = sum(count for _, count in record.value.histogram)
    if below is None or total < FEWEST:
        return 0.0
    return sum(count for exponent, count in record.value.histogram if exponent < below) / total


def _stuck(record: ParameterRecord) -> bool:
    """Say whether no step would bring the parameter back: Adam divides by the gradient's size plus 1e-8."""
    return record.gradient is None or not record.gradient.absmax > EPSILON


def _names(records: list[ParameterRecord]) -> tuple[str, ...]:
    return tuple(record.name for record in records)


def _where(records: list[ParameterRecord]) -> str:
    return records[0].name + (f" and {len(records) - 1} more" if len(records) > 1 else "")


def _try(name: str) -> str:
    return f"torch.nn.init.normal_(model.get_parameter({name!r}), std=0.02)"


def _wild(records: list[ParameterRecord]) -> Finding:
    value = records[0].value
    share = _near(value) / sum(count for _, count in value.histogram)
    return Finding(
        "JR306",
        "never-initialized",
        Severity.ERROR,
        where=_where(records),
        got=f"magnitudes from {value.min_nonzero:.2g} to {value.absmax:.2g}, only {share:.0%} of them within a factor "
        f"of {2**NEAR} of the largest",
        expected="values drawn at one scale",
        because="text, addresses or halves of longer numbers look like this when they are read as floats: the memory "
        "was taken as it was (torch.empty, torch.Tensor(n, m)) and never written to",
        try_=_try(records[0].name),
        evidence=(
            Evidence("largest magnitude", value.absmax, "absolute value", None, 2.0**HUGE),
            Evidence("elements near the largest one", share, "share of the nonzero elements", 0.5, None),
        ),
        sites=_names(records),
    )


def _never_written(case: Case, records: list[ParameterRecord]) -> Finding:
    parameter = case.graph.parameter_sites[case.graph.by_name[records[0].name].index]
    line = parameter.initializer.source if parameter.initializer else ""
    return Finding(
        "JR306",
        "never-initialized",
        Severity.WARNING,
        where=_where(records) + (f" ({line})" if line else ""),
        got="made without values, and no operation has written to it since",
        expected="every parameter filled by an initializer",
        because="its values are what was in memory before, and another run gets others (this time: magnitudes up to "
        f"{records[0].value.absmax:.2g}, {records[0].value.zeros:.0%} zeros)",
        try_=_try(records[0].name),
        evidence=(Evidence("parameters never written to", float(len(records)), "parameters", None, 0.0),),
        sites=_names(records),
    )


def _addresses(records: list[ParameterRecord]) -> Finding:
    value = records[0].value
    return Finding(
        "JR306",
        "never-initialized",
        Severity.ERROR if any(_stuck(record) for record in records) else Severity.NOTE,
        where=_where(records),
        got=f"no value above {value.absmax:.2g}: all that is not zero is subnormal",
        expected="values drawn at a usual scale, or exact zeros",
        because="small integers and addresses look like this when they are read as floats; the weights act as zeros, "
        "and several such layers in a row give each other no gradient",
        try_=_try(records[0].name),
        evidence=(Evidence("subnormal values", 1.0, "share of the nonzero elements", None, 0.5),),
        sites=_names(records),
    )

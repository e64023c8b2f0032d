"""Units are off for every example: they give nothing and learn nothing.

## What it does

For every elementwise nonlinearity that has an off side (ReLU and its kin: output and slope both zero or nearly so), found
from the function itself, counts the units that are there for the whole batch.

## Why is this bad

A dead unit contributes nothing and its incoming weights get no gradient, so no step brings it back. If a whole layer is
dead, nothing before it learns.

## How it is judged

All units of a layer dead is an error, more than 90 % a warning. Less is normal: in a deep ReLU network whose inputs have
become alike, half of the units are off for all of them by chance alone. Fewer than 16 elements a unit are not judged, and
that is said.

## Example

    torch.nn.init.constant_(layer.bias, -10.0)

## Fix

Zero biases, weights of variance 2/fan_in, centred inputs, a smaller step size; or a nonlinearity without an off side
(LeakyReLU, ELU).

## References

[He2015], [Lu2019]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import SiteRecord
from justright.diagnostics._units import gates
from justright.diagnostics.base import Case, diagnostic

__all__ = ["dead_units"]

WARNING = 0.9
"""Share of a layer's units. Chance alone gives up to one half when all inputs have become alike (correlation 1)."""

FEWEST = 16
"""Elements a unit below which being off for all of them is likely by chance (2**-16 for independent ones)."""


@diagnostic("JR202", "dead-units")
def dead_units(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for all nonlinearities whose units are mostly dead, the worst first."""
    judged, unsure = [], []
    for record in case.profile.sites:
        if record.units and record.units.units and record.units.dead > WARNING * record.units.units:
            (judged if _elements(record) >= FEWEST else unsure).append(record)
    if unsure:
        yield Gap("dead units", f"fewer than {FEWEST} elements a unit in this batch", len(unsure), unsure[0].name)
    gated = gates(case.graph)
    found = sorted(judged, key=_share, reverse=True)
    if found:
        yield _finding(case, found, gate=case.graph.by_name[found[0].name].index in gated)


def _elements(record: SiteRecord) -> int:
    return math.prod(record.shape) // record.units.units if record.units else 0


def _share(record: SiteRecord) -> float:
    return record.units.dead / record.units.units if record.units else 0.0


def _finding(case: Case, found: list[SiteRecord], *, gate: bool) -> Finding:
    worst = found[0]
    mean = worst.forward.mean if worst.forward else math.nan
    std = worst.forward.std if worst.forward else math.nan
    severity = Severity.ERROR if _share(worst) == 1.0 and not gate else Severity.WARNING
    return Finding(
        "JR202",
        "dead-units",
        severity,
        where=case.place(case.graph.by_name[worst.name].index)
        + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
        got=f"{worst.units.dead if worst.units else 0} of {worst.units.units if worst.units else 0} units off for the "
        "whole batch",
        expected=f"at most {WARNING:.0%} of the units",
        because=f"the input of {worst.units.function if worst.units else 'the nonlinearity'} has mean {mean:.3g} and "
        f"standard deviation {std:.3g}: it lies on the off side",
        try_="torch.nn.init.zeros_(layer.bias) and torch.nn.init.kaiming_normal_(layer.weight) for the layer before it",
        evidence=(Evidence("dead units", _share(worst), "share of the layer's units", 0.0, WARNING),),
        sites=tuple(record.name for record in found),
    )

"""Units sit on a flat part of their nonlinearity, where no gradient comes through.

## What it does

For every elementwise nonlinearity, whatever it is (sigmoid, tanh, GELU, a formula of your own), finds from its derivative
where it is flat: slope below 5 % of its steepest. Then counts the units that are there for 95 % of the batch or more.

## Why is this bad

A saturated unit gives the same output for every input and hands back almost no gradient. If a whole layer is saturated,
the layers before it stop learning, and the layer itself can only leave the flat part by chance.

## How it is judged

More than half of the units of one layer saturated is a warning, 95 % an error. Gates (nonlinearities whose output
multiplies another signal, as in an LSTM or a gated unit) are meant to close or stay open and give a note at most.
Units that are off altogether, as a ReLU's, are JR202.

## Example

    torch.nn.init.normal_(layer.weight)       # standard deviation 1 into tanh: preactivations of size sqrt(fan_in)

## Fix

Weights of variance 1/fan_in, inputs of unit scale, biases near zero; or a normalization before the nonlinearity.

## References

[Glorot2010]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import SiteRecord
from justright.diagnostics._units import gates
from justright.diagnostics.base import Case, diagnostic

__all__ = ["saturated_units"]

WARNING, ERROR = 0.5, 0.95
"""Share of a layer's units: half of it is idle; all but a rest that chance leaves (as `saturated_share` of a unit)."""


@diagnostic("JR201", "saturated-units")
def saturated_units(case: Case) -> Iterator[Finding]:
    """Yield one finding for all nonlinearities whose units are mostly saturated, the worst first."""
    hit = [
        (record.units.saturated / record.units.units, record)
        for record in case.profile.sites
        if record.units and record.units.units and record.units.saturated > WARNING * record.units.units
    ]
    gated = gates(case.graph)
    for gate in (False, True):
        found = sorted(
            (each for each in hit if (case.graph.by_name[each[1].name].index in gated) is gate),
            key=lambda each: -each[0],
        )
        if found:
            yield _finding(case, found, gate=gate)


def _finding(case: Case, found: list[tuple[float, SiteRecord]], *, gate: bool) -> Finding:
    share, worst = found[0]
    units = worst.units
    severity = Severity.NOTE if gate else Severity.ERROR if share >= ERROR else Severity.WARNING
    return Finding(
        "JR201",
        "saturated-units",
        severity,
        where=case.place(case.graph.by_name[worst.name].index)
        + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
        got=f"{units.saturated if units else 0} of {units.units if units else 0} units on a flat part of "
        f"{units.function if units else ''}",
        expected=f"at most {WARNING:.0%} of the units",
        because=(
            "these are gates, which may be meant to stay open or closed"
            if gate
            else f"the input of the nonlinearity has RMS {worst.forward.rms if worst.forward else 0.0:.3g}, "
            "far out on its flat parts"
        ),
        try_=(
            "check the gate's bias against what is meant"
            if gate
            else "draw the weights before it with variance 1/fan_in: torch.nn.init.xavier_normal_(layer.weight), and give "
            "inputs of unit scale"
        ),
        evidence=(Evidence("saturated units", share, "share of the layer's units", 0.0, WARNING),),
        sites=tuple(record.name for _, record in found),
    )

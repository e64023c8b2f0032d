"""Units are off for every example: they give nothing and learn nothing.

## What it does

For every elementwise nonlinearity that has an off side (ReLU and its kin: output and slope both zero or nearly so),
found from the function itself, counts the units that are there for the whole batch.

## Why is this bad

A dead unit contributes nothing and its incoming weights get no gradient, so no step brings it back. If a whole layer
is dead, nothing before it learns.

## How it is judged

All units of a layer dead is an error if no weight before it has another way to the loss. More than 90 % dead, or a
dead layer on a side branch, is a warning; a note if chance explains it: in a network whose inputs have become alike,
half of the units are off for all of them, and so now and then are all eight units of a small branch. Less is normal.
Gates (nonlinearities whose output multiplies another signal) that are nearly closed, but not exactly, give a note.
Fewer than 16 elements a unit are not judged, and that is said. Units behind which no weight follows are judged only
if everything passes through them; where they make probabilities, it is JR702's matter.

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
from dataclasses import dataclass

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import SiteRecord, UnitStatistics
from justright.diagnostics._loss import clipped
from justright.diagnostics._units import FEWEST, feeding, gates, judged, severed
from justright.diagnostics.base import Case, diagnostic

__all__ = ["dead_units"]

WARNING = 0.9
"""Share of a layer's units. Chance alone gives up to one half when all inputs have become alike (correlation 1)."""

CHANCE = 1e-5
"""Probability below which fair coins do not explain so many dead units: once in a thousand networks of 100 layers."""


@dataclass(frozen=True)
class _Place:
    """A nonlinearity with nearly all of its units off."""

    record: SiteRecord
    units: UnitStatistics
    severity: Severity

    @property
    def share(self) -> float:
        return self.units.dead / self.units.units


@diagnostic("JR202", "dead-units", rank=3, causes=("JR801", "JR802", "JR306", "JR304"))
def dead_units(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for all nonlinearities whose units are mostly dead, the worst first."""
    hit = [each for each in judged(case) if each[1].dead > WARNING * each[1].units]
    unsure = [record for record, _, elements in hit if elements < FEWEST]
    if unsure:
        yield Gap("dead units", f"fewer than {FEWEST} elements a unit in this batch", len(unsure), unsure[0].name)
    places = list(_places(case, [(record, units) for record, units, elements in hit if elements >= FEWEST]))
    if places:
        yield _finding(case, sorted(places, key=lambda place: (-place.severity, -place.share)))


def _places(case: Case, hit: list[tuple[SiteRecord, UnitStatistics]]) -> Iterator[_Place]:
    edges = clipped(case) if hit else {}
    sites = {record.name: case.graph.by_name[record.name].index for record, _ in hit}
    hit = [(record, units) for record, units in hit if sites[record.name] not in edges]
    whole = [sites[record.name] for record, units in hit if units.dead == units.units]
    blocking = bool(whole) and severed(case.graph, whole)
    hidden, gated = (feeding(case), gates(case.graph)) if hit else (frozenset(), frozenset())
    for record, units in hit:
        site = sites[record.name]
        if blocking and site in whole:
            yield _Place(record, units, Severity.ERROR)
        elif site in hidden:
            harmless = _by_chance(units) or (site in gated and not _exactly_off(case, site))
            yield _Place(record, units, Severity.NOTE if harmless else Severity.WARNING)


def _by_chance(units: UnitStatistics) -> bool:
    """Say whether as many units as these are off with a fair coin each."""
    ways = sum(math.comb(units.units, count) for count in range(units.dead, units.units + 1))
    return math.log(ways) - units.units * math.log(2.0) > math.log(CHANCE)


def _exactly_off(case: Case, site: int) -> bool:
    """Say whether the function gives zero where it is off, as a ReLU does and a softplus does not."""
    outputs = [output for index in case.graph.consumers[site] for output in case.graph.nodes[index].outputs]
    values = [record.forward for output in outputs if (record := case.record(output)) and record.forward]
    return any(value.zeros > WARNING for value in values)


def _finding(case: Case, found: list[_Place]) -> Finding:
    worst = found[0]
    forward = worst.record.forward
    mean, std = (forward.mean, forward.std) if forward else (math.nan, math.nan)
    return Finding(
        "JR202",
        "dead-units",
        worst.severity,
        where=case.place(case.graph.by_name[worst.record.name].index)
        + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
        got=f"{worst.units.dead} of {worst.units.units} units off for the whole batch"
        + ("; no weight before them has another way to the loss" if worst.severity is Severity.ERROR else ""),
        expected=f"at most {WARNING:.0%} of the units",
        because=f"the input of {worst.units.function} has mean {mean:.3g} and standard deviation {std:.3g}: it lies on "
        "the off side",
        try_="torch.nn.init.zeros_(layer.bias) and torch.nn.init.kaiming_normal_(layer.weight) for the layer before it",
        evidence=(Evidence("dead units", worst.share, "share of the layer's units", 0.0, WARNING),),
        sites=tuple(place.record.name for place in found),
    )

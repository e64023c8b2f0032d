"""Units sit on a flat part of their nonlinearity, where no gradient comes through.

## What it does

For every elementwise nonlinearity, whatever it is (sigmoid, tanh, GELU, a formula of your own), finds from its
derivative where it is flat: slope below 5 % of its steepest. Then counts the units that are there for 95 % of the
batch or more.

## Why is this bad

A saturated unit gives the same output for every input and hands back almost no gradient. If a whole layer is
saturated, the layers before it stop learning, and the layer itself can only leave the flat part by chance.

## How it is judged

More than half of the units of one layer saturated is a warning, 95 % an error. If gradients explode as well, three
quarters of all elements on flat parts in the typical layer are enough, with the severity of that explosion: weights
so large make bounded units step functions, and it is the steps between them that gradients explode on. A shallow
network trains even so. Gates (nonlinearities whose output multiplies another signal, as in an LSTM or a gated unit)
are meant to close or stay open and give a note at most. An output unit may be as sure as it likes, unless the loss no
longer answers to it. Units that are off altogether, as a ReLU's, are JR202. Fewer than 16 elements a unit are not
judged.

## Example

    torch.nn.init.normal_(layer.weight, std=10.0)   # into tanh: preactivations of size 10 * sqrt(fan_in)

## Fix

Weights of variance 1/fan_in, inputs of unit scale, biases near zero; or a normalization before the nonlinearity.

## References

[Glorot2010]
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import SiteRecord, UnitStatistics
from justright.diagnostics._chaos import exploding, severity_of
from justright.diagnostics._units import FEWEST, feeding, gates, judged
from justright.diagnostics.base import Case, diagnostic

__all__ = ["saturated_units"]

WARNING, ERROR = 0.5, 0.95
"""Share of a layer's units: half of it is idle; all but a rest that chance leaves (as `saturated_share` of a unit)."""

STEPS = 0.75
"""Share of elements on flat parts: P(|x| > 2.18) for Gaussian x of RMS 6.8, where tanh is a sign with a narrow ramp."""

ANSWER = 0.05
"""Share of the loss by which it changes to first order if every output moves by one: as flat as a unit may be."""

Hit = tuple[SiteRecord, UnitStatistics]


@diagnostic("JR201", "saturated-units", rank=5, causes=("JR801", "JR304", "JR306", "JR102"))
def saturated_units(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for all nonlinearities whose units are mostly saturated, the worst first."""
    hidden, gated = feeding(case), gates(case.graph)
    places = [each for each in judged(case) if _matters(case, each[0], hidden)]
    hit = [each for each in places if each[1].saturated > WARNING * each[1].units]
    unsure = [record for record, _, elements in hit if elements < FEWEST]
    if unsure:
        yield Gap("saturated units", f"fewer than {FEWEST} elements a unit in this batch", len(unsure), unsure[0].name)
    is_gate = {record.name: case.graph.by_name[record.name].index in gated for record, *_ in places}
    found = sorted(((record, units) for record, units, elements in hit if elements >= FEWEST), key=_share, reverse=True)
    units = [each for each in found if not is_gate[each[0].name]]
    steps = (
        severity_of(case, exploding(case)) if _steep([each for each in places if not is_gate[each[0].name]]) else None
    )
    if units:
        yield _finding(case, units, max(_severity(units[0]), steps or Severity.NOTE))
    elif steps is not None:
        yield _steps(case, [each for each in places if not is_gate[each[0].name]], steps)
    closed = [each for each in found if is_gate[each[0].name]]
    if closed:
        yield _finding(case, closed, Severity.NOTE)


def _matters(case: Case, record: SiteRecord, hidden: frozenset[int]) -> bool:
    """Say whether a weight follows, or else the loss hardly changes with these units."""
    if case.graph.by_name[record.name].index in hidden:
        return True
    gradient, loss = record.gradient, case.profile.loss
    return gradient is not None and loss > 0 and gradient.rms * gradient.count < ANSWER * loss


def _share(hit: Hit) -> float:
    return hit[1].saturated / hit[1].units


def _severity(hit: Hit) -> Severity:
    return Severity.ERROR if _share(hit) >= ERROR else Severity.WARNING


def _steep(places: list[tuple[SiteRecord, UnitStatistics, int]]) -> bool:
    """Say whether the typical layer is so steep that most elements lie on flat parts."""
    # Where units are off, as a ReLU's, they are not saturated: those layers do not count.
    shares = [units.share for _, units, _ in places if not units.dead]
    return bool(shares) and median(shares) > STEPS


def _finding(case: Case, found: list[Hit], severity: Severity) -> Finding:
    worst, units = found[0]
    gate = severity is Severity.NOTE
    rms = worst.forward.rms if worst.forward else 0.0
    return Finding(
        "JR201",
        "saturated-units",
        severity,
        where=_where(case, worst, len(found)),
        got=f"{units.saturated} of {units.units} units on a flat part of {units.function}",
        expected=f"at most {WARNING:.0%} of the units",
        because="these are gates, which may be meant to stay open or closed"
        if gate
        else f"the input of the nonlinearity has RMS {rms:.3g}, far out on its flat parts",
        try_="check the gate's bias against what is meant" if gate else _remedy(),
        evidence=(Evidence("saturated units", _share(found[0]), "share of the layer's units", 0.0, WARNING),),
        sites=tuple(record.name for record, _ in found),
    )


def _steps(case: Case, places: list[tuple[SiteRecord, UnitStatistics, int]], severity: Severity) -> Finding:
    worst, units, _ = max(places, key=lambda place: place[1].share)
    return Finding(
        "JR201",
        "saturated-units",
        severity,
        where=_where(case, worst, len(places)),
        got=f"{units.share:.0%} of all elements on a flat part of {units.function}, while gradients explode",
        expected=f"at most {STEPS:.0%} of the elements in a network as deep as this",
        because=f"the input of the nonlinearity has RMS {worst.forward.rms if worst.forward else 0.0:.3g}: for weights "
        "so large it is a step function, flat with a steep ramp",
        try_=_remedy(),
        evidence=(Evidence("elements on flat parts", units.share, "share of the layer's elements", 0.0, STEPS),),
        sites=tuple(record.name for record, *_ in places),
    )


def _where(case: Case, worst: SiteRecord, count: int) -> str:
    return case.place(case.graph.by_name[worst.name].index) + (f" and {count - 1} more" if count > 1 else "")


def _remedy() -> str:
    return (
        "draw the weights before it with variance 1/fan_in: torch.nn.init.xavier_normal_(layer.weight), with zero "
        "biases, and give inputs of unit scale"
    )

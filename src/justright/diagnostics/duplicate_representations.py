"""Units say the same although their weights differ, heads say the same of every token, or a router leaves experts out.

## What it does

Compares the units of every signal that weights read, as functions of the input over the batch, and their gradients;
counts the heads of attention whose output is one and the same for every token and example; and counts which experts
the scores of a router choose.

## Why is this bad

Units, heads or channels that are copies for every input, and whose gradients are copies too, learn the same thing: a
layer of 256 of them has the power of a few. Differences of rounding alone take many steps to grow. Experts that get no
token get no gradient and no way to ask for one: the chosen ones improve, and are chosen all the more. A dead head takes
its share of the width and of the time, and gives a constant.

## How it is judged

Two units are copies if they differ by less than a thousandth of their variation over the batch, and their gradients
too. A layer with fewer than half as many different units as units is a warning; exactly equal weights are JR301's,
which is then the cause. Copies whose gradients differ part with the first step and stay silent, and so do units that
do not vary (JR202). Experts are judged from 16 tokens an expert on: if all tokens go to the same ones it is a warning,
if more than half of the experts get none a note. The verdict does not depend on the optimizer, though Adam, which
enlarges small differences, tells copies apart earlier. A head is dead if none of its units varies over the batch, or
if no gradient comes to any of them, beside siblings that are alive: heads that all start at zero are an initialization
that is meant. Dead heads are a warning if in most layers of attention they are more than half, and no gradient comes to
their values either, as behind a mask that was left on; else, as where the first steps bring them back, a note.

## Example

    torch.nn.init.normal_(layer.weight, mean=0.1, std=1e-7)  # in every layer

## Fix

Weights with mean zero; routers with small weights, no bias, and a loss that balances the load.

## References

[Goodfellow2016], section 8.4; [Fedus2022]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.information import RelationStatistics, RoutingStatistics
from justright.core.profile import SiteRecord
from justright.diagnostics._heads import Heads, heads_of
from justright.diagnostics._information import compared, unknown
from justright.diagnostics.base import Case, diagnostic

__all__ = ["duplicate_representations"]

DIFFERENT = 0.5
"""Share of different units: below it a layer has lost more than half of what it was built for."""

MOST = 0.5
"""Share of the layers of attention with dead heads that makes it a matter of the whole network."""

FEWEST = 8
"""Units below which half of them being copies may be meant."""

TOKENS = 16
"""Tokens an expert, with which a fair one of them gets none with probability e**-16."""


@diagnostic("JR604", "duplicate-representations", rank=7, causes=("JR301", "JR305", "JR306"))
def duplicate_representations(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for layers of copies, one for dead heads, and one for routers that leave experts out."""
    gap = unknown(case, "copies among units")
    if gap:
        yield gap
    copied = [(record, relation) for _, record, relation in compared(case) if _copied(relation)]
    if copied:
        yield _copies(case, sorted(copied, key=lambda pair: pair[1].distinct / pair[1].varying))
    yield from _heads(case, list(heads_of(case)))
    routed = [(record, record.routing) for record in case.profile.sites if record.routing]
    few = [record for record, routing in routed if not _enough(routing)]
    if few:
        yield Gap("routing", f"fewer than {TOKENS} tokens an expert in this batch", len(few), few[0].name)
    idle = [(record, routing) for record, routing in routed if _enough(routing) and _idle(routing) > DIFFERENT]
    if idle:
        yield _experts(case, sorted(idle, key=lambda pair: -_idle(pair[1])))


def _copied(relation: RelationStatistics) -> bool:
    if relation.varying < FEWEST or relation.distinct >= DIFFERENT * relation.varying:
        return False
    return 0 < relation.gradient_distinct < DIFFERENT * relation.gradient_varying


def _enough(routing: RoutingStatistics) -> bool:
    return routing.tokens * routing.chosen >= TOKENS * len(routing.load)


def _idle(routing: RoutingStatistics) -> float:
    return 1.0 - routing.used / len(routing.load)


def _copies(case: Case, found: list[tuple[SiteRecord, RelationStatistics]]) -> Finding:
    worst = found[0][1]
    return Finding(
        "JR604",
        "duplicate-representations",
        Severity.WARNING,
        where=_where(case, [each for each, _ in found]),
        got=f"{worst.distinct} different ones among {worst.varying} units compared; their gradients are copies too",
        expected=f"at least {DIFFERENT:.0%} different ones",
        because="the weights that make these units, and those that read them, differ by too little to tell the units "
        "apart; steps as equal as these keep them so",
        try_="torch.nn.init.kaiming_normal_(layer.weight) for the layers before and behind it",
        evidence=(
            Evidence("different units", worst.distinct / worst.varying, "share of the units compared", DIFFERENT, 1.0),
        ),
        sites=tuple(each.name for each, _ in found),
    )


def _lost(found: Heads) -> bool:
    return found.lasting and found.constant > DIFFERENT * found.heads


def _heads(case: Case, layers: list[Heads]) -> Iterator[Finding]:
    """Judge dead heads; a few layers of them beside others are what pruning leaves."""
    found = sorted((each for each in layers if each.dead), key=lambda each: (-_lost(each), -each.dead / each.heads))
    if found:
        most = sum(map(_lost, layers)) > MOST * len(layers)
        yield _dead(case, found, Severity.WARNING if most else Severity.NOTE)


def _dead(case: Case, found: list[Heads], severity: Severity) -> Finding:
    worst = found[0]
    kind = (
        "give the same for every token of every example" if worst.constant else "get no gradient from what reads them"
    )
    return Finding(
        "JR604",
        "duplicate-representations",
        severity,
        where=_where(case, [each.record for each in found]),
        got=f"{worst.dead} of {worst.heads} heads {kind}, while the others are alive",
        expected="heads that differ between tokens, all of them",
        because="no gradient comes to their values, and no optimizer moves them"
        if worst.lasting
        else "their values, or their part of the output projection, are zero or constant; where a gradient comes to "
        "these, the first steps bring them back",
        try_="initialize the projections of all heads alike, and take the mask off the heads",
        evidence=(Evidence("dead heads", worst.dead / worst.heads, "share of the heads", 0.0, 0.0),),
        sites=tuple(each.record.name for each in found),
    )


def _experts(case: Case, found: list[tuple[SiteRecord, RoutingStatistics]]) -> Finding:
    worst = found[0][1]
    alone = worst.used == worst.chosen
    return Finding(
        "JR604",
        "duplicate-representations",
        Severity.WARNING if alone else Severity.NOTE,
        where=_where(case, [each for each, _ in found]),
        got=f"{worst.used} of {len(worst.load)} experts get all of {worst.tokens} tokens, {worst.chosen} a token",
        expected=f"at least {DIFFERENT:.0%} of the experts in use",
        because="the router's scores differ more between experts than between tokens; experts without a token get no "
        "gradient, and no optimizer moves them",
        try_="give the router weights of standard deviation 0.02 and no bias, and add a load-balancing loss",
        evidence=(Evidence("experts without a token", _idle(worst), "share of the experts", 0.0, DIFFERENT),),
        sites=tuple(each.name for each, _ in found),
    )


def _where(case: Case, found: list[SiteRecord]) -> str:
    place = case.place(case.graph.by_name[found[0].name].index)
    return place + (f" and {len(found) - 1} more" if len(found) > 1 else "")

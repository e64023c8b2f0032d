"""The positions of an example become one vector, or all examples come to lie on a line.

## What it does

Wherever weights read a signal, measures how far the positions of one example deviate from their mean, and how much of
the deviations of examples from each other lies outside the two directions that hold the most of it.

## Why is this bad

Attention averages. Without a residual connection beside it the positions of a sequence become equal doubly
exponentially with depth, queries and keys get no gradient, and a model that must answer for each position gives the
same answer to all. Weights that share a sign do the like to features: each layer keeps the mean of what it reads, and
little else. The sizes of signal and gradient show nothing of it.

## How it is judged

Only sites that lie, together, on every way from the input to the loss count. Positions are judged behind attention;
beside the input, a loss of their deviations of more than 9.2 nats (a factor of 1e4) is a warning, of more than 6 nats a
note; nothing above rounding left is an error if an answer is asked for each position, else a warning. For features the
third singular value of the deviations, over the largest, is judged by the same limits; where the signal has grown since
the input, its growth is taken off, since one direction that grows takes nothing from the others; and the loss must go
on from layer to layer, since a single layer that reads everything can learn to keep it. A network with a bottleneck of
one or two features has that rank by design and is not judged. Neither depends on the optimizer: Adam rescales gradients
and brings no direction back.

## Example

    blocks = [torch.nn.TransformerEncoderLayer(64, 4, batch_first=True).self_attn for _ in range(12)]
    for block in blocks:
        x = block(x, x, x)[0]  # and not x + block(x, x, x)[0]

## Fix

`x = x + attention(x)`; weights with mean zero.

## References

[Dong2021], [Noci2022]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Role
from justright.core.information import RelationStatistics
from justright.core.profile import SiteRecord
from justright.diagnostics._information import EPSILON, Lost, alike, compared, lost, separated, starts, unknown
from justright.diagnostics._shrinking import GRADIENT
from justright.diagnostics._units import feeding
from justright.diagnostics.base import Case, diagnostic

__all__ = ["rank_collapse"]

DIRECTIONS = 2
"""Directions that are left when the third is lost."""

EXAMPLES = 8
"""Examples below which a rank says little of the network: eight have at most seven directions."""

POSITIONS = "positions of an example"
FEATURES = "directions of the features"


@diagnostic(
    "JR602",
    "rank-collapse",
    rank=12,
    causes=("JR802", "JR801", "JR306", "JR301", "JR305", "JR304", "JR202", "JR201", "JR101", "JR604", "JR103", "JR601"),
)
def rank_collapse(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding for positions that become equal, and else one for features that come to lie on a line."""
    gap = unknown(case, "rank of the signal")
    if gap:
        yield gap
    found = _positions(case)
    if found:
        yield _finding(
            case, found, POSITIONS, "attention averages over positions, with no residual connection beside it"
        )
        return
    found = _features(case)
    if found:
        reason = "weights that share a sign or a pattern keep one combination of what they read and shrink all others"
        yield _finding(case, found, FEATURES, reason)


def _positions(case: Case) -> Lost | None:
    """Loss of the differences between positions, behind attention."""
    attended = [case.graph.by_name[record.name].index for record in case.profile.sites if record.attention]
    spreads = [each.relation.position_spread for each in starts(case) if each.relation]
    start = max((each for each in spreads if not math.isnan(each)), default=0.0)
    if not attended or not start > 0:
        return None

    def spread(record: SiteRecord, relation: RelationStatistics) -> float:
        behind = case.graph.by_name[record.name].index > attended[0]
        return relation.position_spread if behind else math.nan

    found = lost(case, start, spread, lambda *each: spread(*each) < EPSILON.get(each[0].dtype, 0.0))
    asked = found and compared(case)[-1][2].positions > 1
    return replace(found, severity=min(found.severity, Severity.WARNING)) if found and not asked else found


def _features(case: Case) -> Lost | None:
    """Loss of the third direction in which examples differ, unless the network is that narrow by design."""
    first = [record for record in starts(case) if not math.isnan(_third(record))]
    start = max((_third(record) for record in first), default=0.0)
    if alike(case) or not start > 0 or _narrow(case):
        return None
    size = max(record.forward.rms for record in first if record.forward)

    def third(record: SiteRecord, relation: RelationStatistics) -> float:
        growth = record.forward.rms / size if record.forward else 1.0
        return relation.third * max(growth, 1.0) if relation.examples >= EXAMPLES else math.nan

    return lost(case, start, third, lambda *each: third(*each) < EPSILON.get(each[0].dtype, 0.0), steadily=True)


def _third(record: SiteRecord) -> float:
    return record.relation.third if record.relation else math.nan


def _narrow(case: Case) -> bool:
    """Say whether everything passes through one or two features of each example."""
    examples = next((site.shape[0] for site in case.graph.sites if site.role is Role.INPUT and site.shape), 1)
    fed = feeding(case)
    most = DIRECTIONS * examples
    return separated(
        case, [site.index for site in case.graph.floating_sites() if site.index in fed and site.size <= most]
    )


def _finding(case: Case, found: Lost, what: str, reason: str) -> Finding:
    bound = found.start * math.exp(-GRADIENT.note)
    positions = what is POSITIONS
    quantity = "relative deviation of positions" if positions else "third singular value of the deviations"
    unit = "share of the signal's RMS" if positions else "share of the largest"
    return Finding(
        "JR602",
        "rank-collapse",
        found.severity,
        where=case.place(case.graph.by_name[found.record.name].index),
        got=f"{quantity}: {found.value:.2g} ({unit}), where the network starts {found.start:.2g}: the {what} are lost",
        expected=f"{bound:.2g} at least",
        because=f"{reason}; everything that the loss learns of the input goes through here. This does not depend on "
        "the optimizer",
        try_="x = x + attention(x) for every attention"
        if positions
        else "torch.nn.init.kaiming_normal_(layer.weight) for every layer before it: weights with mean zero",
        evidence=(Evidence(quantity, found.value, unit, bound, None),),
        sites=(found.record.name,),
    )

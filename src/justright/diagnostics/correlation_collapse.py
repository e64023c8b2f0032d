"""Different inputs become indistinguishable on their way, and no optimizer brings back what told them apart.

## What it does

Compares the examples of the batch wherever weights read a signal: how far they deviate from their mean, relative to the
size of the signal, beside how far they do so at the input.

## Why is this bad

In the ordered phase the correlation of any two inputs goes to 1 exponentially, by a factor of e in every depth scale
xi; what averages over examples (attention along the batch axis, many rounds over the nodes of a graph) does the same.
The gradient's size may well survive. But its parts that differ between examples do not, so that the network learns only
how common each answer is. Adam rescales gradients and rescues a small one; it does not rescue lost information.

## How it is judged

Only sites that lie, together, on every way from the input to the loss count: a residual connection is a way around. An
error if what is left of the differences is below the rounding of the dtype, in the signal as a whole and in nine tenths
of its features. A loss of more than 9.2 nats (a factor of 1e4) is a warning, one of more than 6 nats a note, if the
loss goes on from layer to layer and no later site shows the differences again, as batch normalization does. A
correlation of 0.99 is normal: deep ReLU networks under He's initialization have it and train. A gradient that vanishes
(JR103) takes the differences along, since both go through the same Jacobians; it is then the cause. Inputs that are
alike themselves are a matter of the data. Where the axis of the examples is not known, nothing is judged, and that is
said.

## Example

    attention = torch.nn.MultiheadAttention(64, 4)  # expects [positions, examples, width]
    x, _ = attention(x, x, x)  # x is [examples, positions, width]: attends along the batch, and has no skip

## Fix

Average over positions and not over examples (`batch_first=True`); a residual connection around every layer that
averages; fewer rounds of averaging; weights at the edge of chaos.

## References

[Schoenholz2017], [Poole2016], [Oono2020]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding
from justright.core.information import RelationStatistics
from justright.core.profile import SiteRecord
from justright.diagnostics._information import EPSILON, ROUNDING, Lost, alike, lost, starts, unknown
from justright.diagnostics._shrinking import GRADIENT
from justright.diagnostics.base import Case, diagnostic

__all__ = ["correlation_collapse"]

FEATURE = 8.0
"""Features near zero deviate more beside their own size: 1/8 is the lower tenth of the magnitudes of normal numbers."""


@diagnostic(
    "JR601",
    "correlation-collapse",
    rank=11,
    causes=("JR802", "JR801", "JR306", "JR301", "JR304", "JR202", "JR201", "JR101", "JR103"),
)
def correlation_collapse(case: Case) -> Iterator[Finding | Gap]:
    """Yield a finding if the differences between examples are lost on every way to the loss."""
    what = "differences between examples"
    gap = unknown(case, what)
    if gap:
        yield gap
    if alike(case):
        yield Gap(what, "the inputs of this batch do not differ, or cannot be compared")
        return
    start = max(each.relation.spread for each in starts(case) if each.relation)
    found = lost(case, start, _spread, _gone, steadily=True)
    if found:
        yield _finding(case, found)


def _spread(_record: SiteRecord, relation: RelationStatistics) -> float:
    """Spread of the signal as a whole or, if that is more, of its features: a few of huge size hide the others."""
    return max(relation.spread, relation.resolved / FEATURE)


def _gone(record: SiteRecord, relation: RelationStatistics) -> bool:
    epsilon = EPSILON.get(record.dtype, 0.0)
    return relation.spread < epsilon and relation.resolved < ROUNDING * epsilon


def _finding(case: Case, found: Lost) -> Finding:
    relation = found.record.relation
    cosine = relation.cosine if relation else math.nan
    bound = found.start * math.exp(-GRADIENT.note)
    return Finding(
        "JR601",
        "correlation-collapse",
        found.severity,
        where=case.place(case.graph.by_name[found.record.name].index),
        got=f"examples deviate from their mean by {found.value:.2g} of the signal's size, at the input by "
        f"{found.start:.2g}; the mean cosine of two of them is {cosine:.6g}",
        expected=f"a relative deviation of {bound:.2g} at least",
        because="everything that the loss learns of the input goes through here, and layers before it made different "
        "examples alike; no optimizer brings lost information back, Adam neither",
        try_="average over positions, not over examples (batch_first=True), and add a residual connection around every "
        "layer that averages: x = x + layer(x)",
        evidence=(Evidence("relative deviation of examples", found.value, "share of the signal's RMS", bound, None),),
        sites=(found.record.name,),
    )

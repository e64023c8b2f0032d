"""Attention has chosen already: nearly every row puts all its weight on one position, and no gradient can change it.

## What it does

Summarizes the rows of every softmax whose result weighs values: their entropy beside that of a uniform row over the
positions that the mask leaves, and the share of rows with a probability above 0.99.

## Why is this bad

The Jacobian of a softmax is diag(p) - p p'. Where one probability is 1 it is zero: queries and keys get no gradient,
and each position reads one other position that the random weights have chosen. The logits are too large: a forgotten
division by the root of the head's width, queries and keys without normalization, weights of standard deviation 1.
Attention whose entropy collapses in training makes it unstable, too.

## How it is judged

A layer has collapsed if nine tenths of its rows have and the mean entropy is below a twentieth of the uniform one's.
It is a warning if most of the attention layers have, and all that the loss sees of the input comes through them; a note
for fewer of them, or beside skips, past which the network may learn all the same. Rows that a mask leaves one position
are not counted. Uniform attention is normal at initialization and never reported. Plain SGD hardly moves the choices;
Adam enlarges what little gradient is left, and may free them.

## Example

    logits = query @ key.transpose(-1, -2) * head_width**0.5  # and not / head_width**0.5

## Fix

Divide the logits by the root of the head's width, normalize queries and keys, and draw their weights with a variance
of 1/fan_in.

## References

[Vaswani2017], [Zhai2023]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.findings import Evidence, Finding, Severity
from justright.core.information import AttentionStatistics
from justright.core.profile import SiteRecord
from justright.diagnostics._heads import mixtures
from justright.diagnostics._information import separated
from justright.diagnostics.base import Case, diagnostic

__all__ = ["attention_collapse"]

SHARP = 0.9
"""Share of rows: nearly all. Heads that attend to one place by training are a part of their layer."""

ENTROPY = 0.05
"""Mean entropy beside the uniform one's: rows of one choice have 0, and a tenth of softer rows adds 0.05."""

FEWEST = 16
"""Rows below which a layer is not judged: two positions choose sharply by chance now and then."""

MOST = 0.5
"""Share of the attention layers that makes it a matter of the whole network."""


@diagnostic("JR603", "attention-collapse", rank=5, causes=("JR801", "JR304", "JR306", "JR102"))
def attention_collapse(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for all attention that has chosen already, the sharpest first."""
    seen = [(record, record.attention) for record in case.profile.sites if record.attention]
    judged = [(record, each) for record, each in seen if each.rows >= FEWEST]
    if len(judged) < len(seen):
        few = next(record for record, each in seen if each.rows < FEWEST)
        yield Gap("attention", f"fewer than {FEWEST} rows in this batch", len(seen) - len(judged), few.name)
    found = [(record, each) for record, each in judged if each.sharp > SHARP and each.entropy < ENTROPY]
    if found:
        serious = len(found) > MOST * len(judged) and _only_way(case, [record for record, _ in found])
        severity = Severity.WARNING if serious else Severity.NOTE
        yield _finding(case, sorted(found, key=lambda pair: -pair[1].sharp), severity)


def _only_way(case: Case, found: list[SiteRecord]) -> bool:
    """Say whether all that the loss sees of the input comes through these layers."""
    sites = (case.graph.by_name[record.name].index for record in found)
    return separated(case, frozenset[int]().union(*(mixtures(case.graph, site) for site in sites)))


def _finding(case: Case, found: list[tuple[SiteRecord, AttentionStatistics]], severity: Severity) -> Finding:
    record, worst = found[0]
    return Finding(
        "JR603",
        "attention-collapse",
        severity,
        where=case.place(case.graph.by_name[record.name].index)
        + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
        got=f"{worst.sharp:.0%} of the rows put all their weight on one position; their mean entropy is "
        f"{worst.entropy:.2g} of that of a uniform row",
        expected=f"at most {SHARP:.0%} of such rows; at initialization attention is nearly uniform",
        because=f"the logits are too large: of the softmax's slope {worst.slope:.2g} is left, so that queries and keys "
        "get hardly any gradient; Adam may free some rows, plain SGD hardly does",
        try_="logits = query @ key.transpose(-1, -2) / head_width**0.5, with weights of variance 1/fan_in or "
        "normalized queries and keys",
        evidence=(
            Evidence("rows of one choice", worst.sharp, "share of the rows", 0.0, SHARP),
            Evidence("entropy of attention", worst.entropy, "share of the uniform row's", ENTROPY, 1.0),
        ),
        sites=tuple(each.name for each, _ in found),
    )

"""One weight is far too large for its place: it sets the size of the loss, and steps that suit it suit no other.

## What it does

Holds the gain of every weight (its RMS times the square root of its fan in: the factor by which it multiplies a signal)
against what its place asks for, and looks whether the excess reaches the loss. Where tables are added to each other, as
tokens and positions are, it compares their sizes.

## Why is this bad

A layer keeps the size of a signal at a gain between one half and 1.5 (1/sqrt(3) is PyTorch's default, sqrt(2) He's).
A gain that is k times as large multiplies the outputs by k and the curvature by its square, so that the largest stable
step falls by the square; the large weight itself then hardly moves. A table that is read as embedding and as output
head, at standard deviation 1, gives every token a score for itself that grows with the width. And if positions are a
thousand times as large as tokens, the layers see positions only.

## How it is judged

All of these are warnings. A gain above 403 (6 nats: the growth from which on plain SGD of the usual step sizes
diverges, JR102) in one layer, or in a few, if the loss is as large as that too. A tied table with a gain above 10 whose
scores have an RMS above 10 (measured on digits: at 16 neither SGD nor Adam gets anywhere in 150 steps, at 8 Adam still
does). A sum of tables in which the one that the input chooses is more than 1000 times smaller (at 500 it trains, at
1500 it does not).

A gain above 403 in front of a normalization is a note: the output does not change, but the weight hardly moves. Small
weights stay silent if there is one layer of them: zero heads, zero branches and weights of 1e-8 are healed by their own
first step, which the others do not disturb. Growth or shrinking in most layers is JR101 and JR102.

## Example

    head = torch.nn.Linear(768, 50257, bias=False)
    embedding = torch.nn.Embedding(50257, 768)            # standard deviation 1
    head.weight = embedding.weight

## Fix

Variance 1/fan_in, 2/fan_in before ReLU; standard deviation 0.02 or 1/sqrt(width) for a table that is also the head; the
same for tables that are added.

## References

[Glorot2010], [He2015], [Press2017]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.depth import Layer
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.core.profile import ParameterRecord
from justright.core.vocabulary import Kind
from justright.diagnostics._trend import normalized
from justright.diagnostics._weights import fan_in, gain, records, unary_source
from justright.diagnostics.base import Case, diagnostic

__all__ = ["weight_variance"]

LARGEST = math.exp(6.0)
"""Gain: the growth in all from which on plain SGD diverges at every usual step (docs/zoo.md, as for JR102)."""

TIED = 10.0
"""RMS of the scores of a tied table: measured on digits, 8 trains under Adam and 16 under nothing."""

DROWNED = 1000.0
"""RMS of a sum over that of the table in it: measured on digits, 500 trains and 1500 does not."""

MOST = 0.5
"""Share of the layers: what most of them show is growth over depth."""


@diagnostic("JR304", "weight-variance", rank=2, causes=("JR306",), predicts=True)
def weight_variance(case: Case) -> Iterator[Finding]:
    """Yield a finding for weights that are too large, for a tied table, and for a table that is drowned."""
    known = [(layer, record) for layer, record in records(case) if record.units]
    large = [each for each in known if gain(each[1]) > LARGEST]
    if large and len(large) <= max(MOST * len(known), 1):
        yield from _large(case, large)
    for layer, record in known:
        if gain(record) > TIED and _looked_up(case, record) and _scores(case, layer) > TIED:
            yield _tied(case, layer, record)
    for node in case.graph.nodes:
        if (drowned := _drowned(case, node)) is not None:
            yield _sum(case, node, drowned)


def _large(case: Case, large: list[tuple[Layer, ParameterRecord]]) -> Iterator[Finding]:
    """Yield a warning for those whose excess reaches the loss, a note for those before a normalization."""
    hidden = [each for each in large if all(normalized(case.graph, site) != site for site in each[0].outputs)]
    reaching = [each for each in large if each not in hidden]
    if reaching and case.profile.loss > LARGEST:
        yield _outsized(case, reaching, Severity.WARNING)
    if hidden:
        yield _outsized(case, hidden, Severity.NOTE)


def _outsized(case: Case, large: list[tuple[Layer, ParameterRecord]], severity: Severity) -> Finding:
    _, record = max(large, key=lambda each: gain(each[1]))
    factor, name = gain(record), record.name
    effect = (
        f"the loss is {case.profile.loss:.3g}, and a step that is stable here is {factor**2:.1g} times smaller than "
        "elsewhere: plain SGD diverges or stands still"
        if severity is Severity.WARNING
        else "a normalization takes the size of its output away, so that only its steps are too small beside it: it "
        "hardly changes"
    )
    return Finding(
        "JR304",
        "weight-variance",
        severity,
        where=name + (f" and {len(large) - 1} more" if len(large) > 1 else ""),
        got=f"standard deviation {record.value.std:.3g} with a fan in of {fan_in(record)}: it multiplies what it reads "
        f"by {factor:.3g}",
        expected=f"a standard deviation of about {fan_in(record) ** -0.5:.2g}, which keeps the size of a signal",
        because=effect,
        try_=f"torch.nn.init.normal_(model.get_parameter({name!r}), std={fan_in(record) ** -0.5:.2g})",
        evidence=(Evidence("gain of the weight", factor, "RMS out over RMS in", None, LARGEST),),
        sites=tuple(each.name for _, each in large),
    )


def _looked_up(case: Case, record: ParameterRecord) -> bool:
    """Say whether a weight is also read as a table."""
    uses = case.graph.parameter_sites[case.graph.by_name[record.name].index].uses
    return any(case.graph.nodes[use.node].kind is Kind.LOOKUP for use in uses)


def _scores(case: Case, layer: Layer) -> float:
    return max((_rms(case, site) for site in layer.outputs), default=0.0)


def _tied(case: Case, layer: Layer, record: ParameterRecord) -> Finding:
    width, scores = fan_in(record), _scores(case, layer)
    return Finding(
        "JR304",
        "weight-variance",
        Severity.WARNING,
        where=f"{record.name}, which is both embedding and output head",
        got=f"standard deviation {record.value.std:.3g} at width {width}: scores with an RMS of {scores:.3g}",
        expected=f"scores with an RMS of about 1, at most {TIED:g}",
        because="what is a usual size for an embedding is too large for a head: it multiplies what it reads by "
        f"{gain(record):.3g}, and prefers the token that it just read",
        try_=f"torch.nn.init.normal_(model.get_parameter({record.name!r}), std=0.02)",
        evidence=(Evidence("RMS of the scores", scores, "nats", None, TIED),),
        sites=(record.name, case.graph.sites[layer.outputs[0]].name),
    )


def _drowned(case: Case, node: Node) -> tuple[int, int] | None:
    """Return the tables of a sum, the one that drowns first, where the other one depends on the input."""
    if node.op != "add":
        return None
    sites = [operand.site for operand in node.operands]
    sources = [_table(case, site) for site in sites]
    if len(sites) != 2 or None in sources:  # noqa: PLR2004  a sum of two
        return None
    small, large = sorted(sites, key=lambda site: _rms(case, site))
    chosen = not case.graph.parameter_only[small]
    return (small, large) if chosen and 0 < DROWNED * _rms(case, small) < _rms(case, large) else None


def _table(case: Case, site: int) -> int | None:
    """Site of the table or parameter that a signal comes straight from; ``None`` if something was computed with it."""
    source = unary_source(case.graph, site)
    node = case.graph.producer(source)
    if node is not None and node.kind is Kind.LOOKUP:
        return node.operands[0].site
    return source if case.graph.parameter_only[site] else None


def _sum(case: Case, node: Node, pair: tuple[int, int]) -> Finding:
    small, large = pair
    tables = [_table(case, site) for site in pair]
    names = [case.graph.sites[site].name for site in tables if site is not None]
    ratio = _rms(case, large) / _rms(case, small)
    return Finding(
        "JR304",
        "weight-variance",
        Severity.WARNING,
        where=case.place(node.outputs[0]),
        got=f"{names[1]} is {ratio:.3g} times as large as {names[0]}, to which it is added",
        expected=f"tables of one size, at most {DROWNED:g} times apart",
        because=f"what depends on the input has an RMS of {_rms(case, small):.3g} beside {_rms(case, large):.3g}: the "
        "layers that follow see hardly anything of it",
        try_=f"torch.nn.init.normal_(model.get_parameter({names[1]!r}), std=0.02)",
        evidence=(Evidence("RMS of one table over that of the other", ratio, "ratio", None, DROWNED),),
        sites=tuple(names),
    )


def _rms(case: Case, site: int) -> float:
    record = case.record(site)
    return record.forward.rms if record and record.forward else math.nan

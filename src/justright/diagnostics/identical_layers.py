"""Different layers start with exactly the same weights: they were cloned, or drawn from one seed.

## What it does

Compares the values of all trainable weights of one shape and reports those that are equal in every element although
they belong to different layers. Constants, identities and matrices of signs are equal on purpose and do not count, nor
do parameters that are frozen or get no gradient, as those of a target network.

## Why is this bad

Independent random layers spread their errors; equal ones repeat them. A chain of L copies is the L-th power of one
matrix: whatever its largest eigenvalue is, the signal grows or shrinks by its L-th power and turns into the direction
that belongs to it, so that different inputs come out alike. Parallel copies (members of an ensemble, experts) compute
the same until something tells them apart.

## How it is judged

Copies are a note by themselves: a residual stream, a few copies, and many rows of copies train about as well as
independent layers, and what comes of a row depends on the one matrix that was drawn. `torch.nn.TransformerEncoder`
copies its layer, and its documentation recommends to draw the weights anew. It is a warning if at least 8 copies follow
each other without a way around and the RMS of the signal grows along them by more than independent layers explain:
three standard deviations of the growth of a product of L random matrices of fan in n after ReLU, 1.5 sqrt(5 L/n) nats
(measured on digits: such rows need two to three times as many steps of Adam, and plain SGD stands still).

## Example

    block = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU())
    model = torch.nn.Sequential(*[copy.deepcopy(block) for _ in range(20)])

## Fix

Build every layer anew in place of `copy.deepcopy`, or call each one's `reset_parameters()` after copying; set the seed
once, before the model, and not before each layer.

## References

[Hanin2018], [Goodfellow2016]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.depth import Layer
from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import ParameterRecord
from justright.diagnostics._weights import fan_in, following, records
from justright.diagnostics.base import Case, diagnostic

__all__ = ["identical_layers"]

FEWEST = 8
"""Copies in a row from which on growth is told from the difference between the first two layers."""

VARIANCE = 5.0
"""Variance of the log of a squared norm after L ReLU layers of n units is 5 L/n (Hanin 2018)."""

SIGMAS = 3.0
"""Standard deviations that independent layers exceed once in a thousand networks."""

Copy = tuple[Layer, ParameterRecord]


@diagnostic("JR305", "identical-layers", rank=1)
def identical_layers(case: Case) -> Iterator[Finding]:
    """Yield one finding for all layers that start with the values of another one."""
    copies = [each for each in _groups(case).values() if len(each) > 1]
    if copies:
        yield _finding(case, sorted(copies, key=lambda group: -_grown(case, _row(case, group))))


def _groups(case: Case) -> dict[str, list[Copy]]:
    """Trainable weights of layers by the first that holds their values."""
    found: dict[str, list[Copy]] = {}
    for layer, record in records(case):
        if record.trainable and record.gradient is not None:
            found.setdefault(record.same_as or record.name, []).append((layer, record))
    return found


def _row(case: Case, group: list[Copy]) -> list[int]:
    """List the outputs of the longest row of copies that follow each other without a way around."""
    nodes = {node for layer, _ in group for node in layer.nodes}
    rows = {node: [case.graph.nodes[node].outputs[0]] for node in nodes}
    for node in sorted(nodes):
        after = following(case.graph, rows[node][-1])
        if after in rows and len(rows[after]) <= len(rows[node]):
            rows[after] = [*rows[node], case.graph.nodes[after].outputs[0]]
    return max(rows.values(), key=len)


def _grown(case: Case, row: list[int]) -> float:
    """Nats by which the RMS grows along a row; 0 where it is too short or not known."""
    ends = [record.forward.rms for site in (row[0], row[-1]) if (record := case.record(site)) and record.forward]
    usable = len(row) >= FEWEST and len(ends) == 2 and all(0 < end < math.inf for end in ends)  # noqa: PLR2004
    return math.log(ends[1] / ends[0]) if usable else 0.0


def _most(row: list[int], copies: int) -> float:
    """Nats by which the RMS of as many independent layers of this fan in may grow by chance."""
    return SIGMAS * math.sqrt(VARIANCE * (len(row) - 1) / max(copies, 1)) / 2


def _finding(case: Case, groups: list[list[Copy]]) -> Finding:
    worst = groups[0]
    record, row = worst[0][1], _row(case, worst)
    grown, most = _grown(case, row), _most(row, fan_in(record))
    sick = grown > most
    told = f", and {len(groups) - 1} more such groups" if len(groups) > 1 else ""
    count = Evidence("layers that start with the same weights", float(len(worst)), "layers", None, 1.0)
    growth = Evidence("growth along the copies", grown, "nats", None, most)
    return Finding(
        "JR305",
        "identical-layers",
        Severity.WARNING if sick else Severity.NOTE,
        where=f"{record.name} to {worst[-1][1].name}",
        got=f"{len(worst)} layers with exactly the same {record.value.count} weights{told}"
        + (f"; the RMS grows by {math.exp(grown):.3g} along {len(row)} of them in a row" if sick else ""),
        expected="layers that were drawn independently"
        + (f", whose growth is at most {math.exp(most):.2g} by chance" if sick else ""),
        because="equal random values do not come about by chance: the layer was copied after its weights were drawn, "
        "or the seed was set again before each layer" + ("; the copies' errors add up" if sick else ""),
        try_='for layer in model.modules(): layer.reset_parameters() if hasattr(layer, "reset_parameters") else None',
        evidence=(growth, count) if sick else (count,),
        sites=tuple(each.name for group in groups for _, each in group),
    )

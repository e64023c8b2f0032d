"""A logarithm, division, root or exponential within reach of the edge of its domain.

## What it does

Looks at what comes to every logarithm, division, reciprocal, root, negative power and exponential on the way of a
gradient, in the forward and in the loss: how near to zero, how near to overflow, with which sign, and in which
examples.

## Why is this bad

At the edge the value or the slope is infinite, and one such value makes every weight NaN. Near the edge it is finite
and larger than everything else in the batch: a single example then decides the step.

## How it is judged

Warning: a divisor that takes both signs and comes within a tenth of its own RMS to zero, so that it has to pass
through zero between two examples; a value or a gradient that is finite, but within half of the dtype's range of
overflow, 44 nats for float32, where its square overflows (an eighth in float16, beside which squares are held in
float32); a logarithm of a number within an eighth of underflow. What is not finite already is JR401's. A
divisor of one sign, an epsilon that is added, a clamp, a softmax's own exponentials and divisions are healthy, and so
is minus infinity in a mask.

## Example

    attention = scores / scores.sum(-1, keepdim=True)       # scores of both signs: the sum may be anything, zero too

## Fix

Divide by what cannot be zero: a softmax, `x.abs() + eps`, `x.square().sum().add(eps).sqrt()`, `softplus(x)`;
`log_softmax` and `logsigmoid` in place of a logarithm; take the maximum away before `exp`, or clamp its input.

## References

[Goldberg1991], [Goodfellow2016]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.edges import TALL, EdgeRecord, pole_of
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.core.profile import SiteRecord, TensorStatistics
from justright.diagnostics.base import Case, diagnostic

__all__ = ["domain_edge"]

NEAR = 0.1
"""Part of its RMS within which a divisor of both signs passes zero: its slope, 1/x², is 100 times the typical one."""

RESERVE = 8
"""An eighth of the range, in nats, is left at its ends: 11 nats of float32's 88.7, 1.4 of float16's 11.1. [ours: a
step that moves the input of an exponential by an eighth of its range is an ordinary one]"""

SQUARES = 2
"""Half of the range is left below overflow where squares, of which variances and Adam's second moments are made, are
held in the same dtype: in all but float16, beside which optimizers keep float32."""

LIMITS = {
    "float16": (65504.0, 2.0**-14),
    "bfloat16": (3.3895e38, 2.0**-126),
    "float32": (3.4028e38, 2.0**-126),
    "float64": (1.7976e308, 2.0**-1022),
}
"""Largest and smallest normal number of a dtype [IEEE 754]; bfloat16 has float32's exponents."""

DIVISIONS = frozenset({"divide", "reciprocal", "power"})
"""Operators whose slope grows to infinity on both sides of zero; logarithms and roots have only one side."""

LOGARITHMS = frozenset({"log", "log2", "log10"})

TRIES = {
    "exp": "x - x.amax(-1, keepdim=True) before exp, or x.clamp(max=20)",
    "log": "torch.log(x + 1e-8), or log_softmax / logsigmoid on the scores",
    "divide": "divide by softplus(x) + eps or x.abs() + eps, or by a softmax's sum",
    "rsqrt": "torch.rsqrt(x + eps)",
    "sqrt": "torch.sqrt(x + eps)",
}
"""Remedy by operator; others take that of the division."""


@diagnostic("JR703", "domain-edge", rank=2, causes=("JR801", "JR702"))
def domain_edge(case: Case) -> Iterator[Finding]:
    """Yield a finding for every function that is near its edge."""
    for node in case.graph.nodes:
        site = node.operand("input") if node.op in TALL else pole_of(node)
        record = case.record(site) if site is not None else None
        result = case.record(node.outputs[0]) if record is not None else None
        if record is None or record.edge is None or result is None or not _clean(record, result):
            continue
        if node.op in DIVISIONS and _crossed(record, record.edge):
            yield _crossing(case, node, record, record.edge)
        else:
            yield from _reach(case, node, record, record.edge, result)


def _clean(record: SiteRecord, result: SiteRecord) -> bool:
    """Say whether everything here is finite: what is not has another diagnostic."""
    found = (record.forward, record.gradient, result.forward)
    return not any(each is not None and each.nonfinite for each in found) and record.forward is not None


def _crossed(record: SiteRecord, edge: EdgeRecord) -> bool:
    """Say whether this takes both signs and comes near zero in between; zeros themselves divide nothing here."""
    assert record.forward is not None
    return edge.minimum < 0 < edge.maximum and edge.least < NEAR * record.forward.rms


def _crossing(case: Case, node: Node, record: SiteRecord, edge: EdgeRecord) -> Finding:
    assert record.forward is not None
    share = edge.least / record.forward.rms
    rows = ", ".join(f"{value:.2g} in example {row}" for row, value in edge.nearest)
    return _finding(
        case,
        node,
        record,
        got=f"a divisor from {edge.minimum:.2g} to {edge.maximum:.2g}, {rows}",
        expected="a divisor of one sign that keeps away from zero",
        because=f"{node.op} has no value at zero, and this divisor passes there between two examples: the nearest ones "
        "make values and gradients that outweigh all others",
        evidence=Evidence("distance to zero over the divisor's RMS", share, "times", NEAR),
    )


def _reach(case: Case, node: Node, record: SiteRecord, edge: EdgeRecord, result: SiteRecord) -> Iterator[Finding]:
    largest, smallest = LIMITS.get(record.dtype, LIMITS["float32"])
    reserve = math.log(largest) / RESERVE
    head = reserve if record.dtype == "float16" else math.log(largest) / SQUARES
    left = min(_below_overflow(largest, result.forward), _below_overflow(largest, record.gradient))
    if left < head:
        rows = edge.highest if node.op in TALL else edge.nearest
        shown = ", ".join(f"{value:.3g} in example {row}" for row, value in rows)
        yield _finding(
            case,
            node,
            record,
            got=f"values or gradients {left:.2g} nats below overflow, from {shown}",
            expected=f"at least {head:.2g} nats of room in {record.dtype}",
            because=f"{node.op} ends at {largest:.3g}, a small step of the weights before it gets there, and its "
            "squares sooner",
            evidence=Evidence("room below overflow", left, "nats", head),
        )
    elif node.op in LOGARITHMS and 0 < edge.least < smallest * math.exp(reserve):
        room = math.log(edge.least / smallest)
        shown = ", ".join(f"{value:.2g} in example {row}" for row, value in edge.nearest)
        yield _finding(
            case,
            node,
            record,
            got=f"a logarithm of {shown}",
            expected=f"at least {reserve:.2g} nats above underflow in {record.dtype}",
            because="what is a little smaller is zero, and its logarithm minus infinity",
            evidence=Evidence("room above underflow", room, "nats", reserve),
        )


def _below_overflow(largest: float, statistics: TensorStatistics | None) -> float:
    return math.log(largest / statistics.absmax) if statistics is not None and statistics.absmax > 0 else math.inf


def _finding(
    case: Case, node: Node, record: SiteRecord, *, got: str, expected: str, because: str, evidence: Evidence
) -> Finding:
    key = "log" if node.op in LOGARITHMS else node.op
    return Finding(
        "JR703",
        "domain-edge",
        Severity.WARNING,
        where=case.place(node.outputs[0]),
        got=got,
        expected=expected,
        because=because,
        try_=TRIES.get(key, TRIES["exp"] if node.op in TALL else TRIES["divide"]),
        evidence=(evidence,),
        sites=(record.name,),
    )

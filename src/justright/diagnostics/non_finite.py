"""NaN or infinity: which operation made the first one.

## What it does

Looks at every tensor of a real forward and backward for values that are not finite, and tells the first producer
(finite inputs, output not finite) from everything that merely passes it on. In the backward it starts from the loss.

## Why is this bad

One NaN reaches every weight within one step.

## How it is judged

Any first producer whose values reach the loss, an output or a weight's gradient is an error; so is a parameter that
holds such values. What is turned into finite values again stays silent: minus infinity that a softmax turns into zero
(an attention mask), a division by zero that `torch.where` leaves out, as long as its gradient is finite as well. In a
prediction, a function that is no number for a part of its input is an error if the loss or an output follows from it.

## Example

    loss = -(p * torch.log(p)).sum()          # 0 * log 0

## Fix

Keep the argument away from the pole: `torch.nn.functional.log_softmax` in place of log of softmax, `torch.xlogy`, an
epsilon inside square roots and divisions; a smaller scale where the value overflowed.

## References

[Goldberg1991], [Micikevicius2018]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node, Role
from justright.core.profile import Provenance, SiteRecord, TensorStatistics
from justright.diagnostics.base import Case, diagnostic

__all__ = ["non_finite"]

TRIES = {
    "log": "torch.log(x.clamp_min(eps)), or log_softmax / logsigmoid on the scores",
    "sqrt": "torch.sqrt(x + eps)",
    "norm": "torch.sqrt(x.square().sum(dim) + eps) in place of the norm, which has no slope at zero",
    "rsqrt": "torch.rsqrt(x + eps)",
    "divide": "divide by (x + eps)",
    "reciprocal": "1 / (x + eps)",
    "power": "clamp the base away from zero",
    "exp": "subtract the maximum before exp, or use log_softmax",
    "softmax": "leave at least one position of every row unmasked",
    "where": "make the branch that is left out finite too: put torch.where inside the operation, not around it",
}
"""Remedy by the operator that made the value."""


@diagnostic(
    "JR401",
    "non-finite",
    rank=13,
    causes=("JR803", "JR801", "JR306", "JR702", "JR304", "JR307", "JR703", "JR102", "JR104"),
    predicts=True,
)
def non_finite(case: Case) -> Iterator[Finding]:
    """Yield a finding for every first producer, forward first; backward only if the forward is clean."""
    bad = _harmful(case)
    if case.profile.provenance is not Provenance.MEASURED:
        undefined = [record for record in bad if not _inherited(case, record, {each.name for each in bad})]
        yield from [_undefined(case, undefined[0], len(bad))] if undefined else []
        return
    names = {record.name for record in bad}
    first = [record for record in bad if not _inherited(case, record, names)]
    if first:
        yield _forward(case, first, len(bad))
        return
    backward = [record for record in case.profile.sites if _bad_gradient(record)]
    if backward and any(_lost(record.gradient) for record in case.profile.parameters):
        # The last in execution order is the first that the backward met.
        yield _backward(case, backward[-1], len(backward))


def _lost(statistics: TensorStatistics | None) -> bool:
    return statistics is not None and statistics.nonfinite > 0


def _undefined(case: Case, record: SiteRecord, total: int) -> Finding:
    """Say where a prediction meets a function that is no number for a part of what it reads."""
    node = case.graph.producer(case.graph.by_name[record.name].index)
    op = node.op if node is not None else record.role
    return Finding(
        "JR401",
        "non-finite",
        Severity.ERROR,
        where=case.place(case.graph.by_name[record.name].index),
        got="no number, for a part of what it reads",
        expected="finite values",
        because=f"{op} is not defined for all values that its input takes" + _passed_on(total - 1, "later tensors"),
        try_=_try(node, record),
        evidence=(Evidence("tensors that are not finite", float(total), "tensors", 0.0, 0.0),),
        sites=(record.name,),
    )


def _bad(record: SiteRecord) -> bool:
    """Say whether a tensor has values that are not finite, or was predicted to: then its moments are no numbers."""
    return record.forward is not None and (record.forward.nonfinite > 0 or math.isnan(record.forward.rms))


def _bad_gradient(record: SiteRecord) -> bool:
    return _lost(record.gradient) and record.role in {Role.ACTIVATION.value, Role.PARAMETER.value}


def _harmful(case: Case) -> list[SiteRecord]:
    """Find records with values that are not finite and that end in the loss or an output, or sit in a parameter."""
    ends = {*case.graph.outputs, *(() if case.graph.loss is None else (case.graph.loss,))}
    harmful: set[int] = set()
    bad = [record for record in case.profile.sites if _bad(record)]
    index = {record.name: case.graph.by_name[record.name].index for record in bad}
    # Later sites first, so that a site's readers are decided before it.
    for record in reversed(bad):
        site = index[record.name]
        after = {output for reader in case.graph.consumers[site] for output in case.graph.nodes[reader].outputs}
        if site in ends or record.role == Role.PARAMETER.value or after & harmful:
            harmful.add(site)
    return [record for record in bad if index[record.name] in harmful]


def _inherited(case: Case, record: SiteRecord, bad: set[str]) -> bool:
    node = case.graph.producer(case.graph.by_name[record.name].index)
    return node is not None and any(case.graph.sites[operand.site].name in bad for operand in node.operands)


def _forward(case: Case, first: list[SiteRecord], total: int) -> Finding:
    record = first[0]
    statistics = record.forward
    assert statistics is not None
    node = case.graph.producer(case.graph.by_name[record.name].index)
    return Finding(
        "JR401",
        "non-finite",
        Severity.ERROR,
        where=case.place(case.graph.by_name[record.name].index),
        got=f"{_counts(statistics)} of {statistics.count} values"
        + (f"; {len(first) - 1} more first producers" if len(first) > 1 else ""),
        expected="finite values",
        because=_reason(case, node, record) + _passed_on(total - len(first), "later tensors"),
        try_=_try(node, record),
        evidence=(Evidence("values that are not finite", float(statistics.nonfinite), "elements", 0.0, 0.0),),
        sites=tuple(each.name for each in first),
    )


def _backward(case: Case, record: SiteRecord, total: int) -> Finding:
    gradient = record.gradient
    assert gradient is not None
    readers = case.graph.consumers[case.graph.by_name[record.name].index]
    node = case.graph.nodes[readers[-1]] if readers else None
    made = f"the derivative of {node.op} ({node.source or node.module}) made it" if node else "the loss made it"
    return Finding(
        "JR401",
        "non-finite",
        Severity.ERROR,
        where=f"gradient of {case.place(case.graph.by_name[record.name].index)}",
        got=f"{_counts(gradient)} of {gradient.count} gradient values, while the forward is finite",
        expected="finite gradients",
        because=made + _passed_on(total - 1, "more gradients"),
        try_=_try(node, record),
        evidence=(Evidence("gradients that are not finite", float(gradient.nonfinite), "elements", 0.0, 0.0),),
        sites=(record.name,),
    )


def _passed_on(count: int, what: str) -> str:
    return f"; {count} {what} only pass it on" if count > 0 else ""


def _counts(statistics: TensorStatistics) -> str:
    parts = [(statistics.nan, "NaN"), (statistics.positive_inf, "+inf"), (statistics.negative_inf, "-inf")]
    return ", ".join(f"{count} {name}" for count, name in parts if count)


def _reason(case: Case, node: Node | None, record: SiteRecord) -> str:
    if node is None:
        return f"it is there before any operation: a {record.role} holds it"
    reads = [found for operand in node.operands if (found := case.record(operand.site)) and found.forward]
    sizes = ", ".join(
        f"|{each.name}| from {each.forward.min_nonzero:.2g} to {each.forward.absmax:.2g}"
        + (", zeros included" if each.forward.zeros else "")
        for each in reads[:2]
        if each.forward
    )
    return f"{node.op} makes it from finite inputs" + (f" ({sizes})" if sizes else "")


def _try(node: Node | None, record: SiteRecord) -> str:
    if node is None:
        return f"look at {record.name} before the forward: torch.isfinite(tensor).all()"
    return TRIES.get(node.op, "bring its inputs to unit scale: see JR102 if signals grow towards it")

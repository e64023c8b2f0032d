"""NaN or infinity: which operation made the first one.

## What it does

Looks at every tensor of a real forward and backward for values that are not finite, and tells the first producer (finite
inputs, output not finite) from everything that merely passes it on. In the backward it starts from the loss.

## Why is this bad

One NaN reaches every weight within one step.

## How it is judged

Any first producer is an error. Minus infinity that a softmax turns into zero (an attention mask) is meant and stays silent,
as long as nothing after it is NaN. Values that are not finite in the weights or in the input are named as such.

## Example

    loss = -(p * torch.log(p)).sum()          # 0 * log 0

## Fix

Keep the argument away from the pole: `torch.nn.functional.log_softmax` in place of log of softmax, `torch.xlogy`, an epsilon
inside square roots and divisions; a smaller scale where the value overflowed.
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node, Role
from justright.core.profile import SiteRecord, TensorStatistics
from justright.diagnostics.base import Case, diagnostic

__all__ = ["non_finite"]

TRIES = {
    "log": "torch.log(x.clamp_min(eps)), or log_softmax / logsigmoid on the scores",
    "sqrt": "torch.sqrt(x + eps)",
    "rsqrt": "torch.rsqrt(x + eps)",
    "divide": "divide by (x + eps)",
    "reciprocal": "1 / (x + eps)",
    "power": "clamp the base away from zero",
    "exp": "subtract the maximum before exp, or use log_softmax",
    "softmax": "leave at least one position of every row unmasked",
}
"""Remedy by the operator that made the value."""


@diagnostic("JR401", "non-finite")
def non_finite(case: Case) -> Iterator[Finding]:
    """Yield a finding for every first producer, forward first; backward only if the forward is clean."""
    bad = _harmful(case)
    first = [record for record in bad if not _inherited(case, record, {each.name for each in bad})]
    if first:
        yield _forward(case, first, len(bad))
        return
    backward = [
        record
        for record in case.profile.sites
        if record.gradient and record.gradient.nonfinite and record.role == Role.ACTIVATION.value
    ]
    if backward:
        # The last in execution order is the first that the backward met.
        yield _backward(case, backward[-1], len(backward))


def _harmful(case: Case) -> list[SiteRecord]:
    """Records with values that are not finite, without masks: -inf alone from which no NaN follows."""
    bad = [record for record in case.profile.sites if record.forward and record.forward.nonfinite]
    masks = all(record.forward and _only_minus_inf(record.forward) for record in bad)
    loss = case.graph.sites[case.graph.loss].name if case.graph.loss is not None else ""
    if masks and all(record.name != loss for record in bad):
        return []
    return [record for record in bad if not (record.forward and _mask(case, record, record.forward))]


def _only_minus_inf(statistics: TensorStatistics) -> bool:
    return statistics.nonfinite == statistics.negative_inf


def _mask(case: Case, record: SiteRecord, statistics: TensorStatistics) -> bool:
    """Say whether this is -inf that every reader turns into finite values or hands on as -inf."""
    if not _only_minus_inf(statistics):
        return False
    readers = case.graph.consumers[case.graph.by_name[record.name].index]
    outputs = [site for index in readers for site in case.graph.nodes[index].outputs]
    after = [found.forward for site in outputs if (found := case.record(site)) and found.forward]
    return bool(after) and all(_only_minus_inf(each) for each in after)


def _inherited(case: Case, record: SiteRecord, bad: set[str]) -> bool:
    node = case.graph.producer(case.graph.by_name[record.name].index)
    return node is not None and any(case.graph.sites[operand.site].name in bad for operand in node.operands)


def _forward(case: Case, first: list[SiteRecord], total: int) -> Finding:
    record = first[0]
    statistics = record.forward
    assert statistics is not None  # noqa: S101  what `_harmful` selects has statistics
    node = case.graph.producer(case.graph.by_name[record.name].index)
    return Finding(
        "JR401",
        "non-finite",
        Severity.ERROR,
        where=case.place(case.graph.by_name[record.name].index),
        got=f"{_counts(statistics)} of {statistics.count} values"
        + (f"; {len(first) - 1} more first producers" if len(first) > 1 else ""),
        expected="finite values",
        because=_reason(case, node, record) + f"; {max(total - len(first), 0)} later tensors only pass it on",
        try_=_try(node, record),
        evidence=(Evidence("values that are not finite", float(statistics.nonfinite), "elements", 0.0, 0.0),),
        sites=tuple(each.name for each in first),
    )


def _backward(case: Case, record: SiteRecord, total: int) -> Finding:
    gradient = record.gradient
    assert gradient is not None  # noqa: S101  the caller selects records with a gradient
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
        because=f"{made}; {total - 1} more gradients only pass it on",
        try_=_try(node, record),
        evidence=(Evidence("gradients that are not finite", float(gradient.nonfinite), "elements", 0.0, 0.0),),
        sites=(record.name,),
    )


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

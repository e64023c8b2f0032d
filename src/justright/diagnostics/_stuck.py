"""Weights whose gradient is exactly zero and stays so, and what stops it."""

from __future__ import annotations

from typing import NamedTuple

from justright.core.findings import Severity
from justright.core.graph import Node
from justright.core.profile import ParameterRecord, TensorStatistics
from justright.core.vocabulary import Kind
from justright.diagnostics._closed import all_zero, closed
from justright.diagnostics._cuts import LOSS
from justright.diagnostics.base import Case

__all__ = ["Reason", "excused", "reason_of", "stuck_weights"]

STEPS = frozenset({"round", "floor", "ceil", "trunc", "sign", "floor_divide"})
"""Functions that are flat between their jumps."""


class Reason(NamedTuple):
    """Why a gradient is exactly zero, and how bad that is."""

    severity: Severity
    because: str
    remedy: str


def stuck_weights(case: Case) -> list[ParameterRecord]:
    """Weights that elements flowed through and that have a gradient of exactly zero, now and after trial steps."""
    return [
        record for record in closed(case) if not all_zero(record) and _weight(case, record) and _reached(case, record)
    ]


def excused(case: Case) -> frozenset[str]:
    """Names of parameters that only decide between the positions of a softmax that has a single one in this batch."""
    if not any(_single(case, node) for node in case.graph.nodes):
        return frozenset()
    heard = {case.graph.loss}
    for node in reversed(case.graph.nodes):
        if not _single(case, node) and any(
            site in heard and case.graph.sites[site].differentiable for site in node.outputs
        ):
            heard.update(operand.site for operand in node.operands)
    return frozenset(parameter.name for parameter in case.graph.parameters if parameter.site not in heard)


def _single(case: Case, node: Node) -> bool:
    shape = case.graph.sites[node.outputs[0]].shape if node.outputs else ()
    return node.kind is Kind.SOFTMAX and bool(shape) and shape[int(node.attributes.get("dim", -1))] == 1


def reason_of(case: Case, stuck: list[ParameterRecord]) -> Reason:
    """Name what stops the gradient."""
    if case.profile.loss == 0.0:
        return Reason(
            Severity.NOTE, "the loss is exactly zero on this batch: nothing is left to learn", "take another batch"
        )
    if all(_fed_zeros(case, record) for record in stuck):
        return Reason(
            Severity.NOTE, "what these weights multiply is zero throughout in this batch", "take another batch"
        )
    if excused(case).issuperset(record.name for record in stuck):
        reason = "they choose between the positions of a softmax that has a single one in this batch"
        return Reason(Severity.NOTE, reason, "take a longer sequence or a larger image")
    if _all_first_weights(case, stuck):
        return Reason(Severity.ERROR, *_said(case, _killer(case)))
    if any(_drops_examples(case, node) for node in case.graph.nodes):
        reason = "a branch is dropped at random for whole examples, here for all of them"
        return Reason(Severity.NOTE, reason, "take a larger batch, or model.eval()")
    return Reason(Severity.WARNING, *_said(case, _killer(case)))


def _said(case: Case, killer: Node | None) -> tuple[str, str]:
    if killer is None:
        return "no signal reaches these weights, or everything behind them is zero", "justright explain JR302"
    where = f"{killer.op} at {killer.module or killer.source}"
    if killer.op in STEPS:
        return f"{where} is flat between its jumps", "x + (x.round() - x).detach(): a straight-through estimator"
    gradient = _gradient(case, killer.outputs[0])
    if gradient and gradient.min_nonzero < 1e-37:  # noqa: PLR2004  float32's smallest normal number is 1.2e-38
        return f"the gradient underflows on its way back, at {where}", "justright explain JR103"
    return f"{where} gets a gradient and hands back none: it is off or flat throughout", "justright explain JR202"


def _weight(case: Case, record: ParameterRecord) -> bool:
    return len(case.graph.by_name[record.name].shape) > 1


def _reached(case: Case, record: ParameterRecord) -> bool:
    """Say whether any element flowed through: an expert that no token was sent to has nothing to learn from."""
    return any(case.graph.sites[site].size for node in _uses(case, record) for site in node.outputs)


def _uses(case: Case, record: ParameterRecord) -> list[Node]:
    uses = case.graph.parameter_sites[case.graph.by_name[record.name].index].uses
    return [case.graph.nodes[use.node] for use in uses]


def _fed_zeros(case: Case, record: ParameterRecord) -> bool:
    """Say whether the signal that the weight multiplies is zero without a gradient: it comes from the batch."""
    signals = [
        operand.site
        for node in _uses(case, record)
        for operand in node.operands
        if not case.graph.parameter_only[operand.site]
    ]
    records = [case.record(site) for site in signals]
    zero = [each is not None and each.forward is not None and each.forward.zeros == 1.0 for each in records]
    return bool(zero) and all(zero) and not any(case.graph.sites[site].differentiable for site in signals)


def _killer(case: Case) -> Node | None:
    """Find the first operation that gets a gradient from behind and hands back exactly none."""
    for node in case.graph.nodes:
        above = _gradient(case, node.outputs[0]) if node.outputs else None
        signals = [
            each
            for operand in node.operands
            if (each := _gradient(case, operand.site)) and not _leaf(case, operand.site)
        ]
        if above and above.zeros < 1.0 and signals and all(each.zeros == 1.0 for each in signals):
            return node
    return None


def _leaf(case: Case, site: int) -> bool:
    return bool(case.graph.parameter_only[site])


def _gradient(case: Case, site: int) -> TensorStatistics | None:
    record = case.record(site)
    return record.gradient if record else None


def _drops_examples(case: Case, node: Node) -> bool:
    """Say whether this draws one number for each example, as stochastic depth does."""
    if node.kind is not Kind.RANDOM or node.module == LOSS:
        return False
    return any(sum(length > 1 for length in case.graph.sites[site].shape) <= 1 for site in node.outputs)


def _all_first_weights(case: Case, stuck: list[ParameterRecord]) -> bool:
    """Say whether all trainable weights nearest to the input are among them."""
    names = {record.name for record in stuck}
    trainable = {parameter.site: parameter.name for parameter in case.graph.parameters if parameter.trainable}
    depths = {trainable[site]: layer.depth for layer in case.layers for site in layer.weights if site in trainable}
    first = [name for name, depth in depths.items() if depth == min(depths.values())]
    return bool(first) and names.issuperset(first)

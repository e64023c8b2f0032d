"""Parameters that no gradient reaches: they stay as they are.

## What it does

Lists the trainable parameters that got no gradient in a real backward, and says why from the graph: not used in the forward;
used, but cut off from the loss by an operation without a derivative (argmax, rounding, comparison, detach); or a gradient
that is exactly zero and stays zero, because everything behind it is off or has underflowed.

## Why is this bad

Such a parameter never changes. Often nobody notices, since the rest of the network learns around it.

## How it is judged

A loss that depends on no trainable parameter is an error. A weight whose gradient is exactly zero and stays so is an error.
A parameter that is used and cut off is a warning if an operation without a derivative is in the way, a note after an
explicit detach. A parameter that the forward does not use is a note. Frozen parameters are meant.

## Example

    loss = F.mse_loss(model(x).argmax(-1).float(), y)

## Fix

Score the output before argmax or rounding; remove `.detach()`, `.data`, `.item()` and `torch.no_grad()` from the path; use a
straight-through estimator where rounding is meant.

## References

[Bengio2013]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Graph, Node, Role
from justright.core.profile import ParameterRecord
from justright.diagnostics._closed import all_zero, closed
from justright.diagnostics.base import Case, diagnostic

__all__ = ["no_gradient"]


@diagnostic("JR303", "no-gradient")
def no_gradient(case: Case) -> Iterator[Finding]:
    """Yield a finding for each reason for which parameters get no gradient."""
    trainable = [record for record in case.profile.parameters if record.trainable]
    missing = [record for record in trainable if record.gradient is None]
    if trainable and len(missing) == len(trainable):
        yield _nothing(case, missing)
        return
    yield from _missing(case, missing)
    stuck = [record for record in closed(case) if not all_zero(record)]
    stuck = [record for record in stuck if len(case.graph.by_name[record.name].shape) > 1 and _reached(case, record)]
    if stuck:
        yield _stuck(case, stuck)


def _nothing(case: Case, missing: list[ParameterRecord]) -> Finding:
    cut = _first_cut(case.graph)
    return Finding(
        "JR303",
        "no-gradient",
        Severity.ERROR,
        where=_where(case, cut) if cut else "loss",
        got="a loss that depends on no trainable parameter",
        expected="a gradient for the trainable parameters",
        because=f"{cut.op} has no derivative and lies between the parameters and the loss"
        if cut
        else "the forward ran without gradients (torch.no_grad, .data, .detach) or does not use its parameters",
        try_="score the output before this operation, and remove torch.no_grad and .detach() from the forward",
        evidence=(Evidence("parameters without gradient", 1.0, "share of the trainable parameters", 0.0, 0.0),),
        sites=tuple(record.name for record in missing),
    )


def _missing(case: Case, missing: list[ParameterRecord]) -> Iterator[Finding]:
    """Sort parameters without a gradient by reason."""
    unused, cut = [], []
    for record in missing:
        uses = case.graph.parameter_sites[case.graph.by_name[record.name].index].uses
        (cut if uses else unused).append(record)
    if unused:
        yield _listed(unused, "not used in this forward", "a use, or no parameter", "remove it, or find_unused_parameters=True")
    hard = _first_cut(case.graph)
    if cut:
        reason = f"cut off from the loss: {hard.op} has no derivative" if hard else "used, but not on a path to the loss"
        severity = Severity.WARNING if hard else Severity.NOTE
        yield _listed(cut, reason, "a path to the loss", "score what it makes, or set requires_grad=False", severity)


def _listed(
    records: list[ParameterRecord], reason: str, expected: str, remedy: str, severity: Severity = Severity.NOTE
) -> Finding:
    return Finding(
        "JR303",
        "no-gradient",
        severity,
        where=records[0].name + (f" and {len(records) - 1} more" if len(records) > 1 else ""),
        got=f"{len(records)} trainable parameters without a gradient",
        expected=expected,
        because=reason,
        try_=remedy,
        evidence=(Evidence("parameters without gradient", float(len(records)), "parameters", 0.0, 0.0),),
        sites=tuple(record.name for record in records),
    )


def _stuck(case: Case, stuck: list[ParameterRecord]) -> Finding:
    return Finding(
        "JR303",
        "no-gradient",
        Severity.ERROR,
        where=stuck[0].name + (f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""),
        got=f"{len(stuck)} weights whose gradient is exactly zero, also after a trial step of the others",
        expected="a gradient that is not zero, or that opens with the first step",
        because=_blocker(case),
        try_="justright explain JR202, if units are off; justright explain JR103, if the gradient has vanished",
        evidence=(Evidence("weights that never open", float(len(stuck)), "parameters", 0.0, 0.0),),
        sites=tuple(record.name for record in stuck),
    )


def _blocker(case: Case) -> str:
    """Name what stops the gradient: the last place, seen from the loss, where it is still alive."""
    for record in reversed(case.profile.sites):
        if record.units and record.units.units and record.units.dead == record.units.units:
            return f"all units of {record.name} are off, and nothing comes back through them"
        gradient = record.gradient
        if gradient and gradient.rms > 0 and gradient.min_nonzero < 1e-40:  # noqa: PLR2004  float32's subnormal range
            return f"the gradient underflows on its way back, at {record.name}"
    return "no signal reaches these weights, or everything behind them is zero"


def _reached(case: Case, record: ParameterRecord) -> bool:
    """Say whether any element flowed through the weight: an expert that no token was sent to has nothing to learn from."""
    uses = case.graph.parameter_sites[case.graph.by_name[record.name].index].uses
    return any(case.graph.sites[site].size for use in uses for site in case.graph.nodes[use.node].outputs)


def _first_cut(graph: Graph) -> Node | None:
    """The first operation that takes a differentiable signal and gives one that is not, and on which the loss depends."""
    needed = _ancestors(graph)
    for node in graph.nodes:
        if node.index not in needed or node.op in {"detach", "alias", "dropout"}:
            continue
        reads = any(graph.sites[operand.site].differentiable for operand in node.operands)
        gives = any(graph.sites[site].differentiable for site in node.outputs)
        if reads and not gives:
            return node
    return None


def _ancestors(graph: Graph) -> set[int]:
    """Nodes on which the loss depends through floating-point or integer values."""
    pending = [] if graph.loss is None else [graph.loss]
    found: set[int] = set()
    while pending:
        node = graph.producer(pending.pop())
        if node is not None and node.index not in found:
            found.add(node.index)
            pending += [operand.site for operand in node.operands if graph.sites[operand.site].role is Role.ACTIVATION]
    return found


def _where(case: Case, node: Node) -> str:
    return case.place(node.outputs[0])

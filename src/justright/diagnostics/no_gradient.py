"""Parameters that no gradient reaches: they stay as they are.

## What it does

Lists the trainable parameters that got no gradient in a real backward, and says why from the graph: not used in the
forward; used, but cut off from the loss by an operation without a derivative (argmax, comparison) or on purpose
(detach, no_grad); or a gradient that is exactly zero and stays zero, because everything behind it is off, is rounded,
or has underflowed.

## Why is this bad

Such a parameter never changes. Often nobody notices, since the rest of the network learns around it.

## How it is judged

No trainable parameter, or a loss that depends on none, is an error. So is a gradient that is exactly zero and stays
so for all of the first weights; for other weights it is a warning. A weight that is cut off by an operation without a
derivative is a warning; after a detach or under no_grad, or taken out of the graph altogether, it is one if the
model's input reaches the loss in no other way, and a note otherwise: a teacher, a codebook, a target network. A note
as well: a parameter that the forward does not use, one whose result is an output that this loss does not read, and a
zero gradient that this batch explains (an input of zeros, attention over one position, a branch dropped at random, a
loss of exactly zero). Frozen parameters are meant.

## Example

    loss = F.mse_loss(model(x).argmax(-1).float(), y)

## Fix

Score the output before argmax or rounding; remove `.detach()`, `.data`, `.item()` and `torch.no_grad()` from the
path; use a straight-through estimator where rounding is meant; `requires_grad_(False)` where a frozen part is meant.

## References

[Bengio2013]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.core.profile import ParameterRecord
from justright.diagnostics._cuts import Cuts, Fate
from justright.diagnostics._stuck import Reason, excused, reason_of, stuck_weights
from justright.diagnostics.base import Case, diagnostic

__all__ = ["no_gradient"]


class _Absence(NamedTuple):
    """Why parameters have no gradient at all."""

    severity: Severity
    because: str
    expected: str
    remedy: str


UNUSED = _Absence(Severity.NOTE, "not used in this forward", "a use, or no parameter", "remove it from the model")
THROWN = _Absence(
    Severity.NOTE, "used, but nothing of it reaches the loss", "a path to the loss", "score what it makes, or remove it"
)
TAKEN_OUT = _Absence(
    Severity.WARNING,
    "the loss does not depend on the model's input: values were taken out of the graph and made a tensor again",
    "a path from the input to the loss through tensors",
    "remove .numpy(), .item(), .tolist() and torch.tensor(...) from the forward",
)
UNREAD = _Absence(
    Severity.NOTE,
    "used for an output of the model that this loss does not read",
    "a loss that reads it, if it is to be trained",
    "give the loss of your training: check(model, batch, loss=...)",
)


@diagnostic(
    "JR303",
    "no-gradient",
    rank=10,
    causes=("JR803", "JR306", "JR301", "JR302", "JR702", "JR202", "JR102", "JR201", "JR603", "JR101", "JR103"),
)
def no_gradient(case: Case) -> Iterator[Finding]:
    """Yield a finding for each reason for which parameters get no gradient."""
    trainable = [record for record in case.profile.parameters if record.trainable]
    missing = [record for record in trainable if record.gradient is None]
    cuts = Cuts(case.graph, frozenset(case.graph.by_name[record.name].index for record in missing))
    if not trainable:
        yield from [_frozen(case)] if case.profile.parameters else []
        return
    if len(missing) == len(trainable):
        yield _nothing(case, cuts, missing)
        return
    groups: dict[_Absence, list[ParameterRecord]] = defaultdict(list)
    for record in missing:
        groups[_absence(case, cuts, record)].append(record)
    for absence, records in groups.items():
        yield _listed(case, absence, records)
    stuck = stuck_weights(case)
    spared = excused(case)
    idle = [record for record in stuck if record.name in spared]
    for records in (idle, [record for record in stuck if record.name not in spared]):
        if records:
            yield _stuck(records, reason_of(case, records))


def _frozen(case: Case) -> Finding:
    names = tuple(record.name for record in case.profile.parameters)
    return Finding(
        "JR303",
        "no-gradient",
        Severity.ERROR,
        where=_where(list(names)),
        got="no trainable parameter",
        expected="parameters to train",
        because="every parameter has requires_grad=False",
        try_="model.requires_grad_(True), or for the part that is to be trained",
        evidence=(Evidence("frozen parameters", 1.0, "share of all parameters", 0.0, 0.0),),
        sites=names,
    )


def _nothing(case: Case, cuts: Cuts, missing: list[ParameterRecord]) -> Finding:
    between = cuts.nodes
    return Finding(
        "JR303",
        "no-gradient",
        Severity.ERROR,
        where=case.place(between[0].outputs[0]) if between else "loss",
        got="a loss that depends on no trainable parameter",
        expected="a gradient for the trainable parameters",
        because=_lost_at(cuts, between[0]) + ", and lies between the parameters and the loss"
        if between
        else "the forward does not use its parameters",
        try_="score the output before this operation, and remove torch.no_grad and .detach() from the forward",
        evidence=(Evidence("parameters without gradient", 1.0, "share of the trainable parameters", 0.0, 0.0),),
        sites=tuple(record.name for record in missing),
    )


def _absence(case: Case, cuts: Cuts, record: ParameterRecord) -> _Absence:
    """Sort a parameter without a gradient by reason."""
    site = case.graph.by_name[record.name]
    if not case.graph.parameter_sites[site.index].uses:
        return UNUSED
    fate = cuts.fates.get(site.index, Fate())
    if fate.unread:
        return UNREAD
    first = fate.soft if fate.hard is None else fate.hard
    if first is None:
        return TAKEN_OUT if cuts.blind else THROWN
    node = case.graph.nodes[first]
    harmful = fate.hard is not None or cuts.only_way
    return _Absence(
        Severity.WARNING if harmful else Severity.NOTE,
        f"cut off from the loss: {_lost_at(cuts, node)} ({node.source or node.module})",
        "a path to the loss along which a gradient comes back",
        "score what it makes before this operation, or set requires_grad=False if it is meant to stay as it is",
    )


def _lost_at(cuts: Cuts, node: Node) -> str:
    if cuts.integer(node):
        return f"{node.op} has no derivative"
    if node.op in {"detach", "alias", "cast"}:
        return f"{node.op} keeps the gradient away"
    return f"{node.op} ran without gradients (torch.no_grad, .data or .detach)"


def _listed(case: Case, absence: _Absence, records: list[ParameterRecord]) -> Finding:
    # The weights first: what a reader looks for is the layer, not its bias.
    weights = [record.name for record in records if len(case.graph.by_name[record.name].shape) > 1]
    names = [*weights, *(record.name for record in records if record.name not in weights)]
    return Finding(
        "JR303",
        "no-gradient",
        absence.severity if weights else Severity.NOTE,
        where=_where(names),
        got=f"{len(names)} trainable parameters without a gradient",
        expected=absence.expected,
        because=absence.because,
        try_=absence.remedy,
        evidence=(Evidence("parameters without gradient", float(len(names)), "parameters", 0.0, 0.0),),
        sites=tuple(names),
    )


def _stuck(stuck: list[ParameterRecord], reason: Reason) -> Finding:
    names = [record.name for record in stuck]
    return Finding(
        "JR303",
        "no-gradient",
        reason.severity,
        where=_where(names),
        got=f"{len(names)} weights whose gradient is exactly zero, also after a trial step of the others",
        expected="a gradient that is not zero, or that opens with the first step",
        because=reason.because,
        try_=reason.remedy,
        evidence=(Evidence("weights that never open", float(len(names)), "parameters", 0.0, 0.0),),
        sites=tuple(names),
    )


def _where(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")

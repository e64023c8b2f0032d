"""Hidden units are copies of each other and will stay so: the layer is as wide as its number of different units.

## What it does

Compares the incoming weights of the units of every hidden layer, and their gradients on a real batch. Units whose
weights and gradients are both equal make the same step, and every later one too.

## Why is this bad

Hidden units can be exchanged for one another. If they start equal (constant weights), minibatch SGD never tells them
apart: a layer of 256 such units has the power of one. Only noise that differs between units breaks the tie; dropout
does.

## How it is judged

All units of a hidden layer in one group (four for the gates of an LSTM) is an error if a unit is one number for each
example; a warning if it is a map or a sequence, as a convolution's, which still carries much by itself. More than
half in groups of two or more is a warning, fewer a note. Equal weights with different gradients (a zero head before a
cross-entropy, LoRA's B = 0, dropout in the way) are fine and stay silent; so are output layers, whose units the
target tells apart. Where the gradient is still exactly zero, behind a gate that has yet to open, equal units count if
all weights that read them are constant too, as in a network that is zero throughout; otherwise this is not judged,
and that is said.

## Example

    torch.nn.init.constant_(layer.weight, 0.1)

## Fix

Draw the weights at random: `torch.nn.init.kaiming_normal_(layer.weight)`. Biases may start equal.

## References

[Goodfellow2016], section 8.4
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.depth import Layer
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Role
from justright.core.profile import ParameterRecord
from justright.core.vocabulary import Kind
from justright.diagnostics._closed import all_zero
from justright.diagnostics.base import Case, diagnostic

__all__ = ["identical_units"]

WARNING = 0.5
"""Share of a layer's units: beyond it the layer has lost more than half of what it was built for."""

GATES = 4
"""Groups into which equal units fall at most if all are equal: an LSTM keeps the weights of its four gates together."""

UNIT_BY_UNIT = frozenset({Kind.POINTWISE, Kind.CAST})
"""Kinds that treat all units of a layer alike."""


@diagnostic("JR301", "identical-units", rank=1)
def identical_units(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for all hidden layers with units that stay identical, the worst first."""
    hidden = [(record, layer) for layer in case.layers if layer.hidden for record in _records(case, layer)]
    unread = [record for record, _ in hidden if not record.units and record.gradient and record.trainable]
    if unread:
        yield Gap("identical units", "the layout of this weight is not known", len(unread), unread[0].name)
    equal = [(record, layer) for record, layer in hidden if _equal(record)]
    waiting = [(record, layer) for record, layer in equal if _asleep(record) and record.opens_after is not None]
    unsure = [record for record, layer in waiting if not _read_alike(case, record, layer)]
    if unsure:
        reason = "its units are equal, but its gradient is exactly zero until another weight has made its first step"
        yield Gap("identical units", reason, len(unsure), unsure[0].name)
    found = sorted((record for record, _ in equal if record not in unsure), key=_share, reverse=True)
    if found:
        layer_of = {record.name: layer for record, layer in equal}
        yield _finding(found, max(_severity(case, record, layer_of[record.name]) for record in found))


def _records(case: Case, layer: Layer) -> Iterator[ParameterRecord]:
    for site in sorted(layer.weights):
        parameter = case.graph.parameter_sites.get(site)
        if parameter is not None and parameter.name in case.profile.parameter:
            yield case.profile.parameter[parameter.name]


def _equal(record: ParameterRecord) -> bool:
    """Say whether units are equal for a reason that concerns them.

    Zeros whose gradient is zero and stays zero are another fault. Some zero rows of a weight that starts at zero are
    units that this batch gave no gradient, which says nothing on the next one.
    """
    if not record.identical or (all_zero(record) and _asleep(record) and record.opens_after is None):
        return False
    return not all_zero(record) or len(record.identical[0]) == record.units


def _asleep(record: ParameterRecord) -> bool:
    """Say whether the gradient is exactly zero."""
    return record.gradient is not None and record.gradient.zeros == 1.0


def _read_alike(case: Case, record: ParameterRecord, layer: Layer) -> bool:
    """Say whether all units are equal and only weights of one value read them, which cannot tell them apart."""
    pending = list(layer.outputs)
    readers: set[int] = set()
    while pending:
        for index in case.graph.consumers[pending.pop()]:
            node = case.graph.nodes[index]
            if node.kind in UNIT_BY_UNIT and len({operand.site for operand in node.operands}) == 1:
                pending += node.outputs
            else:
                readers.add(index)
    following = {
        index: weights for each in case.layers if (weights := list(_records(case, each))) for index in each.nodes
    }
    constant = all(index in following and all(each.value.std == 0.0 for each in following[index]) for index in readers)
    return bool(readers) and constant and len(record.identical[0]) == record.units


def _share(record: ParameterRecord) -> float:
    return sum(len(group) for group in record.identical) / record.units


def _severity(case: Case, record: ParameterRecord, layer: Layer) -> Severity:
    if _share(record) < 1.0 or len(record.identical) > GATES:
        return Severity.WARNING if _share(record) > WARNING else Severity.NOTE
    if _asleep(record) and record.opens_after is None:
        return Severity.ERROR
    examples = next((site.shape[0] for site in case.graph.sites if site.role is Role.INPUT and site.shape), 1)
    positions = [case.graph.sites[site].size // (record.units * examples) for site in layer.outputs]
    return Severity.WARNING if max(positions, default=1) > 1 else Severity.ERROR


def _finding(found: list[ParameterRecord], severity: Severity) -> Finding:
    worst = found[0]
    equal = sum(len(group) for group in worst.identical)
    different = worst.units - equal + len(worst.identical)
    return Finding(
        "JR301",
        "identical-units",
        severity,
        where=worst.name + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
        got=f"{equal} of {worst.units} hidden units equal in weights and in gradients: {different} different ones",
        expected=f"{worst.units} different units",
        because="units with equal incoming weights and equal gradients make equal steps for ever; weights have "
        f"RMS {worst.value.rms:.3g} and standard deviation {worst.value.std:.3g}",
        try_=f"torch.nn.init.kaiming_normal_(model.get_parameter({worst.name!r}))",
        evidence=(Evidence("identical units", _share(worst), "share of the layer's units", 0.0, 0.0),),
        sites=tuple(record.name for record in found),
    )

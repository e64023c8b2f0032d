"""Hidden units are copies of each other and will stay so: the layer is as wide as its number of different units.

## What it does

Compares the incoming weights of the units of every hidden layer, and their gradients on a real batch. Units whose weights
and gradients are both equal make the same step, and every later one too.

## Why is this bad

Hidden units can be exchanged for one another. If they start equal (constant weights), minibatch SGD never tells them
apart: a layer of 256 such units has the power of one. Only noise that differs between units breaks the tie; dropout does.

## How it is judged

All units of a hidden layer in one group is an error, more than half in groups of two or more a warning, fewer a note.
Equal weights with different gradients (a zero head before a cross-entropy, LoRA's B = 0, dropout in the way) are fine and
stay silent; so are output layers, whose units the target tells apart.

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
from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import ParameterRecord
from justright.diagnostics.base import Case, diagnostic

__all__ = ["identical_units"]

WARNING = 0.5
"""Share of a layer's units: beyond it the layer has lost more than half of what it was built for."""


@diagnostic("JR301", "identical-units")
def identical_units(case: Case) -> Iterator[Finding | Gap]:
    """Yield one finding for all hidden layers with units that stay identical, the worst first."""
    hidden = {site for layer in case.layers if layer.hidden for site in layer.weights}
    records = [
        case.profile.parameter[case.graph.parameter_sites[site].name]
        for site in sorted(hidden)
        if site in case.graph.parameter_sites and case.graph.parameter_sites[site].name in case.profile.parameter
    ]
    unread = [record for record in records if not record.units and record.gradient and record.trainable]
    if unread:
        yield Gap("identical units", "the layout of this weight is not known", len(unread), unread[0].name)
    found = sorted((record for record in records if record.identical), key=_share, reverse=True)
    if found:
        yield _finding(found)


def _share(record: ParameterRecord) -> float:
    return sum(len(group) for group in record.identical) / record.units


def _severity(record: ParameterRecord) -> Severity:
    if len(record.identical[0]) == record.units:
        return Severity.ERROR
    return Severity.WARNING if _share(record) > WARNING else Severity.NOTE


def _finding(found: list[ParameterRecord]) -> Finding:
    worst = found[0]
    equal = sum(len(group) for group in worst.identical)
    different = worst.units - equal + len(worst.identical)
    return Finding(
        "JR301",
        "identical-units",
        max(_severity(record) for record in found),
        where=worst.name + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
        got=f"{equal} of {worst.units} hidden units equal in weights and in gradients: {different} different ones",
        expected=f"{worst.units} different units",
        because="units with equal incoming weights and equal gradients make equal steps for ever; weights have "
        f"RMS {worst.value.rms:.3g} and standard deviation {worst.value.std:.3g}",
        try_=f"torch.nn.init.kaiming_normal_(model.get_parameter({worst.name!r}))",
        evidence=(Evidence("identical units", _share(worst), "share of the layer's units", 0.0, 0.0),),
        sites=tuple(record.name for record in found),
    )

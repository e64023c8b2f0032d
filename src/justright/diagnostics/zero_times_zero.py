"""Two factors of one product both start at zero: neither ever gets a gradient.

## What it does

Takes the parameters that are exactly zero and whose gradient is exactly zero, lets all other zero parameters make a
small trial step (on copies), and looks whether a gradient then comes through. Those that never get one are blocked by
each other.

## Why is this bad

The gradient of a factor is proportional to the other factor. If both are zero (LoRA with A = 0 and B = 0, a residual
gamma of zero before a zero projection), both gradients are zero for ever and the path is dead.

## How it is judged

Any weight that no number of steps opens is an error. A single zero factor opens with the first step and is a known
and good design: LoRA's B, residual gammas, ReZero, zero heads, Fixup. So is a zero attention bias; where the
attention has a single position in this batch, it has nothing to decide and is left out.

## Example

    torch.nn.init.zeros_(lora.A); torch.nn.init.zeros_(lora.B)

## Fix

Leave one of the two factors random: `torch.nn.init.kaiming_uniform_(lora.A, a=5 ** 0.5)` and B = 0.

## References

[Hu2021], [Bachlechner2020]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import ParameterRecord
from justright.diagnostics._closed import all_zero, closed
from justright.diagnostics._stuck import excused
from justright.diagnostics.base import Case, diagnostic

__all__ = ["zero_times_zero"]


@diagnostic("JR302", "zero-times-zero", rank=1)
def zero_times_zero(case: Case) -> Iterator[Finding]:
    """Yield a finding if two or more parameters that are zero block each other."""
    spared = excused(case)
    blocked = [record for record in closed(case) if all_zero(record) and record.name not in spared]
    if len(blocked) > 1 and any(_weight(case, record) for record in blocked):
        yield _finding(case, blocked)


def _weight(case: Case, record: ParameterRecord) -> bool:
    return len(case.graph.by_name[record.name].shape) > 1


def _finding(case: Case, blocked: list[ParameterRecord]) -> Finding:
    names = [record.name for record in blocked]
    weights = [record.name for record in blocked if _weight(case, record)]
    return Finding(
        "JR302",
        "zero-times-zero",
        Severity.ERROR,
        where=", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else ""),  # noqa: PLR2004
        got=f"{len(names)} parameters at exactly zero, whose gradients are zero and stay zero",
        expected="at most one zero factor on every path, so that its gradient opens the path",
        because="the gradient of each is proportional to another one of them, and both are zero; a trial step of all "
        "other parameters did not open them",
        try_=f"torch.nn.init.kaiming_uniform_(model.get_parameter({weights[0]!r}), a=5 ** 0.5)",
        evidence=(Evidence("parameters that never open", float(len(names)), "parameters", 0.0, 0.0),),
        sites=tuple(names),
    )

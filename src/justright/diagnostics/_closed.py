"""Parameters whose gradient is exactly zero and that nothing opens."""

from __future__ import annotations

from justright.core.profile import ParameterRecord
from justright.diagnostics.base import Case

__all__ = ["all_zero", "closed"]


def all_zero(record: ParameterRecord) -> bool:
    """Say whether every value of the parameter is zero."""
    return record.value.count > 0 and record.value.zeros == 1.0


def closed(case: Case) -> list[ParameterRecord]:
    """Trainable parameters with a gradient that is zero everywhere and stays so after trial steps of the others."""
    return [
        record
        for record in case.profile.parameters
        if record.trainable and record.gradient and record.gradient.zeros == 1.0 and record.opens_after is None
    ]

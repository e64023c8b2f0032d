"""What a diagnostic yields: a finding with its evidence, in four parts that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

__all__ = ["Evidence", "Finding", "Severity", "verdict_of"]


class Severity(IntEnum):
    """How much a finding matters; larger is worse.

    ``error``: this will not train as it stands. ``warning``: it will train worse, or break in half precision.
    ``note``: worth knowing.
    """

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """Lower-case name, as printed and written to JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number that a finding rests on, with its unit and the interval it should lie in.

    Parameters
    ----------
    name
        Quantity, in the field's term: ``"gradient growth"``.
    value
        What it is.
    unit
        ``"nats per layer"``, ``"share of elements"`` …
    low, high
        Interval in which it would be healthy; ``None`` leaves that side open.
    """

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"name": self.name, "value": self.value, "unit": self.unit, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Finding:
    """A number outside its interval: where, got, expected, because, try.

    Parameters
    ----------
    code
        Stable code of the diagnostic, ``"JR103"``.
    name
        Its name, ``"vanishing-gradient"``.
    severity
        How much it matters.
    where
        Site, parameter or range of layers, with the source line where known.
    got, expected
        What was found and what a healthy network shows.
    because
        Why this happens, by which evidence.
    try_
        What to type next: a command or a line of code.
    evidence
        The numbers behind it.
    sites
        Names of the sites and parameters concerned, the most telling first.
    symptoms
        Findings that this one explains, and that would go with it.
    """

    code: str
    name: str
    severity: Severity
    where: str
    got: str
    expected: str
    because: str
    try_: str
    evidence: tuple[Evidence, ...] = ()
    sites: tuple[str, ...] = ()
    symptoms: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, in the schema of the JSON report."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity.label,
            "where": self.where,
            "got": self.got,
            "expected": self.expected,
            "because": self.because,
            "try": self.try_,
            "evidence": [item.to_dict() for item in self.evidence],
            "sites": list(self.sites),
            "symptoms": [each.to_dict() for each in self.symptoms],
        }


def verdict_of(findings: tuple[Finding, ...]) -> str:
    """Return the worst severity's label, or ``"healthy"`` when nothing above a note was found.

    Examples
    --------
    >>> verdict_of(())
    'healthy'
    """
    worst = max((finding.severity for finding in findings), default=Severity.NOTE)
    return "healthy" if worst is Severity.NOTE else worst.label

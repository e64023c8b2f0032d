"""How a finding about an output that does not fit its loss is written."""

from __future__ import annotations

from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.diagnostics._loss import Reading
from justright.diagnostics.base import Case

__all__ = ["line_of", "misfit"]


def misfit(
    case: Case,
    reading: Reading,
    severity: Severity,
    *,
    got: str,
    expected: str,
    because: str,
    try_: str,
    evidence: Evidence,
) -> Finding:
    """Make a finding about the output that a reading of the loss reads."""
    return Finding(
        "JR702",
        "output-activation",
        severity,
        where=case.place(reading.output),
        got=got,
        expected=expected,
        because=because,
        try_=try_,
        evidence=(evidence,),
        sites=(case.graph.sites[reading.output].name,),
    )


def line_of(node: Node) -> str:
    """Name an operator by its source line, or else by its module."""
    return node.source or node.module or node.op

"""The first line of every report: one sentence that a newcomer understands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from justright.core.findings import Severity
from justright.report.text import plural

if TYPE_CHECKING:
    from justright.report.report import Report

__all__ = ["NOT_CHECKED", "sentence"]

NOT_CHECKED: Final = "not checked"
"""The verdict on a network of which no tensor was examined: silence about it means nothing."""

MEANING: Final = {
    Severity.ERROR: "this network will not train as it stands",
    Severity.WARNING: "this network will train worse than it could, or break in half precision",
}


def sentence(report: Report) -> str:
    """Say what the verdict means and how much it rests on.

    Parameters
    ----------
    report
        What was found.
    """
    if report.verdict == NOT_CHECKED:
        return "no floating-point tensor was examined, so nothing can be said about this network"
    if report.worst in MEANING:
        return f"{MEANING[report.worst]} ({_counts(report)})"
    coverage = report.coverage
    checked = f"{_share(coverage.forward, coverage.sites, 'site')} and {plural(coverage.parameters, 'parameter')}"
    how = "checked, nothing" if report.forecast is None else "predicted, and nothing that a prediction can show"
    return f"{checked} {how} outside its interval{_remainder(report)}"


def _counts(report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    return ", ".join(plural(counts[severity], severity.label) for severity in sorted(counts, reverse=True))


def _share(part: int, whole: int, noun: str) -> str:
    return plural(whole, noun) if part == whole else f"{part:,} of {plural(whole, noun)}"


def _remainder(report: Report) -> str:
    notes = [plural(len(report.findings), "note")] if report.findings else []
    gaps = [plural(len(report.coverage.gaps), "gap") + " in the coverage"] if report.coverage.gaps else []
    return "".join(f"; {each}" for each in notes + gaps)

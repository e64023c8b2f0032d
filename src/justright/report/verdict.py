"""The first line of every report: one sentence that a newcomer understands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from justright.core.findings import Severity
from justright.report.text import plural

if TYPE_CHECKING:
    from justright.report.report import Report

__all__ = ["headline", "sentence"]

MEANING: Final = {
    Severity.ERROR: "this network will not train as it stands",
    Severity.WARNING: "this network will train worse than it could, or break in half precision",
}


def headline(report: Report) -> str:
    """Return the one word before the sentence: the verdict, or that nothing could be judged.

    Parameters
    ----------
    report
        What was found.
    """
    return "not checked" if _unchecked(report) else report.verdict


def sentence(report: Report) -> str:
    """Say what the verdict means and how much it rests on.

    Parameters
    ----------
    report
        What was found.
    """
    if _unchecked(report):
        return "no floating-point tensor was examined, so nothing can be said about this network"
    if report.worst in MEANING:
        return f"{MEANING[report.worst]} ({_counts(report)})"
    coverage = report.coverage
    checked = f"{_share(coverage.forward, coverage.sites, 'site')} and {plural(coverage.parameters, 'parameter')}"
    return f"{checked} checked, nothing outside its interval{_remainder(report)}"


def _unchecked(report: Report) -> bool:
    return not report.findings and report.coverage.forward == 0


def _counts(report: Report) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    return ", ".join(plural(counts[severity], severity.label) for severity in sorted(counts, reverse=True))


def _share(part: int, whole: int, noun: str) -> str:
    return plural(whole, noun) if part == whole else f"{part:,} of {plural(whole, noun)}"


def _remainder(report: Report) -> str:
    notes = [plural(len(report.findings), "note")] if report.findings else []
    gaps = [plural(len(report.coverage.gaps), "gap") + " in the coverage"] if report.coverage.gaps else []
    return "".join(f"; {each}" for each in notes + gaps)

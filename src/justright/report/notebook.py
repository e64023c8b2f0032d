"""The report in a notebook: a few kilobytes of HTML without any script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from justright.report.plots.svg import depth_svg
from justright.report.text import printable
from justright.report.verdict import sentence

if TYPE_CHECKING:
    from justright.core.findings import Finding
    from justright.report.report import Report

__all__ = ["fragment"]

COLOURS: Final = {
    "error": "#D55E00",
    "warning": "#E69F00",
    "note": "#56B4E9",
    "healthy": "#009E73",
    "not checked": "#E69F00",
}
"""Okabe and Ito's palette; the word stands beside the colour everywhere."""


def fragment(report: Report) -> str:
    """Return the verdict, the depth profile, the findings and the coverage as one HTML element.

    Parameters
    ----------
    report
        What to show; every text from it is escaped.
    """
    word = report.verdict
    return (
        '<div class="justright-report" style="max-width:52rem;line-height:1.4">'
        f'<p style="border-left:6px solid {COLOURS[word]};padding-left:.6em;margin:.4em 0">'
        f"<strong>{_text(word)}:</strong> {_text(sentence(report))}<br><small>{_text(report.title)}</small></p>"
        f"{depth_svg(report)}{''.join(_finding(finding) for finding in report.findings)}{_coverage(report)}</div>"
    )


def _text(value: str) -> str:
    return escape(printable(value))


def _finding(finding: Finding) -> str:
    label = finding.severity.label
    rows = [("where", finding.where), ("got", finding.got), ("expected", finding.expected)]
    rows += [("because", finding.because), ("try", finding.try_)]
    body = "".join(
        f'<dt style="float:left;clear:left;width:5.5em;opacity:.75">{name}</dt>'
        f'<dd style="margin:0 0 .15em 5.8em;white-space:pre-wrap;overflow-wrap:anywhere">{_text(value)}</dd>'
        for name, value in rows
    )
    return (
        f'<details open style="border-left:6px solid {COLOURS[label]};padding-left:.6em;margin:.6em 0">'
        f"<summary><strong>{label} {_text(finding.code)}</strong> {_text(finding.name)}</summary>"
        f'<dl style="margin:.3em 0">{body}</dl></details>'
    )


def _coverage(report: Report) -> str:
    coverage = report.coverage
    gaps = [
        f"{gap.what} (×{gap.count}): {gap.reason}{f'; first at {gap.where}' if gap.where else ''}"
        for gap in coverage.gaps
    ]
    counts = (
        f"{coverage.forward} of {coverage.sites} signals, {coverage.gradient} of {coverage.differentiable} gradients, "
        f"{coverage.parameters_with_gradient} of {coverage.parameters} parameters with a gradient"
    )
    lists = _list("gaps", gaps) + _list("assumptions", list(report.assumptions))
    return f"<details><summary>Coverage: {counts}</summary>{lists}</details>"


def _list(title: str, items: list[str]) -> str:
    body = "".join(f"<li>{_text(item)}</li>" for item in items)
    return f"<p>{title}: {'none' if not items else ''}</p>" + (f"<ul>{body}</ul>" if items else "")

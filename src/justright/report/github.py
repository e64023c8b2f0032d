"""Annotations of GitHub Actions: each finding beside the line of the user's source where it arises.

The runner reads workflow commands from the output of a step: ``::error file=net.py,line=41,title=…::message``. It shows
at most ten errors, ten warnings and ten notices of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from justright.core.findings import Finding, Severity
from justright.report.text import printable

if TYPE_CHECKING:
    from justright.report.report import Report
    from justright.report.summary import Outcome

__all__ = ["workflow_commands"]

COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}

DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
"""What the message of a command must not hold as it is; the runner turns it back."""

PROPERTY: Final = DATA | str.maketrans({":": "%3A", ",": "%2C"})
"""What the value of a property must not hold either, because it ends there."""


def workflow_commands(outcome: Outcome, root: Path | None = None) -> Iterator[str]:
    """Yield one workflow command a finding, or one that says why the model could not be examined.

    Parameters
    ----------
    outcome
        What came of one model.
    root
        Folder that the paths of annotations are relative to, the checkout; the current folder by default.

    Examples
    --------
    >>> from justright.report.summary import Outcome
    >>> list(workflow_commands(Outcome("net.py:make", error=ValueError("50 % of it"))))
    ['::error title=justright could not examine net.py%3Amake::ValueError: 50 %25 of it']
    """
    root = (root or Path.cwd()).resolve()
    if outcome.report is None:
        title = f"justright could not examine {outcome.title}"
        yield _command("error", {**_place(outcome.file, root), "title": title}, outcome.reason)
        return
    for finding in outcome.report.findings:
        place = _place(_source(outcome.report, finding), root) or _place(outcome.file, root)
        properties = {**place, "title": f"{finding.code} {finding.name}"}
        yield _command(COMMANDS[finding.severity], properties, _message(finding, outcome.title))


def _command(name: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{key}={printable(value).translate(PROPERTY)}" for key, value in properties.items())
    return f"::{name} {told}::{printable(message).translate(DATA)}"


def _source(report: Report, finding: Finding) -> str:
    """Source line of the first site of a finding that has one."""
    sites = (report.graph.by_name.get(name) for name in finding.sites)
    return next((line for site in sites if site is not None and (line := report.graph.source_of(site.index))), "")


def _place(source: str, root: Path) -> dict[str, str]:
    """Return the file and the line of ``"net.py:41"``; nothing for a file that is not of this checkout."""
    head, colon, line = source.rpartition(":")
    name = head if colon and line.isdigit() else source
    path = Path(name).resolve()
    if not name or not path.is_relative_to(root):
        return {}
    return {"file": path.relative_to(root).as_posix()} | ({"line": line} if name == head else {})


def _message(finding: Finding, title: str) -> str:
    parts = [("expected", finding.expected), ("because", finding.because), ("try", finding.try_)]
    parts += [("explains", f"{each.code} {each.name}, {each.where}") for each in finding.symptoms]
    told = "\n".join(f"{label}: {value}" for label, value in parts)
    return f"{title}, {finding.where}: {finding.got}\n{told}"

"""Several models at once: what came of each, and one table of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from justright.core.findings import Severity
from justright.errors import JustRightError
from justright.report.optional import optional
from justright.report.text import plural, printable, to_ascii

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

    from justright.report.report import Report

__all__ = ["NOT_EXAMINED", "Outcome", "Summary", "counted"]

NOT_EXAMINED: Final = "not examined"
"""What stands in the place of a verdict where examining a model raised an error."""

STYLES: Final = {
    "error": "bold red",
    "warning": "bold yellow",
    "healthy": "bold green",
    "not checked": "bold yellow",
    NOT_EXAMINED: "bold red",
}

HEADS: Final = ("model", "verdict", "sites", "gaps", "first finding, or why not")


@dataclass(frozen=True)
class Outcome:
    """What came of one model: its report, or the error because of which there is none.

    Parameters
    ----------
    title
        What the user calls the model.
    report
        What was found; ``None`` if the model could not be examined.
    error
        Why it could not.
    file
        Path of the user's file that makes the model, ``"train.py"``; empty where there is none.

    Examples
    --------
    >>> Outcome("net.py:make", error=ValueError("a list")).verdict
    'not examined'
    """

    title: str
    report: Report | None = None
    error: Exception | None = None
    file: str = ""

    @property
    def verdict(self) -> str:
        """Verdict of the report, or ``"not examined"``."""
        return NOT_EXAMINED if self.report is None else self.report.verdict

    @property
    def reason(self) -> str:
        """The error in words, empty if there is none; one of justright's own in its four parts."""
        if self.error is None or isinstance(self.error, JustRightError):
            return str(self.error or "")
        return f"{type(self.error).__name__}: {self.error}"

    def fails(self, fail_on: Severity) -> bool:
        """Say whether something was found at this severity or above."""
        worst = None if self.report is None else self.report.worst
        return worst is not None and worst >= fail_on


class Summary:
    """One row a model, for rich to print; ASCII where the output is not UTF-8.

    Parameters
    ----------
    outcomes
        What came of each model, in the order of the rows.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = tuple(outcomes)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the table, and a line that counts the verdicts."""
        with optional("rich"):
            from rich import box
            from rich.table import Table
            from rich.text import Text
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
        for head in HEADS:
            number = head in {"sites", "gaps"}
            table.add_column(
                head, overflow="fold", no_wrap=number or head == "verdict", justify="right" if number else "left"
            )
        for outcome in self.outcomes:
            safe = [printable(cell) for cell in _row(outcome)]
            texts = [Text(to_ascii(cell) if options.ascii_only else cell, overflow="fold") for cell in safe]
            texts[1].stylize(STYLES[outcome.verdict])
            table.add_row(*texts)
        yield Text()
        yield table
        yield Text(counted(self.outcomes), style="bold")


def counted(outcomes: Sequence[Outcome]) -> str:
    """Count the verdicts, the worst first.

    Examples
    --------
    >>> counted([Outcome("a", error=ValueError()), Outcome("b", error=ValueError())])
    '2 models: 2 not examined'
    """
    counts = Counter(outcome.verdict for outcome in outcomes)
    order = (NOT_EXAMINED, "error", "warning", "not checked", "healthy")
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in order if counts[verdict])
    return f"{plural(len(outcomes), 'model')}: {told}"


def _row(outcome: Outcome) -> list[str]:
    report = outcome.report
    if report is None:
        return [outcome.title, outcome.verdict, "", "", _why(outcome)]
    first = next((f"{each.code} {each.name}" for each in report.findings), "")
    more = f" and {len(report.findings) - 1} more" if len(report.findings) > 1 else ""
    sites = f"{report.coverage.forward:,}/{report.coverage.sites:,}"
    return [outcome.title, outcome.verdict, sites, f"{len(report.coverage.gaps):,}", first + more]


def _why(outcome: Outcome) -> str:
    """Say in a few words why a model could not be examined; the whole error is told where it arises."""
    said = outcome.error.got if isinstance(outcome.error, JustRightError) else outcome.reason
    return said.partition("\n")[0]

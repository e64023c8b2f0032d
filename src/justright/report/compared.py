"""A comparison in a terminal: what went, came and stayed, and where signals and gradients changed most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from justright.report.optional import optional
from justright.report.text import number, printable, to_ascii

with optional("rich"):
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

if TYPE_CHECKING:
    from justright.core.findings import Finding
    from justright.core.profile import TensorStatistics
    from justright.report.comparison import Comparison, SiteChange

__all__ = ["MOST_SITES", "TerminalComparison", "factor_words", "kept_words"]

MOST_SITES: Final = 10
"""Sites listed for each direction: what fits on a screen."""

HEADS: Final = ("site", "before", "after", "factor")


class TerminalComparison:
    """A comparison as rich prints it; ASCII where the output is not UTF-8.

    Parameters
    ----------
    comparison
        What to show.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the parts from top to bottom."""
        told, ascii_only = self.comparison, options.ascii_only
        yield _text(told.sentence, ascii_only, "bold")
        yield _text(f"before: {told.before.title}", ascii_only, "dim")
        yield _text(f"after:  {told.after.title}", ascii_only, "dim")
        yield from _findings("Went", [_named(each) for each in told.went], ascii_only, "green")
        yield from _findings("Came", [_named(each) for each in told.came], ascii_only, "bold red")
        yield from _findings("Stayed", [kept_words(*pair) for pair in told.stayed], ascii_only, "yellow")
        for direction, title in (("forward", "Signals"), ("gradient", "Gradients")):
            yield _text(f"\n{title} that changed most (RMS)", ascii_only, "bold")
            yield _changes(told.largest(direction, MOST_SITES), direction, ascii_only)
        yield _text(f"\n{told.joined}", ascii_only, "dim")


def factor_words(before: TensorStatistics | None, after: TensorStatistics | None) -> str:
    """Write by how much an RMS changed.

    Parameters
    ----------
    before, after
        Statistics of one tensor; ``None`` where there are none.
    """
    if before is None or after is None:
        return "unknown"
    finite = [math.isfinite(each.rms) for each in (before, after)]
    if not all(finite):
        return "finite now" if finite[1] else "not finite now" if finite[0] else "not finite"
    if 0 in {before.rms, after.rms}:
        return "same" if before.rms == after.rms else "zero now" if after.rms == 0 else "no longer zero"
    return f"×{number(after.rms / before.rms)}"


def kept_words(before: Finding, after: Finding) -> str:
    """Write a finding that stayed, with what changed of its severity and place.

    Parameters
    ----------
    before, after
        The finding in both reports.
    """
    changed = [] if before.severity == after.severity else [f"was {before.severity.label}"]
    changed += [] if before.where == after.where else [f"was at {before.where}"]
    return _named(after) + (f" ({', '.join(changed)})" if changed else "")


def _named(finding: Finding) -> str:
    return f"{finding.severity.label} {finding.code} {finding.name}, {finding.where}"


def _text(value: str, ascii_only: bool, style: str = "") -> Text:
    safe = printable(value)
    return Text(to_ascii(safe) if ascii_only else safe, style=style, overflow="fold")


def _findings(title: str, lines: Sequence[str], ascii_only: bool, style: str) -> Iterator[RenderableType]:
    if lines:
        yield _text(f"\n{title}", ascii_only, style)
        yield from (Padding(_text(line, ascii_only), (0, 0, 0, 2)) for line in lines)


def _changes(changes: Sequence[SiteChange], direction: str, ascii_only: bool) -> RenderableType:
    if not changes:
        return Padding(_text("none changed", ascii_only), (0, 0, 0, 2))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in HEADS:
        right = head != HEADS[0]
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=right)
    for change in changes:
        one, two = getattr(change.before, direction), getattr(change.after, direction)
        cells = (change.after.name, number(one.rms), number(two.rms), factor_words(one, two))
        table.add_row(*(_text(cell, ascii_only) for cell in cells))
    return Padding(table, (0, 0, 0, 2))

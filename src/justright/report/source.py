"""The user's own source, with what each line made at its end."""

from __future__ import annotations

import linecache
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from justright.report.text import cells, folded, number, plural, printable, shortened, to_ascii

if TYPE_CHECKING:
    from justright.core.graph import Graph
    from justright.core.profile import SiteRecord, TensorStatistics
    from justright.report.report import Report

__all__ = ["annotated", "runs_of"]

MARGIN: Final = 7
"""Columns of the line number and the bar after it."""


SHORTEST_CODE: Final = 16
"""Columns of code that a note beside it has to leave."""


class Made(NamedTuple):
    """An operator's float output: the operator's name and the record of the site."""

    op: str
    record: SiteRecord


def annotated(report: Report, width: int = 120, *, ascii_only: bool = False) -> str:
    """Return every source line that made a float tensor, with forward and gradient RMS at its end.

    Parameters
    ----------
    report
        Graph and profile.
    width
        Columns that no line exceeds; at least 40 are used.
    ascii_only
        Whether to write ASCII characters alone.

    Returns
    -------
    str
        File by file in the order of first use. A line that ran n times shows the smallest and largest value and
        ``×n``; a file that cannot be read is said, and its lines are shown by number.
    """
    files, unplaced = _by_file(report)
    layout = _Layout(max(width, 40), ascii_only)
    lines = [line for path, made in files.items() for line in _file(path, made, layout)]
    if unplaced:
        lines += layout.text(f"{plural(unplaced, 'operator')} without a source line not shown")
    return "\n".join(lines or ["no operator made a floating-point tensor"]) + "\n"


def runs_of(made: Sequence[Made]) -> tuple[SiteRecord, ...]:
    """Return what a line's last operator made in each run of the line.

    A line ran n times if its operators are n times the same sequence; the largest such n is taken.

    Parameters
    ----------
    made
        Everything the line made, in execution order.
    """
    ops = [each.op for each in made]
    total = len(ops)
    period = next(size for size in range(1, total + 1) if total % size == 0 and ops == ops[:size] * (total // size))
    return tuple(each.record for each in made[period - 1 :: period])


def _by_file(report: Report) -> tuple[dict[str, dict[int, list[Made]]], int]:
    """Collect float outputs by file and line, and count those without a line."""
    files: dict[str, dict[int, list[Made]]] = {}
    unplaced = 0
    for source, made in _outputs(report.graph, report):
        path, _, line = source.rpartition(":")
        if path and line.isdecimal():
            files.setdefault(path, {}).setdefault(int(line), []).append(made)
        else:
            unplaced += 1
    return files, unplaced


def _outputs(graph: Graph, report: Report) -> Iterator[tuple[str, Made]]:
    """Yield every operator's last float output that has a record, with the operator's source line."""
    for node in graph.nodes:
        records = [report.profile.by_name.get(graph.sites[site].name) for site in node.outputs]
        known = [record for record in records if record is not None and record.forward is not None]
        if known:
            yield node.source, Made(node.op, known[-1])


class _Layout(NamedTuple):
    """How wide a line may be and in which characters."""

    width: int
    ascii_only: bool

    def safe(self, text: str) -> str:
        return to_ascii(printable(text)) if self.ascii_only else printable(text)

    def text(self, text: str, indent: int = 0) -> list[str]:
        """Fold a text that no code stands beside."""
        return [" " * indent + piece for piece in folded(self.safe(text), self.width - indent)]

    def line(self, line: int, code: str, note: Sequence[str]) -> list[str]:
        """Put the note at the right margin, or below the code where it would leave little of it."""
        beside = self.safe("  ".join(note))
        room = self.width - MARGIN - cells(beside) - 2
        if room < SHORTEST_CODE:
            head = f"{line:>{MARGIN - 2}}  {self._code(code, self.width - MARGIN)}".rstrip()
            return [head, *(each for part in note for each in self.text(part, MARGIN + 2))]
        shown = self._code(code, room)
        return [f"{line:>{MARGIN - 2}}  {shown}{' ' * (room - cells(shown))}  {beside}"]

    def _code(self, code: str, room: int) -> str:
        return shortened(self.safe(code), room, "..." if self.ascii_only else "…")


def _file(path: str, made: dict[int, list[Made]], layout: _Layout) -> Iterator[str]:
    linecache.checkcache(path)
    code = linecache.getlines(path)
    yield from layout.text(path if code else f"{path} (cannot be read; its lines are shown by number)")
    previous = 0
    for line in sorted(made):
        if previous and line > previous + 1 and code:
            yield f"{'...':>{MARGIN - 2}}"
        yield from layout.line(line, _code(code, line), _note(runs_of(made[line])))
        previous = line
    yield ""


def _code(code: list[str], line: int) -> str:
    if line <= len(code):
        return code[line - 1].rstrip().expandtabs(4)
    return "(the file has no such line any more)" if code else ""


def _note(runs: tuple[SiteRecord, ...]) -> list[str]:
    forward = _range([record.forward for record in runs])
    gradient = _range([record.gradient for record in runs])
    times = [f"×{len(runs)}"] if len(runs) > 1 else []
    return [f"→ rms {forward}", f"← grad rms {gradient}" if gradient else "← no grad", *times]


def _range(statistics: list[TensorStatistics | None]) -> str:
    """Write one value, or the smallest and the largest; a value that is not finite is named beside them."""
    values = [each.rms for each in statistics if each is not None]
    finite = [value for value in values if math.isfinite(value)]
    ends = dict.fromkeys(number(value) for value in (min(finite), max(finite))) if finite else {}
    odd = dict.fromkeys(number(value) for value in values if not math.isfinite(value))
    return " and ".join(each for each in ("..".join(ends), *odd) if each)

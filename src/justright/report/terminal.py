"""The report in a terminal: verdict, findings, depth profile, coverage."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Final

from justright.core.findings import Finding
from justright.report.forecast import forecast_rows
from justright.report.optional import optional
from justright.report.plots.depth import depth_columns
from justright.report.plots.text import chart
from justright.report.text import plural, printable, to_ascii
from justright.report.verdict import sentence

with optional("rich"):
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

if TYPE_CHECKING:
    from justright.report.report import Report

__all__ = ["TerminalReport", "plain"]

STYLES: Final = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
    "healthy": "bold green",
    "not checked": "bold yellow",
    "forward": "blue",
    "gradient": "yellow",
    "mark": "bold red",
    "axis": "dim",
    "head": "",
}


class TerminalReport:
    """A report as rich prints it; plain text where the output is no terminal, ASCII where it is not UTF-8.

    Parameters
    ----------
    report
        What to show.
    brief
        Whether to show the verdict and the findings alone.
    """

    def __init__(self, report: Report, *, brief: bool = False) -> None:
        self.report = report
        self.brief = brief

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the parts from top to bottom."""
        writer = _Writer(ascii_only=options.ascii_only)
        yield from _verdict(writer, self.report)
        for finding in self.report.findings:
            yield from _finding(writer, finding)
        if self.brief:
            return
        yield from _profile(writer, self.report, options.max_width)
        yield from _forecast(writer, self.report)
        yield from _coverage(writer, self.report)
        yield from _context(writer, self.report)


def plain(report: Report, width: int | None = None, encoding: str = "utf-8") -> str:
    """Return the terminal report as text without colours.

    Parameters
    ----------
    report
        What to show.
    width
        Number of columns; ``None`` takes the terminal's.
    encoding
        Encoding of the output it is meant for; ASCII characters are used unless it is UTF-8.

    Raises
    ------
    BackendError
        If rich is missing.
    """
    file = TextIOWrapper(BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=file, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    console.print(TerminalReport(report))
    file.seek(0)
    return "".join(f"{line.rstrip()}\n" for line in file)


class _Writer:
    """Makes rich texts out of data: never markup, never a control character, ASCII where asked for."""

    def __init__(self, *, ascii_only: bool) -> None:
        self.ascii_only = ascii_only

    def text(self, value: str, style: str = "") -> Text:
        safe = printable(value)
        return Text(to_ascii(safe) if self.ascii_only else safe, style=style, overflow="fold")

    def parts(self, rows: list[tuple[str, str]], style: str = "dim") -> Table:
        """Lay out labels and texts in two columns."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style=style)
        grid.add_column(overflow="fold", ratio=1)
        for label, value in rows:
            grid.add_row(self.text(label), self.text(value))
        return grid

    def head(self, title: str) -> Padding:
        return Padding(self.text(title, "bold"), (1, 0, 0, 0))

    def bullet(self, value: str, style: str = "") -> Table:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(Text("   -"), self.text(value, style))
        return grid


def _verdict(writer: _Writer, report: Report) -> Iterator[RenderableType]:
    word = report.verdict
    yield writer.text(f"{word}: {sentence(report)}", STYLES[word])
    if report.title:
        yield writer.text(report.title, "dim")


def _finding(writer: _Writer, finding: Finding) -> Iterator[RenderableType]:
    yield Text()
    label = finding.severity.label
    yield writer.text(f"{label} {finding.code} {finding.name}", STYLES[label])
    parts = [("where", finding.where), ("got", finding.got), ("expected", finding.expected)]
    parts += [("because", finding.because), ("try", finding.try_)]
    parts += [("explains", f"{each.code} {each.name}: {each.got}") for each in finding.symptoms]
    yield Padding(writer.parts(parts), (0, 0, 0, 2))


def _profile(writer: _Writer, report: Report, width: int) -> Iterator[RenderableType]:
    columns = depth_columns(report)
    source = report.profile.provenance.name.lower()
    yield writer.head(f"Depth profile ({source}, {plural(len(columns), 'layer')} deep, log scale)")
    if not columns:
        yield writer.text("  no layer with weights, so there is no depth to show")
    for kind, text in chart(columns, width - 1, ascii_only=writer.ascii_only):
        line = writer.text(f" {text}", STYLES[kind])
        line.no_wrap, line.overflow = kind != "head", "fold" if kind == "head" else "crop"
        yield line


def _forecast(writer: _Writer, report: Report) -> Iterator[RenderableType]:
    if report.forecast is not None:
        yield writer.head("Prediction")
        yield Padding(writer.parts(list(forecast_rows(report, report.forecast))), (0, 0, 0, 2))


def _coverage(writer: _Writer, report: Report) -> Iterator[RenderableType]:
    coverage = report.coverage
    yield writer.head("Coverage")
    counts = [
        ("operators", f"{coverage.named:,} of {coverage.nodes:,} with a canonical name"),
        ("signals", f"{coverage.forward:,} of {coverage.sites:,} sites"),
        ("gradients", f"{coverage.gradient:,} of {coverage.differentiable:,} sites"),
        ("parameters", f"{coverage.parameters_with_gradient:,} of {coverage.parameters:,} got a gradient"),
    ]
    yield Padding(writer.parts(counts), (0, 0, 0, 2))
    yield from _list(writer, "gaps", [str(gap) for gap in coverage.gaps])
    yield from _list(writer, "assumptions", list(report.assumptions))


def _list(writer: _Writer, title: str, items: list[str]) -> Iterator[RenderableType]:
    yield writer.text(f"  {title}{'' if items else '  none'}", "dim")
    for item in items:
        yield writer.bullet(item)


def _context(writer: _Writer, report: Report) -> Iterator[RenderableType]:
    if report.context:
        yield writer.head("Context")
        yield Padding(writer.parts([(key, str(value)) for key, value in report.context.items()]), (0, 0, 0, 2))

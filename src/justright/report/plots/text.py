"""The depth profile as text: two rows of block characters, one for the signal and one for its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from justright.core.findings import Severity
from justright.report.plots.depth import Column, Level, binned
from justright.report.plots.scale import LogScale, log_scale
from justright.report.text import number, plural

__all__ = ["Line", "chart", "eighths"]

ROWS: Final = 4
"""Lines of text a row of the chart is high; eight steps each."""

LABEL: Final = 11
"""Columns left of the chart: a number such as ``1.23e-07``, two spaces and the axis."""

WIDEST: Final = 6
"""Columns that one depth takes at most, so that a network of three layers is not drawn as three walls."""

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS: Final = "  .::||##"
MARKS: Final = {Severity.ERROR: "E", Severity.WARNING: "W", Severity.NOTE: "N"}

Pick = Callable[[Column], Level]


class Line(NamedTuple):
    """A line of the chart and what it shows: ``head``, ``forward``, ``gradient``, ``mark`` or ``axis``."""

    kind: str
    text: str


def chart(columns: tuple[Column, ...], width: int, *, ascii_only: bool = False) -> list[Line]:
    """Draw the depth profile.

    Parameters
    ----------
    columns
        One a depth, shallowest first.
    width
        Columns of text to fill at most; at least 24 are used.
    ascii_only
        Whether to draw with ASCII characters.

    Returns
    -------
    list of Line
        From top to bottom; empty without columns.
    """
    if not columns:
        return []
    room = max(width, 24) - LABEL
    shown = binned(columns, room)
    cell = max(min(room // len(shown), WIDEST), 1)
    lines = [
        *_panel("forward", "forward rms", columns, shown, lambda column: column.forward, cell, ascii_only),
        *_panel("gradient", "gradient rms", columns, shown, lambda column: column.gradient, cell, ascii_only),
    ]
    return [*lines, *_footer(shown, cell)]


def eighths(level: Level, scale: LogScale, rows: int = ROWS) -> int:
    """Return the height of a column in eighths of a line, from 1 to ``8 * rows``; 0 if it cannot be drawn.

    Parameters
    ----------
    level
        What to draw.
    scale
        The axis.
    rows
        Lines of text that the axis is high.
    """
    return 1 + round(scale.position(level.rms) * (8 * rows - 1)) if level.drawable else 0


def _panel(
    kind: str, title: str, columns: tuple[Column, ...], shown: tuple[Column, ...], pick: Pick, cell: int, plain: bool
) -> list[Line]:
    drawable = [pick(column).rms for column in shown if pick(column).drawable]
    scale = log_scale(drawable)
    ends = {ROWS - 1: number(scale.high), 0: number(scale.low)} if drawable else {}
    axis = "|" if plain else "│"
    lines = [Line("head", each) for each in (f"{title}{_extremes(columns, pick)}", *_remarks(columns, pick))]
    for row in reversed(range(ROWS)):
        drawn = "".join(_cell(pick(column), scale, row, cell, plain) for column in shown)
        lines.append(Line(kind, f"{ends.get(row, ''):>{LABEL - 2}} {axis}{drawn}".rstrip()))
    return lines


def _cell(level: Level, scale: LogScale, row: int, cell: int, plain: bool) -> str:
    """Draw one line of one column; a gap separates columns that are wide enough."""
    if level.nonfinite:
        sign = "!"
    elif not level.drawable:
        sign = ("0" if level.zeros else ".") if row == 0 else " "
    else:
        filled = min(max(eighths(level, scale) - 8 * row, 0), 8)
        sign = (ASCII_BLOCKS if plain else BLOCKS)[filled]
    return sign * (cell - 1) + " " if cell > 2 else sign * cell


def _extremes(columns: tuple[Column, ...], pick: Pick) -> str:
    """Name the smallest and the largest value, with their depths."""
    drawable = [column for column in columns if pick(column).drawable]
    if not drawable:
        return ": no value above zero"
    low, high = (choose(drawable, key=lambda column: pick(column).rms) for choose in (min, max))
    ends = (f"{name} {number(pick(at).rms)} at depth {at.first}" for name, at in (("min", low), ("max", high)))
    return f": {', '.join(ends)}"


def _remarks(columns: tuple[Column, ...], pick: Pick) -> list[str]:
    """Say what a logarithmic axis cannot show."""
    levels = [pick(column) for column in columns]
    zeros, nonfinite = sum(level.zeros for level in levels), sum(level.nonfinite for level in levels)
    missing = sum(not (level.positive or level.zeros or level.nonfinite) for level in levels)
    said = [f"! {plural(nonfinite, 'layer output')} not finite"] if nonfinite else []
    said += [f"0 {plural(zeros, 'layer output')} exactly zero"] if zeros else []
    said += [f". {plural(missing, 'depth')} without a value"] if missing else []
    return [f"  {each}" for each in said]


def _footer(shown: tuple[Column, ...], cell: int) -> list[Line]:
    """Draw the depths of the first and last column and, above them, where findings sit."""
    indent, length = " " * LABEL, len(shown) * cell
    first, last = f"{shown[0].first}", f"{shown[-1].last}"
    ends = f"{first}{last:>{max(length - len(first) - (cell > 2), len(last) + 1)}}" if len(shown) > 1 else first
    lines = [Line("axis", f"{'depth':>{LABEL - 2}}  {ends}")]
    if not any(column.mark for column in shown):
        return lines
    marks = "".join((MARKS[column.mark] if column.mark else " ").ljust(cell) for column in shown)
    legend = f"{indent}findings: E error, W warning, N note"
    return [
        Line("mark", f"{'findings':>{LABEL - 2}}  {marks}".rstrip()),
        *lines,
        Line("axis", legend[: LABEL + length]),
    ]

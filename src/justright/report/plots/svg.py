"""The depth profile as a small SVG picture that needs no script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import TYPE_CHECKING, Final

from justright.report.plots.depth import Column, Level, binned, depth_columns
from justright.report.plots.scale import LogScale, log_scale
from justright.report.text import number

if TYPE_CHECKING:
    from justright.report.report import Report

__all__ = ["depth_svg"]

WIDTH, HEIGHT, LEFT, RIGHT, GAP = 640, 84, 76, 10, 46
"""Size of one panel and its margins, in SVG units."""

MOST_COLUMNS: Final = 240
"""Points that a picture of this width can tell apart."""

BLUE, ORANGE, VERMILLION = "#0072B2", "#E69F00", "#D55E00"
"""Okabe and Ito, "Color Universal Design", 2008: told apart by people with any colour vision."""

PANELS: Final[tuple[tuple[str, str, Callable[[Column], Level]], ...]] = (
    ("forward rms", BLUE, lambda column: column.forward),
    ("gradient rms", ORANGE, lambda column: column.gradient),
)


def depth_svg(report: Report) -> str:
    """Return an ``<svg>`` element with two panels, or nothing for a network without weights.

    Parameters
    ----------
    report
        What to draw.
    """
    columns = binned(depth_columns(report), MOST_COLUMNS)
    if not columns:
        return ""
    body = "".join(
        _panel(columns, title, colour, pick, index * (HEIGHT + GAP))
        for index, (title, colour, pick) in enumerate(PANELS)
    )
    height = 2 * (HEIGHT + GAP) + 4
    label = escape(f"Forward and gradient RMS over depths {columns[0].first} to {columns[-1].last}, log scale")
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        f'style="width:100%;max-width:{WIDTH}px;font:12px sans-serif" fill="currentColor">{body}</svg>'
    )


def _panel(columns: tuple[Column, ...], title: str, colour: str, pick: Callable[[Column], Level], offset: int) -> str:
    drawable = [pick(column).rms for column in columns if pick(column).drawable]
    scale = log_scale(drawable)
    high, low = (number(scale.high), number(scale.low)) if drawable else ("", "")
    top = offset + 20
    parts = [
        f'<text x="{LEFT}" y="{top - 7}" font-weight="600">{title}{_legend(columns, pick)}</text>',
        f'<text x="{LEFT - 6}" y="{top + 9}" text-anchor="end">{high}</text>',
        f'<text x="{LEFT - 6}" y="{top + HEIGHT - 1}" text-anchor="end">{low}</text>',
        f'<path d="M{LEFT} {top}V{top + HEIGHT}H{WIDTH - RIGHT}" fill="none" stroke="currentColor" opacity="0.4"/>',
        *_marks(columns, top),
        *_points(columns, pick, scale, colour, top),
        f'<text x="{LEFT}" y="{top + HEIGHT + 13}">depth {columns[0].first}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{top + HEIGHT + 13}" text-anchor="end">{columns[-1].last}</text>',
    ]
    return "".join(parts)


def _legend(columns: tuple[Column, ...], pick: Callable[[Column], Level]) -> str:
    """Name the signs that stand for what a log axis cannot show."""
    levels = [pick(column) for column in columns]
    signs = ["! not finite"] if any(level.nonfinite for level in levels) else []
    signs += ["0 exactly zero"] if any(level.zeros and not level.positive for level in levels) else []
    return f'<tspan font-weight="400">{"".join(f", {sign}" for sign in signs)}</tspan>' if signs else ""


def _x(index: int, count: int) -> float:
    return round(LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (index / (count - 1) if count > 1 else 0.5), 1)


def _marks(columns: tuple[Column, ...], top: int) -> Iterator[str]:
    """Draw a vertical dashed line where a finding sits."""
    for index, column in enumerate(columns):
        if column.mark:
            x = _x(index, len(columns))
            yield (
                f'<path d="M{x} {top}V{top + HEIGHT}" stroke="{VERMILLION}" stroke-dasharray="2 3">'
                f"<title>{column.mark.label} at depth {column.first}</title></path>"
            )


def _points(
    columns: tuple[Column, ...], pick: Callable[[Column], Level], scale: LogScale, colour: str, top: int
) -> Iterator[str]:
    """Draw a line with points; what a log axis cannot show becomes a sign at its bottom or top."""
    path, pen = [], "M"
    for index, column in enumerate(columns):
        level, x = pick(column), _x(index, len(columns))
        if not level.drawable:
            pen = "M"
            yield from _sign(level, x, top)
            continue
        y = round(top + (HEIGHT - 8) * (1 - scale.position(level.rms)) + 4, 1)
        path.append(f"{pen}{x} {y}")
        pen = "L"
        yield (
            f'<circle cx="{x}" cy="{y}" r="2.2" fill="{colour}"><title>depth {column.first}: rms {number(level.rms)}'
            "</title></circle>"
        )
    yield f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"/>' if path else ""


def _sign(level: Level, x: float, top: int) -> Iterator[str]:
    if level.nonfinite:
        yield f'<text x="{x}" y="{top + 10}" text-anchor="middle" fill="{VERMILLION}">!<title>not finite</title></text>'
    elif level.zeros:
        yield f'<text x="{x}" y="{top + HEIGHT - 2}" text-anchor="middle">0<title>exactly zero</title></text>'

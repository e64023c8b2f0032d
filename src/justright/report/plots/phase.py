"""The plane of sigma_w and sigma_b as an SVG picture that needs no script, and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from justright.core.phase import CRITICAL
from justright.report.text import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from justright.core.phase import Phase, Plane

__all__ = ["phase_page", "plane_svg"]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 640, 400, 56, 34, 50, 178
"""Size of the picture and its margins, in SVG units; the legend stands at the right."""

BANDS: Final = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Depths at which the shade changes."""

SHADES: Final = (
    "#fff7ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#d7301f", "#b30000", "#7f0000",
)  # fmt: skip
"""ColorBrewer OrRd, nine classes: lightness falls steadily, so that it reads in grey and with any colour vision."""

GREY: Final = "#c8c8c8"
"""Where q grows without bound."""

LINE, POINT = "#0072B2", "#009E73"
"""Okabe and Ito, "Color Universal Design", 2008."""


def plane_svg(plane: Plane, point: Phase | None = None) -> str:
    """Return an ``<svg>`` element: depth shaded, the critical line, and maybe a point.

    Parameters
    ----------
    plane
        What to draw; its axes are drawn as if they were evenly spaced.
    point
        A point to mark; one outside of the plane is left out.
    """
    parts = [*_cells(plane), *_line(plane), *_names(plane), *_axes(plane), *_legend(plane)]
    parts += _point(plane, point) if point else []
    label = escape(f"Phase plane of {plane.activation}: depth to which networks train, and the critical line")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg" '
        f'style="width:100%;max-width:{WIDTH}px;font:12px sans-serif" fill="currentColor">'
        f'<text x="{LEFT}" y="20" font-weight="600">{escape(plane.activation)}: depth to which networks train</text>'
        f"{''.join(parts)}</svg>"
    )


def phase_page(plane: Plane, point: Phase) -> str:
    """Return an HTML page with the picture and the numbers of a point.

    Parameters
    ----------
    plane, point
        What to show.
    """
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td><td>{escape(meaning)}</td></tr>"
        for name, value, meaning in point.rows()
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in (*point.remarks(), *plane.notes))
    return (
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(plane.activation)}: phase</title><style>body{{font:15px/1.5 sans-serif;max-width:46rem;"
            "margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}}td{{padding:.15rem .8rem .15rem 0}}"
            "td:nth-child(2){{font-variant-numeric:tabular-nums;text-align:right}}</style></head><body>"
            f"<h1>{escape(str(point))}</h1>{plane_svg(plane, point)}<table>{rows}</table>{notes}</body></html>\n"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )


def _inside() -> tuple[float, float]:
    return WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM


def _place(values: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where values lie on an axis, from 0 at its first cell's edge to 1 at its last cell's."""
    cell = (axis[-1] - axis[0]) / max(axis.size - 1, 1) or 1.0
    share: NDArray[np.float64] = (values - axis[0] + cell / 2) / (axis[-1] - axis[0] + cell)
    return share


def _shade(plane: Plane) -> NDArray[np.str_]:
    """Return the colour of every cell."""
    finite = np.isfinite(plane.q)
    band = np.searchsorted(BANDS, np.where(finite, np.nan_to_num(plane.depth, posinf=1e9), 0.0), side="right")
    return np.where(finite, np.array(SHADES)[band], GREY)


def _cells(plane: Plane) -> Iterator[str]:
    """Draw every row as few rectangles, one a run of equal colour; they overlap by a hair against seams."""
    yield '<g shape-rendering="crispEdges">'
    width, height = _inside()
    tall, wide = height / plane.sigma_b.size, width / plane.sigma_w.size
    for row, colours in enumerate(_shade(plane)):
        y = TOP + height - (row + 1) * tall
        start = 0
        for colour, run in groupby(colours):
            count = len(list(run))
            yield (
                f'<rect x="{LEFT + start * wide:.1f}" y="{y:.1f}" width="{count * wide + 0.3:.1f}" '
                f'height="{tall + 0.3:.1f}" fill="{colour}"/>'
            )
            start += count
    yield "</g>"


def _line(plane: Plane) -> Iterator[str]:
    """Draw the critical line, dashed where q does not stay at its fixed point; a single point becomes a dot."""
    width, height = _inside()
    x, y = (_place(plane.line[:, at], axis) for at, axis in enumerate((plane.sigma_w, plane.sigma_b)))
    seen = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    places = np.round(np.stack([LEFT + width * x, TOP + height * (1 - y)], axis=1), 1)
    if seen.any() and np.all(np.ptp(places[seen], axis=0) < 1.0):
        cx, cy = places[seen][0]
        yield f'<circle cx="{cx}" cy="{cy}" r="5" fill="{LINE}"><title>critical</title></circle>'
        return
    for unstable, run in groupby(np.flatnonzero(seen), key=lambda at: bool(_unstable(plane)[at])):
        path = "M" + "L".join(f"{px} {py}" for px, py in places[list(run)])
        title = "critical, unstable" if unstable else "critical"
        yield f'<path d="{path}" fill="none" stroke="{LINE}" {_pen(unstable)}><title>{title}</title></path>'


def _unstable(plane: Plane) -> NDArray[np.bool_]:
    unstable: NDArray[np.bool_] = plane.line[:, 2] > 1.0 + CRITICAL
    return unstable


def _pen(unstable: bool) -> str:
    return 'stroke-width="2" stroke-dasharray="4 3"' if unstable else 'stroke-width="3"'


def _names(plane: Plane) -> Iterator[str]:
    """Write the names of the phases in the middle of their cells."""
    width, height = _inside()
    finite = np.isfinite(plane.q)
    for name, where in (("ordered", finite & (plane.chi_1 < 1.0)), ("chaotic", finite & (plane.chi_1 > 1.0))):
        rows, columns = np.nonzero(where)
        if rows.size < 0.04 * where.size:  # no room for a word
            continue
        x = LEFT + width * (np.mean(columns) + 0.5) / plane.sigma_w.size
        y = TOP + height * (1 - (np.mean(rows) + 0.5) / plane.sigma_b.size)
        yield (
            f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" font-size="16" font-weight="600" fill="#1a1a1a" '
            f'stroke="#fff" stroke-width="3" paint-order="stroke">{name}</text>'
        )


def _axes(plane: Plane) -> Iterator[str]:
    width, height = _inside()
    bottom = TOP + height
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{LEFT + width}" fill="none" stroke="currentColor" opacity="0.6"/>'
    for value in _ticks(plane.sigma_w):
        x = LEFT + width * float(_place(np.array(value), plane.sigma_w))
        yield f'<path d="M{x:.1f} {bottom}v5" stroke="currentColor" opacity="0.6"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{number(value)}</text>'
    for value in _ticks(plane.sigma_b):
        y = bottom - height * float(_place(np.array(value), plane.sigma_b))
        yield f'<path d="M{LEFT} {y:.1f}h-5" stroke="currentColor" opacity="0.6"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
    yield f'<text x="{LEFT + width / 2}" y="{HEIGHT - 10}" text-anchor="middle">sigma_w</text>'
    middle = TOP + height / 2
    yield f'<text transform="rotate(-90 14 {middle})" x="14" y="{middle}" text-anchor="middle">sigma_b</text>'


def _ticks(axis: NDArray[np.float64]) -> list[float]:
    """Return at most seven round numbers on an axis."""
    span = float(axis[-1] - axis[0])
    if span <= 0.0:
        return [float(axis[0])]
    power = 10.0 ** np.floor(np.log10(span))
    step = next(part * power for part in (0.1, 0.2, 0.5, 1.0, 2.0) if span / (part * power) <= 6.0)
    first = np.ceil(axis[0] / step - 1e-9)
    return [float(value) + 0.0 for value in np.arange(first, np.floor(axis[-1] / step + 1e-9) + 1) * step]


def _point(plane: Plane, point: Phase) -> Iterator[str]:
    width, height = _inside()
    x = float(_place(np.array(point.sigma_w), plane.sigma_w))
    y = float(_place(np.array(point.sigma_b), plane.sigma_b))
    if 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0:
        yield (
            f'<circle cx="{LEFT + width * x:.1f}" cy="{TOP + height * (1 - y):.1f}" r="6" fill="{POINT}" '
            f'stroke="#fff" stroke-width="2"><title>{escape(str(point))}</title></circle>'
        )


def _legend(plane: Plane) -> Iterator[str]:
    x, y = WIDTH - RIGHT + 18, TOP + 4
    labels = [f"under {BANDS[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(BANDS))]
    labels.append(f"{BANDS[-1]:g} and more")
    entries = list(zip(SHADES, labels, strict=True))[::-1]
    entries += [(GREY, "q grows for ever")] if not np.all(np.isfinite(plane.q)) else []
    yield f'<text x="{x}" y="{y + 6}" font-weight="600">layers (6 xi)</text>'
    for index, (colour, label) in enumerate(entries):
        top = y + 16 + 21 * index
        yield f'<rect x="{x}" y="{top}" width="16" height="16" fill="{colour}" stroke="#888" stroke-width="0.4"/>'
        yield f'<text x="{x + 24}" y="{top + 12}">{label}</text>'
    lines = [("critical (chi_1 = 1)", False)] if plane.line.size and not np.all(_unstable(plane)) else []
    lines += [("critical, q unstable", True)] if np.any(_unstable(plane)) else []
    for index, (label, unstable) in enumerate(lines):
        top = y + 30 + 21 * (len(entries) + index)
        yield f'<path d="M{x} {top}h16" stroke="{LINE}" {_pen(unstable)}/>'
        yield f'<text x="{x + 24}" y="{top + 4}">{label}</text>'

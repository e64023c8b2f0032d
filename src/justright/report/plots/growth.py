"""Growth from block to block, attention logits and residual streams, as a small SVG picture that needs no script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from justright.report.plots.scale import LogScale, log_scale
from justright.report.text import number, plural

if TYPE_CHECKING:
    from justright.core.prediction import Series

__all__ = ["growth_svg"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 640, 132, 76, 12, 24
"""Size of a panel and its margins, in SVG units."""

DRAWN: Final = 6
"""Lines of one panel that can still be told apart; the table beside it has all."""

DASHES: Final = ("none", "8 4", "2 3", "8 3 2 3", "12 3", "4 4")
"""One pattern a line, so that colour is not all that tells them apart."""


def growth_svg(kind: str, series: Sequence[Series]) -> str:
    """Return an ``<svg>`` element with the RMS of every series over its blocks, or nothing without series.

    Parameters
    ----------
    kind
        What the series are: ``"attention logits"`` or ``"residual stream"``.
    series
        Of this kind; the first ones are drawn.
    """
    shown = [each for each in series if len(each.rms) > 1][:DRAWN]
    if not shown:
        return ""
    scale = log_scale(value for each in shown for value in each.rms)
    told = "; ".join(f"{each.name} {number(each.rms[0])} to {number(each.rms[-1])}" for each in shown)
    label = escape(f"RMS of the {kind} by block, log scale: {told}")
    most = max(len(each.rms) for each in shown)
    body = "".join((*_frame(kind, scale, most), *(_line(each, index, scale) for index, each in enumerate(shown))))
    return (
        f'<svg class="window growth" viewBox="0 0 {WIDTH} {TOP + HEIGHT + 20}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def _frame(kind: str, scale: LogScale, blocks: int) -> Iterator[str]:
    bottom = TOP + HEIGHT
    yield f'<text x="{LEFT}" y="{TOP - 8}" font-weight="600">{escape(kind)}, RMS</text>'
    yield f'<text class="small" x="{LEFT - 6}" y="{TOP + 9}" text-anchor="end">{number(scale.high)}</text>'
    yield f'<text class="small" x="{LEFT - 6}" y="{bottom}" text-anchor="end">{number(scale.low)}</text>'
    yield f'<path class="tick" fill="none" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>'
    yield f'<text class="small" x="{LEFT}" y="{bottom + 15}">first of {plural(blocks, "block")}</text>'
    yield f'<text class="small" x="{WIDTH - RIGHT}" y="{bottom + 15}" text-anchor="end">last</text>'


def _line(series: Series, index: int, scale: LogScale) -> str:
    """Draw one series; what a log axis cannot show is left out."""
    path, pen = [], "M"
    for block, rms in enumerate(series.rms):
        if rms > 0 and math.isfinite(rms):
            x = LEFT + 6 + (WIDTH - LEFT - RIGHT - 12) * block / (len(series.rms) - 1)
            path.append(f"{pen}{x:.1f} {TOP + 4 + (HEIGHT - 8) * (1 - scale.position(rms)):.1f}")
            pen = "L"
        else:
            pen = "M"
    title = escape(f"{series.name}: {number(series.rms[0])} to {number(series.rms[-1])}")
    return f'<path class="series" stroke-dasharray="{DASHES[index]}" d="{"".join(path)}"><title>{title}</title></path>'

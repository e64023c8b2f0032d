"""Loss-scale windows as a small SVG picture that needs no script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from justright.core.formats import LossScaleWindow

__all__ = ["power", "window_words", "windows_svg"]

WIDTH, LEFT, RIGHT, ROW, TOP = 640, 110, 16, 26, 24
"""Size of the picture, its margins and the height of a row, in SVG units."""

FIRST_SCALE: Final = 16
"""log₂ of the loss scale that automatic mixed precision begins with: 65,536 in torch.amp.GradScaler (its manual)."""

WIDEST: Final = 64
"""Binades that the axis reaches at most to each side of the first scale; bars that go on end at its edge."""

SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(exponent: float) -> str:
    """Write a power of two.

    Examples
    --------
    >>> power(-24), power(16.0)
    ('2⁻²⁴', '2¹⁶')
    """
    return "2" + f"{exponent:.0f}".translate(SUPERSCRIPTS)


def window_words(window: LossScaleWindow) -> str:
    """Write a window in words.

    Parameters
    ----------
    window
        Loss scales that suit every gradient.
    """
    if window.empty:
        return "none suits every gradient"
    if math.isinf(window.low) and math.isinf(window.high):
        return "any"
    if math.isinf(window.low) or math.isinf(window.high):
        return f"at most {power(window.high)}" if math.isinf(window.low) else f"at least {power(window.low)}"
    return power(window.low) if window.low == window.high else f"{power(window.low)} to {power(window.high)}"


def windows_svg(windows: Sequence[tuple[str, LossScaleWindow]]) -> str:
    """Return an ``<svg>`` element with one bar a format, or nothing without windows.

    Parameters
    ----------
    windows
        Names of the formats and their windows.
    """
    if not windows:
        return ""
    low, high = _axis([window for _, window in windows])
    height = TOP + ROW * len(windows) + 22
    label = escape("Loss scales by format: " + "; ".join(f"{name}: {window_words(each)}" for name, each in windows))
    body = "".join((*_scale(low, high, height - 20), *_rows(windows, low, high)))
    return (
        f'<svg class="window" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def _axis(windows: Sequence[LossScaleWindow]) -> tuple[int, int]:
    """Find the ends of the axis as log₂: all ends that are finite, and scales 1 and 2**16, within bounds."""
    ends = [end for window in windows for end in (window.low, window.high) if math.isfinite(end)]
    low, high = min((*ends, 0)), max((*ends, FIRST_SCALE))
    return int(max(low, FIRST_SCALE - WIDEST)) - 2, int(min(high, FIRST_SCALE + WIDEST)) + 2


def _x(exponent: float, low: int, high: int) -> float:
    inside = min(max(exponent, low), high)
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (inside - low) / (high - low), 1)


def _scale(low: int, high: int, bottom: int) -> Iterator[str]:
    step = next(each for each in (4, 8, 16, 32) if (high - low) / each <= 12)
    for exponent in range(-(-low // step) * step, high + 1, step):
        x = _x(exponent, low, high)
        yield f'<path class="tick" d="M{x} {TOP}V{bottom}"/>'
        yield f'<text class="small" x="{x}" y="{bottom + 14}" text-anchor="middle">{power(exponent)}</text>'
    x = _x(FIRST_SCALE, low, high)
    yield f'<path class="start" d="M{x} {TOP - 4}V{bottom}"/>'
    first = f"usual first scale {power(FIRST_SCALE)}"
    yield f'<text class="small" x="{x}" y="{TOP - 9}" text-anchor="middle">{first}</text>'


def _rows(windows: Sequence[tuple[str, LossScaleWindow]], low: int, high: int) -> Iterator[str]:
    for row, (name, window) in enumerate(windows):
        top = TOP + row * ROW
        yield f'<text x="{LEFT - 10}" y="{top + 18}" text-anchor="end">{escape(name)}</text>'
        if window.empty:
            yield f'<text class="small" x="{LEFT + 6}" y="{top + 18}">{window_words(window)}</text>'
            continue
        start, stop = _x(window.low, low, high), _x(window.high, low, high)
        width = round(max(stop - start, 3), 1)
        yield f'<rect class="bar" x="{start}" y="{top + 7}" width="{width}" height="{ROW - 12}" rx="2"/>'

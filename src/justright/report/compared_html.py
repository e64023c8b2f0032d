"""A comparison as one HTML page: both profiles in one chart, the findings, and a table of all sites."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from justright.report.compared import factor_words
from justright.report.html import rendered
from justright.report.plots.profile import MOST_SVG_POINTS
from justright.report.plots.scale import log_scale
from justright.report.text import printable

if TYPE_CHECKING:
    from justright.core.profile import SiteRecord, TensorStatistics
    from justright.report.comparison import Comparison

__all__ = ["comparison_page"]

SCRIPTS: Final = ("page.js", "plots.js", "table.js", "compare.js")
"""Parts of the page's script, in the order in which they need each other."""

PANELS: Final[tuple[tuple[str, Callable[[SiteRecord], TensorStatistics | None]], ...]] = (
    ("forward", lambda record: record.forward),
    ("gradient", lambda record: record.gradient),
)


def comparison_page(comparison: Comparison) -> str:
    """Return the whole page.

    Parameters
    ----------
    comparison
        What to show; every text from it is escaped.
    """
    return rendered(
        "compare.html.j2",
        SCRIPTS,
        _data(comparison),
        comparison=comparison,
        groups=(
            ("Went", "No finding went", comparison.went),
            ("Came", "No finding came", comparison.came),
            ("Stayed", "No finding stayed", [after for _, after in comparison.stayed]),
        ),
        changes={id(after): before for before, after in comparison.stayed},
    )


def _data(comparison: Comparison) -> dict[str, Any]:
    """Return what the page's script reads: names, and both RMS of every site for both directions."""
    changes = comparison.changes
    return {
        "name": [printable(change.after.name) for change in changes],
        "was": [printable(change.before.name) if change.renamed else "" for change in changes],
        "module": [printable(change.after.module) for change in changes],
        "activation": [change.after.role == "activation" for change in changes],
        "renderer": "scattergl" if 4 * len(changes) > MOST_SVG_POINTS else "scatter",
        **{name: _panel(comparison, pick) for name, pick in PANELS},
    }


def _panel(comparison: Comparison, pick: Callable[[SiteRecord], TensorStatistics | None]) -> dict[str, Any]:
    pairs = [(pick(change.before), pick(change.after)) for change in comparison.changes]
    scale = log_scale(each.rms for pair in pairs for each in pair if each is not None)
    low, high = math.log10(scale.low), math.log10(scale.high)
    margin = max(0.06 * (high - low), 0.15)
    direction = next(name for name, known in PANELS if known is pick)
    return {
        "before": [_short(before) for before, _ in pairs],
        "after": [_short(after) for _, after in pairs],
        "words": [factor_words(*pair) for pair in pairs],
        "size": [_finite(change.size(direction)) for change in comparison.changes],
        "range": [low - margin, high + margin],
    }


def _short(statistics: TensorStatistics | None) -> float | str | None:
    return None if statistics is None else _finite(statistics.rms)


def _finite(value: float) -> float | str:
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)

"""The interactive profile: every floating-point site in execution order, as data for plotly.

Only data is made here: columns with every text once, and plotly traces whose x is a site's position in the columns.
Colours, hover texts and the layout's look belong to the page, which knows whether it is light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from justright.report.plots.scale import LogScale, log_scale
from justright.report.text import printable

if TYPE_CHECKING:
    from justright.core.profile import SiteRecord, TensorStatistics
    from justright.report.report import Report

__all__ = ["figure", "in_execution_order"]

MOST_SVG_POINTS: Final = 2000
"""Points above which a browser draws SVG too slowly, so that WebGL is used."""

SMALLEST_SHARE: Final = 0.1
"""Height of the axis of shares at least, so that one dead unit in a thousand looks small."""

Pick = Callable[["SiteRecord"], "TensorStatistics | None"]


class Panel(NamedTuple):
    """One of the two panels: its title, axis and statistics."""

    title: str
    axis: str
    pick: Pick


class Point(NamedTuple):
    """A site in a panel: its position, where it is drawn and as what."""

    x: int
    y: float | None
    kind: str


PANELS: Final = (
    Panel("forward rms", "y", lambda record: record.forward),
    Panel("gradient rms", "y2", lambda record: record.gradient),
)

LEGEND: Final = {
    "finding": ("named by a finding", "circle-open"),
    "parameter": ("parameters", "diamond-open"),
    "leaf": ("inputs, buffers, constants, by-products", "square-open"),
    "zero": ("exactly zero (drawn at the bottom)", "triangle-down"),
    "nonfinite": ("not finite (drawn at the top)", "x"),
    "activation": ("activations", "circle"),
}
"""Every kind of point, drawn in this order: its legend entry and its symbol, so that colour alone tells nothing."""


def in_execution_order(report: Report) -> tuple[SiteRecord, ...]:
    """Return the profile's records as the network runs; inputs and parameters stand where they are first read.

    Parameters
    ----------
    report
        Graph and profile.
    """
    graph = report.graph

    def key(record: SiteRecord) -> tuple[int, int, int]:
        site = graph.by_name.get(record.name)
        if site is None:
            return len(graph.nodes), 1, 0
        if site.node is not None:
            return site.node, 1, site.index
        return next(iter(graph.consumers[site.index]), len(graph.nodes)), 0, site.index

    return tuple(sorted(report.profile.sites, key=key))


def figure(report: Report) -> dict[str, Any]:
    """Return the data of the interactive page.

    Parameters
    ----------
    report
        What to draw.

    Returns
    -------
    dict
        ``sites``: one list a quantity, texts as indices into ``texts``; ``profile`` and ``units``: plotly traces and
        the axes' ranges.
    """
    records = in_execution_order(report)
    named = {name for finding in report.findings for name in finding.sites}
    marked = {index for index, record in enumerate(records) if record.name in named}
    panels = [_panel(panel, records, marked) for panel in PANELS]
    return {
        **_columns(records),
        "profile": {
            "traces": _drawn([trace for traces, _ in panels for trace in traces]),
            "ranges": [limits for _, limits in panels],
        },
        "units": _units(records),
    }


def _columns(records: Sequence[SiteRecord]) -> dict[str, Any]:
    texts: dict[str, int] = {}

    def interned(values: Iterable[str]) -> list[int]:
        return [texts.setdefault(printable(value), len(texts)) for value in values]

    sites = {
        "name": [printable(record.name) for record in records],
        "op": interned(record.op for record in records),
        "module": interned(record.module for record in records),
        "source": interned(record.source for record in records),
        "type": interned(f"{record.dtype}[{'×'.join(map(str, record.shape))}]" for record in records),
        "role": interned(record.role for record in records),
        "depth": [record.depth for record in records],
        "gain": [None if math.isnan(record.gain) else _short(record.gain) for record in records],
        "rms": [_short(record.forward.rms) if record.forward else None for record in records],
        "absmax": [_short(record.forward.absmax) if record.forward else None for record in records],
        "zeros": [_short(record.forward.zeros) if record.forward else None for record in records],
        "gradient": [_short(record.gradient.rms) if record.gradient else None for record in records],
    }
    return {"sites": sites, "texts": list(texts)}


def _short(value: float) -> float | str:
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def _panel(
    panel: Panel, records: Sequence[SiteRecord], marked: set[int]
) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """Return the traces of a panel and the ends of its axis as decimal logarithms."""
    judged = [(index, record.role, panel.pick(record)) for index, record in enumerate(records)]
    known = [(index, role, statistics) for index, role, statistics in judged if statistics is not None]
    scale = log_scale(statistics.rms for _, _, statistics in known)
    points = [_point(index, role, statistics, scale) for index, role, statistics in known]
    points += [point._replace(kind="finding") for point in points if point.x in marked]
    points += _breaks(points, records)
    kinds = {kind: sorted(point for point in points if point.kind == kind) for kind in LEGEND}
    low, high = math.log10(scale.low), math.log10(scale.high)
    margin = _margin(scale)
    return [_trace(kind, panel, some) for kind, some in kinds.items() if some], (low - 2 * margin, high + 2 * margin)


def _margin(scale: LogScale) -> float:
    """Decades between the last value and the marks of what has no logarithm."""
    return max(0.06 * math.log10(scale.high / scale.low), 0.15) if scale.high / scale.low < math.inf else 10.0


def _point(index: int, role: str, statistics: TensorStatistics, scale: LogScale) -> Point:
    if statistics.nonfinite or not math.isfinite(statistics.rms):
        return Point(index, scale.high * 10 ** _margin(scale), "nonfinite")
    if statistics.rms == 0:
        return Point(index, scale.low / 10 ** _margin(scale), "zero")
    return Point(index, statistics.rms, role if role in LEGEND else "leaf")


def _breaks(points: Sequence[Point], records: Sequence[SiteRecord]) -> list[Point]:
    """Interrupt the line through the activations where one of them is zero or not finite."""
    odd = [point.x for point in points if point.kind in ("zero", "nonfinite")]
    return [Point(index, None, "activation") for index in odd if records[index].role == "activation"]


def _trace(kind: str, panel: Panel, points: Sequence[Point]) -> dict[str, Any]:
    name, symbol = LEGEND[kind]
    return {
        "type": "scatter",
        "mode": "lines+markers" if kind == "activation" else "markers",
        "name": name,
        "legendgroup": kind,
        "legendrank": 2000 if kind == "finding" else 1000 - 100 * (kind == "activation"),
        "yaxis": panel.axis,
        "x": [point.x for point in points],
        "y": [None if point.y is None else _short(point.y) for point in points],
        "marker": {"symbol": symbol},
        "meta": {"kind": kind, "panel": panel.title},
    }


def _drawn(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the renderer, and give every kind one legend entry for both panels."""
    count = sum(len(trace["x"]) for trace in traces)
    seen: set[str] = set()
    for trace in traces:
        trace["type"] = "scattergl" if count > MOST_SVG_POINTS else "scatter"
        trace["showlegend"] = trace["legendgroup"] not in seen
        seen.add(trace["legendgroup"])
    return traces


def _units(records: Sequence[SiteRecord]) -> dict[str, Any] | None:
    """Return the shares of dead and saturated units of every nonlinearity, ``None`` if there is none."""
    judged = [(index, record.units) for index, record in enumerate(records) if record.units and record.units.units]
    if not judged:
        return None
    counts = {
        "dead": ("dead units", [units.dead / units.units for _, units in judged]),
        "saturated": ("saturated units", [units.saturated / units.units for _, units in judged]),
    }
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": list(range(1, len(judged) + 1)),
            "y": [_short(share) for share in shares],
            "marker": {"pattern": {"shape": "/" if kind == "saturated" else ""}},
            "meta": {"kind": kind, "sites": [index for index, _ in judged]},
        }
        for kind, (name, shares) in counts.items()
    ]
    highest = max((units.dead + units.saturated) / units.units for _, units in judged)
    return {"traces": traces, "highest": min(max(1.1 * highest, SMALLEST_SHARE), 1.05)}

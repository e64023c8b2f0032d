"""What a prediction says of a network as a whole, in words and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from justright.core.formats import LOST, share_over, share_under
from justright.report.plots.scales import window_words
from justright.report.precision import NARROW, FormatFit, format_fits, loss_scales
from justright.report.text import number, percent, plural

if TYPE_CHECKING:
    from justright.core.prediction import Estimate, Forecast, Series
    from justright.core.profile import SiteRecord
    from justright.report.report import Report

__all__ = ["forecast_data", "forecast_rows"]

SHOWN: Final = 8
"""Series that a terminal shows; all are in the JSON report."""


def forecast_rows(report: Report, forecast: Forecast) -> Iterator[tuple[str, str]]:
    """Yield labels and texts: coverage, loss, precision, growth from block to block.

    Parameters
    ----------
    report
        The report of a prediction.
    forecast
        What it says of the network as a whole.
    """
    yield "sites", _ways(forecast)
    yield "trusted", f"{forecast.trusted:,} of {plural(forecast.sites, 'site')} with an interval that can be relied on"
    yield "origin", ", ".join(f"{count:,} {name}" for name, count in forecast.provenance) or "none"
    if forecast.loss is not None:
        yield "initial loss", _interval(forecast.loss)
    for fit in format_fits(report.profile.sites):
        yield f"{fit.format.name} {fit.direction}", _fit(fit)
    for scale in loss_scales(report):
        ends = dict.fromkeys(filter(None, (scale.window.low_site, scale.window.high_site)))
        bound = f", bound by {' and '.join(ends)}" if ends else ""
        yield f"{scale.format.name} loss scale", window_words(scale.window) + bound
    for each in forecast.series[:SHOWN]:
        yield each.kind, _growth(each)
    if len(forecast.series) > SHOWN:
        yield "", f"{len(forecast.series) - SHOWN} more series in the JSON report"


def _ways(forecast: Forecast) -> str:
    whole = max(forecast.sites, 1)
    parts = [("by rule", forecast.rule), ("by running the operator on samples", forecast.fallback)]
    parts += [("not predicted", forecast.none)]
    return ", ".join(f"{count:,} ({percent(count / whole)}) {way}" for way, count in parts if count) or "none"


def _interval(estimate: Estimate) -> str:
    doubt = "" if estimate.trusted else f"; not to be relied on: {estimate.why}"
    return f"{number(estimate.rms)} ({number(estimate.low)} to {number(estimate.high)}){doubt}"


def _fit(fit: FormatFit) -> str:
    if fit.free == -math.inf:
        return "not judged: a tensor is not finite"
    if not fit.over.sites and not fit.under.sites:
        return f"fits, with {fit.free:.1f} binades free at {fit.free_site or 'every tensor'}"
    told = []
    if fit.over.sites:
        worst = f"at worst {percent(fit.over.worst)} of {fit.over.site}"
        told.append(f"{plural(fit.over.sites, 'tensor')} overflow, {worst}")
    if fit.under.sites:
        told.append(
            f"{plural(fit.under.sites, 'tensor')} lose more than {percent(LOST)} to zero, "
            f"at worst {percent(fit.under.worst)} of {fit.under.site}"
        )
    return "; ".join(told)


def _growth(series: Series) -> str:
    ends = f"RMS {number(series.rms[0])} to {number(series.rms[-1])}"
    largest = f"largest magnitude {number(max(series.absmax))}"
    return f"{series.name}: {ends} over {len(series.rms)} blocks (×{number(series.growth)}), {largest}"


def forecast_data(report: Report, forecast: Forecast) -> dict[str, Any]:
    """Return the forecast as plain data, with what narrow formats take from every tensor.

    Parameters
    ----------
    report
        The report of a prediction.
    forecast
        What it says of the network as a whole.
    """
    windows = [{"format": scale.format.name, **scale.window.to_dict()} for scale in loss_scales(report)]
    lost = [row for record in report.profile.sites for row in _lost(record)]
    return {**forecast.to_dict(), "loss_scales": windows, "lost": lost}


def _lost(record: SiteRecord) -> Iterator[dict[str, Any]]:
    """Yield the shares of one site's tensors that lie outside the range of a format, where any do."""
    for direction, statistics in (("forward", record.forward), ("gradient", record.gradient)):
        if statistics is None:
            continue
        for known in NARROW:
            reaches = not statistics.absmax < known.overflow or statistics.min_nonzero <= known.underflow
            over, under = (share_over(statistics, known), share_under(statistics, known)) if reaches else (0.0, 0.0)
            if over > 0 or under > 0:
                shares = {"over": over, "under": under}
                yield {"site": record.name, "direction": direction, "format": known.name, **shares}

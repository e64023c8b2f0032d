"""What a page shows of a prediction: one row a format, growth from block to block, and how a measurement agrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from justright.report.forecast import forecast_rows
from justright.report.plots.growth import growth_svg

if TYPE_CHECKING:
    from justright.core.formats import LossScaleWindow
    from justright.core.prediction import Estimate, Forecast, Series
    from justright.core.profile import SiteRecord
    from justright.report.precision import FormatFit, Scale
    from justright.report.report import Report

__all__ = ["Agreement", "ForecastView", "FormatRow", "Outlier", "agreement", "forecast_view"]

FURTHEST: Final = 10
"""Sites that the page names of those outside their interval; the table of sites has all."""


class FormatRow(NamedTuple):
    """What one format takes from signals and gradients, and the loss scales that suit it."""

    name: str
    forward: FormatFit | None
    gradient: FormatFit | None
    window: LossScaleWindow | None


class ForecastView(NamedTuple):
    """The forecast block of a page: facts in words, a row a format, series, and pictures of them by kind."""

    facts: tuple[tuple[str, str], ...]
    formats: tuple[FormatRow, ...]
    series: tuple[Series, ...]
    pictures: tuple[str, ...]


class Outlier(NamedTuple):
    """A site whose measured RMS lies outside its interval, and by what factor."""

    name: str
    rms: float
    estimate: Estimate
    factor: float


class Agreement(NamedTuple):
    """How many sites were compared with their prediction, how many lie inside, and the furthest outside."""

    compared: int
    inside: int
    furthest: tuple[Outlier, ...]


def forecast_view(
    report: Report, forecast: Forecast, fits: Sequence[FormatFit], scales: Sequence[Scale]
) -> ForecastView:
    """Return what the forecast block shows.

    Parameters
    ----------
    report
        The report of a prediction.
    forecast
        What it says of the network as a whole.
    fits, scales
        How tensors and gradients fit into each format, and which loss scales suit.
    """
    names = dict.fromkeys(fit.format.name for fit in fits)
    fit = {(each.format.name, each.direction): each for each in fits}
    window = {each.format.name: each.window for each in scales}
    rows = (
        FormatRow(each, fit.get((each, "forward")), fit.get((each, "gradient")), window.get(each)) for each in names
    )
    kinds = dict.fromkeys(each.kind for each in forecast.series)
    pictures = (growth_svg(kind, [each for each in forecast.series if each.kind == kind]) for kind in kinds)
    facts = tuple((label, text) for label, text in forecast_rows(report, forecast) if label in WHOLE)
    return ForecastView(facts, tuple(rows), forecast.series, tuple(filter(None, pictures)))


WHOLE: Final = frozenset({"sites", "trusted", "origin", "initial loss"})
"""Rows of the forecast that say something of the network as a whole."""


def agreement(records: Sequence[SiteRecord]) -> Agreement | None:
    """Say how measured signals agree with their predictions; ``None`` if nothing can be compared.

    Parameters
    ----------
    records
        Measured sites, each with what was predicted of it.
    """
    pairs = [pair for record in records if (pair := _pair(record)) is not None]
    if not pairs:
        return None
    outside = sorted((each for each in pairs if each.factor > 1.0), key=lambda each: -each.factor)
    return Agreement(len(pairs), len(pairs) - len(outside), tuple(outside[:FURTHEST]))


def _pair(record: SiteRecord) -> Outlier | None:
    """Return a site beside its interval: only computed signals, whose prediction can be relied on."""
    estimate = record.predicted.forward if record.predicted else None
    if record.role != "activation" or record.forward is None or estimate is None or not estimate.trusted:
        return None
    rms = record.forward.rms
    return Outlier(record.name, rms, estimate, _factor(rms, estimate)) if math.isfinite(rms) else None


def _factor(rms: float, estimate: Estimate) -> float:
    if estimate.contains(rms):
        return 1.0
    above = rms > estimate.high
    large, small = (rms, estimate.high) if above else (estimate.low, rms)
    return large / small if small > 0 else math.inf

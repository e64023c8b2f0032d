"""The forecast on the page: every number of the forecast is shown, and what a measurement says of its prediction."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from justright.core.prediction import Estimate, Predicted, Series
from justright.report.foreseen import agreement
from justright.report.plots.growth import growth_svg
from justright.report.text import number


@pytest.fixture
def predicted_report(reports):
    return next(each for each in reports.values() if each.forecast is not None)


def text_of(page):
    body = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_page_shows_loss_growth_and_every_format(predicted_report):
    page = predicted_report.to_html()
    text, forecast = text_of(page), predicted_report.forecast
    block = text[text.index("Computed from the operators") : text.index("Depth profile", text.index("By format"))]
    assert all(name in block for name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"))
    assert f"{number(forecast.loss.rms)} ({number(forecast.loss.low)} to {number(forecast.loss.high)})" in block
    for each in forecast.series:
        assert each.kind in block
        assert f"×{number(each.growth)}" in block


def test_a_measured_report_shows_no_forecast(reports):
    assert not [name for name, each in reports.items() if each.forecast is None and 'id="forecast"' in each.to_html()]


def measured(report, inside, factor):
    """The report as a measurement, of which some signals lie inside their interval, and the others off by a factor."""
    signals = [each for each in report.profile.sites if each.role == "activation" and each.forward.rms > 0]
    intervals = {
        each.name: Estimate(each.forward.rms, 0.5 * each.forward.rms, 2 * each.forward.rms)
        if index < inside
        else Estimate(1.0, 0.5, each.forward.rms / factor)
        for index, each in enumerate(signals)
    }
    sites = (
        replace(each, predicted=Predicted(intervals.get(each.name)) if each.name in intervals else None)
        for each in report.profile.sites
    )
    return replace(report, profile=replace(report.profile, sites=tuple(sites))), len(signals)


def test_a_measurement_is_held_against_its_intervals(reports):
    report, signals = measured(reports["healthy"], inside=3, factor=4.0)
    found = agreement(report.profile.sites)
    assert (found.compared, found.inside) == (signals, 3)
    assert found.furthest[0].factor == pytest.approx(4.0)
    assert f"Of {signals} signals with an interval that can be relied on, 3 (" in text_of(report.to_html())


def test_what_cannot_be_relied_on_or_compared_is_left_out(reports):
    report, _ = measured(reports["healthy"], inside=3, factor=4.0)
    doubted = [
        replace(each, predicted=Predicted(replace(each.predicted.forward, trusted=False)))
        for each in report.profile.sites
        if each.predicted
    ]
    assert agreement(doubted) is None
    assert agreement(reports["healthy"].profile.sites) is None


def test_a_picture_leaves_out_what_a_log_axis_cannot_show():
    made = Series("residual stream", "h.*/<add>", ("a", "b", "c", "d"), (1.0, 0.0, 2.0, 4.0), (3.0, 0.0, 6.0, 12.0))
    picture = growth_svg("residual stream", [made])
    path = re.search(r'class="series"[^>]* d="([^"]+)"', picture).group(1)
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert "<add>" not in picture
    assert growth_svg("residual stream", [replace(made, rms=(1.0,))]) == ""

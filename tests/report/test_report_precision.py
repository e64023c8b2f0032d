"""Laws of the heat map and of the precision table: the same counts as the histograms', by another way."""

from __future__ import annotations

import math
from base64 import b64decode
from dataclasses import replace
from struct import unpack_from

import numpy as np
import pytest

from justright.core.formats import FORMATS, LossScaleWindow
from justright.report.plots.heatmap import DECADES, heatmap, level
from justright.report.plots.profile import in_execution_order
from justright.report.plots.scales import window_words, windows_svg
from justright.report.precision import format_fits, loss_scales


def tensors(packed):
    """Read the bytes back: (first bin, zeros, not finite, levels) of every tensor."""
    data, at, found = b64decode(packed), 0, []
    while at < len(data):
        first, count, zeros, odd = unpack_from("<HHBB", data, at)
        found.append((first, zeros, odd, list(data[at + 6 : at + 6 + count])))
        at += 6 + count
    return found


@pytest.mark.parametrize("direction", ["forward", "gradient"])
def test_the_heat_map_holds_every_bin_of_every_tensor(report, direction):
    records = in_execution_order(report)
    drawn = heatmap(records)
    found = tensors(drawn[direction])
    assert len(found) == len(records)
    for record, (first, zeros, odd, levels) in zip(records, found, strict=True):
        known = getattr(record, direction)
        bins = {drawn["low"] + first + place: value for place, value in enumerate(levels) if value}
        assert set(bins) == {exponent for exponent, _ in known.histogram}
        for exponent, count in known.histogram:
            share = 10 ** (DECADES * (bins[exponent] / 255 - 1))
            assert math.log(share) == pytest.approx(math.log(count / known.count), abs=DECADES * math.log(10) / 255)
        assert (zeros > 0, odd > 0) == (known.zeros > 0, known.nonfinite > 0)
        assert all(drawn["low"] <= exponent <= drawn["high"] for exponent in bins)


def test_levels_grow_with_the_share_and_none_is_lost():
    levels = [level(share) for share in np.geomspace(1e-12, 1, 200)]
    assert levels == sorted(levels)
    assert (min(levels), max(levels)) == (1, 255)


def test_the_axis_holds_the_ends_of_half_precision(report):
    drawn = heatmap(in_execution_order(report))
    half = next(each for each in drawn["formats"] if each["name"] == "fp16")
    assert drawn["low"] < half["low"] < half["high"] < drawn["high"] + 1


@pytest.mark.parametrize("direction", ["forward", "gradient"])
def test_the_table_counts_what_the_elements_themselves_lose(reports, direction):
    records = in_execution_order(reports["vanishing"])
    for fit in format_fits(records):
        if fit.direction != direction:
            continue
        known = [getattr(record, direction) for record in records]
        assert fit.tensors == len(records)
        assert fit.unjudged == 0
        assert fit.over.sites == sum(each.absmax >= fit.format.overflow for each in known)
        # Each nonzero tensor has one element at a hundredth of its RMS and all but one of the others at the RMS itself.
        all_lost = sum(0 < each.rms <= fit.format.underflow for each in known)
        none_lost = sum(each.rms == 0 or each.rms / 100 > fit.format.underflow for each in known)
        assert all_lost <= fit.under.sites <= len(known) - none_lost
        free = min(math.log2(fit.format.largest / each.absmax) for each in known if each.absmax)
        assert fit.free == pytest.approx(free)


def test_the_worst_site_is_named(reports):
    records = list(in_execution_order(reports["healthy"]))
    wide = replace(records[40].forward, absmax=1e9, histogram=((0, 400), (29, 112)))
    records[40] = replace(records[40], forward=wide)
    half = next(fit for fit in format_fits(records) if fit.format is FORMATS["float16"] and fit.direction == "forward")
    assert (half.over.sites, half.over.site, half.over.worst) == (1, records[40].name, 112 / 512)
    assert half.free_site == records[40].name


def test_loss_scales_leave_out_the_loss_itself(reports):
    report = reports["vanishing"]
    window = next(each.window for each in loss_scales(report) if each.format is FORMATS["float16"])
    largest = {r.name: r.gradient.absmax for r in report.profile.sites if r.name != "/mean"}
    assert largest[window.high_site] == max(largest.values())
    assert (
        max(largest.values()) * 2**window.high
        < FORMATS["float16"].overflow
        <= max(largest.values()) * 2 ** (window.high + 1)
    )


def test_without_gradients_there_is_no_scale(reports):
    assert loss_scales(reports["empty"]) == ()
    bare = tuple(replace(record, gradient=None) for record in reports["healthy"].profile.sites)
    healthy = reports["healthy"]
    assert loss_scales(replace(healthy, profile=replace(healthy.profile, sites=bare))) == ()


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (3, 16, "2³ to 2¹⁶"), (5, 5, "2⁵"), (-math.inf, math.inf, "any"), (-math.inf, -2, "at most 2⁻²"),
        (4, math.inf, "at least 2⁴"), (4, 3, "none suits every gradient"),
        (-math.inf, -math.inf, "none suits every gradient"),
    ],
)  # fmt: skip
def test_a_window_is_said_in_words(low, high, words):
    window = LossScaleWindow(low, high)
    assert window_words(window) == words
    assert words in windows_svg([("float16", window)])

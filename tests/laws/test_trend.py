"""Growth over depth and through time, against SciPy's slopes and against what is put in by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from justright.core.findings import Severity
from justright.core.graph import GraphBuilder, Role
from justright.core.profile import Profile, SiteRecord, TensorStatistics
from justright.diagnostics._time import fastest, through_time
from justright.diagnostics._trend import (
    FEWEST,
    PAIRS,
    Limits,
    forward_size,
    forward_trend,
    gradient_size,
    gradient_trend,
    normalized,
    trend_of,
)
from justright.diagnostics.base import Case, diagnose

FLOAT = "float32"
FACTOR = st.floats(-3.0, 3.0).map(lambda nats: round(nats, 6))


def statistics(rms, count=64):
    return TensorStatistics(count, 0.0, rms, rms, 3 * rms, rms / 100, float(rms == 0))


def chain(forward, gradient=None, *, count=64, after=None):
    """Case of a stack of layers, whose outputs have these sizes; `after` names an operator behind each."""
    builder = GraphBuilder()
    site = builder.leaf("input.0", (8, 8), FLOAT, Role.INPUT)
    outputs = []
    for index in range(len(forward)):
        weight = builder.leaf(f"{index}.weight", (8, 8), FLOAT, Role.PARAMETER, differentiable=True)
        reads = [("input", site), ("weight", weight)]
        (site,) = builder.node("linear", "linear", reads, [((8, 8), FLOAT, True)], module=str(index))
        outputs.append(site)
        if after:
            (site,) = builder.node(after, after, [("input", site)], [((8, 8), FLOAT, True)], module=str(index))
    graph = builder.finish(outputs=[site], loss=site)
    names = [f"{index}/linear" for index in range(len(forward))]
    gradient = [None] * len(forward) if gradient is None else gradient
    records = [
        record(graph, name, rms, slope, count) for name, rms, slope in zip(names, forward, gradient, strict=True)
    ]
    return Case(graph, Profile(tuple(records)))


def record(graph, name, rms, slope, count):
    site = graph.by_name[name]
    gradient = None if slope is None else statistics(slope, count)
    return SiteRecord(name, "linear", "", "", site.shape, FLOAT, "activation", statistics(rms, count), gradient)


def growing(count, nats, start=0.0):
    return [math.exp(start + nats * index) for index in range(count)]


@given(st.lists(FACTOR, min_size=FEWEST, max_size=40))
def test_slope_is_the_one_of_theil_and_sen(logs):
    trend = trend_of(range(len(logs)), logs, (0, 1), len(logs) - 1, "layer")
    assert trend.rate == pytest.approx(stats.theilslopes(logs).slope, abs=1e-12)
    assert trend.total == pytest.approx(trend.rate * (len(logs) - 1))


@given(st.lists(st.tuples(st.integers(1, 5), FACTOR), min_size=FEWEST, max_size=30))
def test_slope_knows_uneven_depths(steps):
    places = np.cumsum([step for step, _ in steps])
    logs = [value for _, value in steps]
    trend = trend_of([int(place) for place in places], logs, (0, 1), 1, "layer")
    assert trend.rate == pytest.approx(stats.theilslopes(logs, places).slope, abs=1e-12)


def test_slope_of_very_many_layers_is_taken_over_an_even_part(rng):
    logs = 0.01 * np.arange(20 * PAIRS) + rng.normal(size=20 * PAIRS)
    rate = trend_of(range(len(logs)), list(logs), (0, 1), len(logs) - 1, "layer").rate
    error = 3 / len(logs) / math.sqrt(PAIRS) * 2  # a few standard errors of a slope over PAIRS points with noise 1
    assert abs(rate - 0.01) < error


@pytest.mark.parametrize("count", [FEWEST, 4, 5, 8, 12, 13, 40])
@pytest.mark.parametrize("nats", [-2.0, -0.1, 0.3, 1.5])
def test_even_growth_is_read_alike_by_all(count, nats):
    trend = forward_trend(chain(growing(count, nats)))
    assert trend.depth == count - 1
    assert trend.rate == pytest.approx(nats)
    assert trend.total == pytest.approx(nats * (count - 1))
    quarter = max(count // 4, 1)
    assert trend.ends == pytest.approx(nats * (count - quarter))
    assert trend.steady == pytest.approx(trend.ends, rel=0.35)
    assert trend.certain == pytest.approx(min(trend.total, trend.ends, trend.steady, key=abs))
    assert trend.certain * nats > 0


def test_gradient_is_its_whole_norm():
    slopes = growing(6, 1.0)
    trend = gradient_trend(chain([1.0] * 6, slopes, count=100))
    assert trend.rate == pytest.approx(1.0)
    case = chain([1.0], [0.25], count=100)
    assert gradient_size(case.profile.sites[0]) == pytest.approx(2.5)  # 0.25 * sqrt(100)
    assert forward_size(case.profile.sites[0]) == 1.0


@pytest.mark.parametrize("count", [3, 4, 6, 11, 12, 20, 41])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("nats", [-30.0, 30.0])
def test_one_odd_layer_makes_no_trend(count, place, nats):
    logs = [0.0] * count
    logs[{"first": 0, "middle": count // 2, "last": -1}[place]] = nats
    trend = forward_trend(chain([math.exp(each) for each in logs]))
    assert abs(trend.certain) < 1e-9


@pytest.mark.parametrize("count", [4, 6, 11, 12, 20, 41])
def test_one_jump_makes_no_trend(count):
    for cut in range(1, count):
        logs = [0.0] * cut + [-20.0] * (count - cut)
        assert abs(forward_trend(chain([math.exp(each) for each in logs])).certain) < 1e-9


def test_growth_between_outliers_is_seen():
    logs = [-1.0 * index for index in range(30)]
    for odd in (4, 5, 13, 22, 27):
        logs[odd] += 25.0
    trend = forward_trend(chain([math.exp(each) for each in logs]))
    assert trend.rate == pytest.approx(-1.0, abs=0.2)
    assert trend.certain < -15.0


def test_readings_that_disagree_are_not_certain():
    logs = [0.0, -1.0, -2.0, -3.0, -4.0, 9.0]
    trend = trend_of(range(6), logs, (0, 1), 5, "layer")
    assert trend.total < 0 < trend.ends
    assert trend.certain == 0.0


@pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
def test_too_few_layers_have_no_trend(count):
    assert forward_trend(chain([1.0] * count)) is None
    assert forward_trend(chain(growing(FEWEST, 1.0))) is not None


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_layers_without_a_size_are_left_out_and_still_count_as_depth(bad):
    sizes = growing(10, -2.0)
    for index in (0, 1, 2):
        sizes[index] = bad
    trend = gradient_trend(chain([1.0] * 10, sizes))
    assert trend.rate == pytest.approx(-2.0)
    assert trend.depth == 9
    assert trend.total == pytest.approx(-18.0)
    assert gradient_trend(chain([1.0] * 10, [bad] * 10)) is None


def test_gradients_smaller_than_any_square_of_a_float_are_measured():
    sizes = [1e-300 * math.exp(3.0 * index) for index in range(8)]
    assert gradient_trend(chain([1.0] * 8, sizes)).rate == pytest.approx(3.0)


@pytest.mark.parametrize("kind", ["layer_norm", "batch_norm"])
def test_what_a_normalization_reads_does_not_count(kind):
    case = chain(growing(8, 3.0), after=kind)
    ends = [record.name.replace("linear", kind) for record in case.profile.sites]
    after = tuple(
        dataclasses.replace(each, name=name, forward=statistics(1.0))
        for each, name in zip(case.profile.sites, ends, strict=True)
    )
    whole = Case(case.graph, Profile((*case.profile.sites, *after)))
    assert forward_trend(whole).certain == 0.0
    assert {case.graph.sites[normalized(case.graph, layer.outputs[0])].name for layer in case.layers} == set(ends)
    assert forward_trend(chain(growing(8, 3.0), after="relu")).rate == pytest.approx(3.0)


def loop(sizes, steps_apart=False):
    """Case of one weight used again and again, on its own result or side by side on the input."""
    builder = GraphBuilder()
    x = builder.leaf("input.0", (8, 8), FLOAT, Role.INPUT)
    weight = builder.leaf("weight", (8, 8), FLOAT, Role.PARAMETER, differentiable=True)
    site, parts = x, []
    for _ in sizes:
        reads = [("input", x if steps_apart else site), ("weight", weight)]
        (site,) = builder.node("linear", "linear", reads, [((8, 8), FLOAT, True)])
        parts.append(site)
    (end,) = builder.node(
        "concatenate", "cat", [("tensors", part) for part in parts], [((8, 8 * len(parts)), FLOAT, True)]
    )
    graph = builder.finish(outputs=[end], loss=end)
    names = [graph.sites[output].name for node in graph.nodes if node.op == "linear" for output in node.outputs]
    records = [record(graph, name, size, size, 64) for name, size in zip(names, sizes, strict=True)]
    return Case(graph, Profile(tuple(records)))


def test_growth_through_time_is_that_of_the_uses_in_a_row():
    (trend,) = through_time(loop(growing(12, 0.5)), forward_size)
    assert (trend.rate, trend.step, trend.depth) == (pytest.approx(0.5), "step", 11)
    assert forward_trend(loop(growing(12, 0.5))) is None
    assert through_time(loop(growing(5, 0.5)), forward_size) == []
    assert through_time(loop(growing(12, 0.5), steps_apart=True), forward_size) == []


def test_fastest_looks_in_one_direction():
    slow, fast, down = (trend_of(range(9), [rate * i for i in range(9)], (0, 1), 8, "layer") for rate in (1, 2, -5))
    assert fastest([slow, None, fast, down], 1) is fast
    assert fastest([slow, None, fast, down], -1) is down
    assert fastest([None, down], 1) is None


def test_limits_order_the_severities():
    limits = Limits(1.0, 2.0, 3.0)
    assert [limits.severity(nats) for nats in (0.9, -1.5, 2.5, -3.5)] == [
        None,
        Severity.NOTE,
        Severity.WARNING,
        Severity.ERROR,
    ]


@pytest.mark.parametrize(("nats", "code"), [(-3.0, "JR101"), (3.0, "JR102")], ids=["shrinking", "growing"])
def test_forward_growth_gets_its_name_and_a_flat_one_none(nats, code):
    found = [finding.code for finding in diagnose(chain(growing(12, nats)))[0]]
    assert found == [code]
    assert diagnose(chain(growing(12, nats / 50)))[0] == ()


@pytest.mark.parametrize(("nats", "code"), [(2.5, "JR103"), (-2.5, "JR104")], ids=["vanishing", "exploding"])
def test_gradient_growth_gets_its_name_towards_the_input(nats, code):
    findings, _ = diagnose(chain([1.0] * 12, growing(12, nats)))
    assert [(finding.code, finding.severity) for finding in findings] == [(code, Severity.ERROR)]
    assert findings[0].evidence[0].value == pytest.approx(-nats)


def test_a_gradient_that_shrinks_with_the_signal_is_a_matter_of_scale():
    alone, _ = diagnose(chain([1.0] * 12, growing(12, 2.5)))
    both, _ = diagnose(chain(growing(12, -2.5), growing(12, 2.5)))
    assert [(each.code, each.severity) for each in alone] == [("JR103", Severity.ERROR)]
    assert [(each.code, each.severity) for each in both] == [("JR101", Severity.WARNING)]
    assert [(each.code, each.severity) for each in both[0].symptoms] == [("JR103", Severity.WARNING)]

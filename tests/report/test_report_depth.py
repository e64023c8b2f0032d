"""Laws of the depth profile: geometric means, whatever the binning."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from statistics import geometric_mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justright.core.findings import Severity
from justright.core.graph import GraphBuilder, Parameter, Role
from justright.core.profile import Profile, SiteRecord, TensorStatistics
from justright.report import Report
from justright.report.plots.depth import Column, Level, binned, depth_columns
from justright.report.plots.profile import in_execution_order
from justright.report.plots.scale import log_scale

VALUES = st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=200)


def column(depth, rms):
    return Column(depth, depth, Level(math.log(rms), positive=1))


@given(VALUES, st.integers(1, 60))
def test_bins_hold_every_depth_once_and_the_geometric_mean_of_each(values, count):
    bins = binned(tuple(column(index + 1, rms) for index, rms in enumerate(values)), count)
    assert len(bins) == min(count, len(values))
    covered = [depth for each in bins for depth in range(each.first, each.last + 1)]
    assert covered == list(range(1, len(values) + 1))
    for each in bins:
        assert each.forward.rms == pytest.approx(geometric_mean(values[each.first - 1 : each.last]), rel=1e-9)


@given(VALUES)
def test_every_value_lies_on_its_axis_in_order(values):
    scale = log_scale(values)
    positions = [scale.position(value) for value in sorted(values)]
    assert all(0 <= position <= 1 for position in positions)
    assert positions == sorted(positions)
    assert scale.high / scale.low >= 10 * (1 - 1e-9)


@pytest.mark.parametrize("values", [[], [0.0, math.nan, math.inf], [5e-324], [1.7e308], [5e-324, 1.7e308]])
def test_an_axis_exists_for_any_values(values):
    scale = log_scale(values)
    assert 0 < scale.low < scale.high < math.inf


def test_a_value_that_is_not_finite_is_not_averaged_away():
    merged = reduce(Level.__add__, [Level(0.0, positive=5), Level(nonfinite=1), Level(zeros=2)])
    assert not merged.drawable
    assert (merged.positive, merged.zeros, merged.nonfinite) == (5, 2, 1)


@pytest.fixture
def fork():
    """Two parallel layers with RMS 0.1 and 10, then a third with RMS 7; the weights are the first leaves."""
    builder = GraphBuilder()
    weights = [builder.leaf(name, (4, 4), "float32", Role.PARAMETER) for name in ("a.weight", "b.weight", "c.weight")]
    x = builder.leaf("input.0", (2, 4), "float32", Role.INPUT)

    def linear(name, signal, weight):
        operands = [("input", signal), ("weight", weight)]
        return builder.node("linear", "aten.linear", operands, [((2, 4), "float32", True)], module=name)[0]

    a, b = (linear(name, x, weight) for name, weight in zip("ab", weights, strict=False))
    (joined,) = builder.node("add", "aten.add", [("input", a), ("other", b)], [((2, 4), "float32", True)])
    c = linear("c", joined, weights[2])
    names = [Parameter(name, site) for name, site in zip(("a.weight", "b.weight", "c.weight"), weights, strict=True)]
    graph = builder.finish(outputs=[c], parameters=names)
    rms = {"a/linear": 0.1, "b/linear": 10.0, "/add": 3.0, "c/linear": 7.0}
    depth = {"c/linear": 2, "input.0": 0, "a.weight": 0, "b.weight": 0, "c.weight": 0}
    records = tuple(
        SiteRecord(
            site.name,
            "",
            "",
            "",
            site.shape,
            site.dtype,
            site.role.value,
            depth=depth.get(site.name, 1),
            forward=TensorStatistics(8, 0.0, rms.get(site.name, 1.0), 1.0, 1.0, 1.0, 0.0),
        )
        for site in graph.sites
    )
    return Report("fork", graph, Profile(records))


def test_layers_at_one_depth_are_averaged_geometrically(fork):
    columns = depth_columns(fork)
    assert [each.first for each in columns] == [1, 2]
    assert [each.forward.rms for each in columns] == pytest.approx([1.0, 7.0])
    assert all(math.isnan(each.gradient.rms) for each in columns)


@pytest.mark.parametrize(
    ("name", "depth"), [("c.weight", 2), ("b/linear", 1), ("/add", 1), ("input.0", 1), ("no such site", None)]
)
def test_a_finding_marks_the_depth_of_its_site(fork, reports, name, depth):
    finding = replace(reports["vanishing"].findings[0], sites=(name,))
    marks = {each.first: each.mark for each in depth_columns(replace(fork, findings=(finding,))) if each.mark}
    assert marks == ({depth: Severity.ERROR} if depth else {})


def test_leaves_stand_before_their_first_reader(fork):
    names = [record.name for record in in_execution_order(fork)]
    assert names == ["a.weight", "input.0", "a/linear", "b.weight", "b/linear", "/add", "c.weight", "c/linear"]

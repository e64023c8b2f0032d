"""Laws of mean-field theory that every activation of the catalogue keeps, a new one as soon as it is registered."""

from __future__ import annotations

import doctest
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import justright as jr
from justright.core.gaussian import expectation
from justright.errors import CatalogueError, InputError
from justright.meanfield.activation import Activation, activation_of
from justright.meanfield.fixed import jumps
from justright.meanfield.maps import Layer, mean_product, mean_slope, mean_square
from justright.meanfield.plane import sweep
from justright.ops.base import OPERATORS

POINTS = ((0.0, 0.3), (0.0, 4.0), (0.7, 1.0), (-1.5, 2.0))
LINE = np.linspace(-40.0, 40.0, 4001)


def is_whole(name):
    """Say whether an entry is a number of moderate size on the whole line."""
    with np.errstate(all="ignore"):
        values = OPERATORS[name].phi(input=np.concatenate([LINE + 1e-3, LINE * 1e-9]))
    return bool(np.all(np.abs(values) < 1e4) and len(OPERATORS[name].kinks()) < 20)


ACTIVATIONS = [name for name in OPERATORS if OPERATORS[name].required == {"input"} and is_whole(name)]
CONTINUOUS = [name for name in ACTIVATIONS if not jumps(activation_of(name))]


def by_hand(f, kinks, mean, q):
    """Integrate with Gauss-Legendre panels of fixed width, finer than the library's, split at zero and the kinks."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    bends = (np.array([0.0, *kinks]) - mean) / np.sqrt(q)
    edges = np.unique(np.concatenate([np.linspace(-10.0, 10.0, 81), bends]))
    edges = edges[np.abs(edges) <= 10.0]
    half, middle = np.diff(edges)[:, None] / 2.0, (edges[1:] + edges[:-1])[:, None] / 2.0
    z = middle + half * nodes
    return float(np.sum(half * weights * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) * f(mean + np.sqrt(q) * z)))


def test_there_are_activations_to_check():
    assert {"relu", "tanh", "gelu", "mish", "selu", "hardswish", "softsign"} <= set(CONTINUOUS)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("mean", "q"), POINTS)
def test_second_moments_agree_with_finer_quadrature(name, mean, q):
    made = activation_of(name)
    square, slope = float(mean_square(made, q, mean)), float(mean_slope(made, q, mean))
    assert square == pytest.approx(by_hand(lambda u: made.f(u) ** 2, made.kinks, mean, q), rel=1e-10, abs=1e-13)
    assert slope == pytest.approx(by_hand(lambda u: made.slope(u) ** 2, made.kinks, mean, q), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_slopes_agree_with_differences_of_the_function(name):
    made = activation_of(name)
    u = np.array([-2.7, -1.3, -0.4, 0.23, 0.9, 1.7, 4.1])
    step = 1e-5
    np.testing.assert_allclose(made.slope(u), (made.f(u + step) - made.f(u - step)) / (2.0 * step), atol=1e-8)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_chi_is_the_slope_of_the_correlation_map_at_one(name):
    made = activation_of(name)
    layer, q, s = Layer(made, 1.1, 0.2), 1.3, 1e-7
    got = layer.away(s, q) / s * float(layer.length(q)) / q
    bend = 3e-3 if made.kinks else 1e-5  # at a kink the next term is the root of s
    assert got == pytest.approx(float(layer.slope(q)), rel=bend)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_slope_of_the_length_map_is_its_difference(name):
    made, q, step = activation_of(name), 0.9, 1e-4
    rise = float(mean_square(made, q + step) - mean_square(made, q - step)) / (2.0 * step)
    assert float(mean_product(made, q)) == pytest.approx(rise, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_closed_forms_change_nothing(name):
    made = activation_of(name)
    bare = Activation(made.name, made.f, made.slope, made.kinks)
    assert float(mean_square(made, 1.7)) == pytest.approx(float(mean_square(bare, 1.7)), rel=1e-9)
    one, two = Layer(made, 1.0, 0.1), Layer(bare, 1.0, 0.1)
    assert one.cross(1.7, 0.6, 0.4) == pytest.approx(two.cross(1.7, 0.6, 0.4), rel=1e-9)
    assert one.away(0.3, 1.7) == pytest.approx(two.away(0.3, 1.7), rel=1e-9)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "silu", "softplus", "sigmoid", "elu"])
@pytest.mark.parametrize("weight", [0.7, 1.2])
def test_q_is_where_iteration_ends(name, weight):
    point = jr.phase(name, sigma_w=weight, sigma_b=0.4)
    layer, q = Layer(activation_of(name), weight, 0.4), 1.0
    for _ in range(300):
        q = float(layer.length(q))
    assert point.q == pytest.approx(q, rel=1e-9)


@pytest.mark.parametrize(("name", "weight"), [("relu", 1.7), ("gelu", 1.6), ("softplus", 1.6)])
def test_growth_without_bound_is_said(name, weight):
    point = jr.phase(name, sigma_w=weight, sigma_b=0.3)
    assert point.q == math.inf
    assert any("without bound" in note for note in point.notes)


def test_an_unstable_fixed_point_is_said():
    point = jr.phase("gelu", sigma_w=1.5)
    assert any("unstable" in note for note in point.notes)
    (other,) = [q for q in point.fixed_points if q > 0.0]
    below, above = (jr.phase("gelu", sigma_w=1.5, start=factor * other).q for factor in (0.99, 1.01))
    assert (below, above) == (0.0, math.inf)


@pytest.mark.parametrize("start", [1e-4, 1.0, 100.0])
def test_of_several_fixed_points_the_one_is_taken_that_iteration_reaches(start):
    def switch(u):
        return 3.0 * u**3 / (1.0 + np.abs(u) ** 3)

    point = jr.phase(switch, sigma_b=0.1, start=start)
    assert len(point.fixed_points) == 3
    layer, q = Layer(activation_of(switch), 1.0, 0.1), start
    for _ in range(100):
        q = float(layer.length(q))
    assert point.q == pytest.approx(q, rel=1e-8)
    assert len([note for note in point.notes if "unstable" in note]) == 1


def test_a_function_of_the_user_is_as_good_as_its_name():
    named = jr.phase("silu", sigma_w=1.2, sigma_b=0.5)
    written = jr.phase(lambda u: u / (1.0 + np.exp(-u)), sigma_w=1.2, sigma_b=0.5)
    assert written.chi_1 == pytest.approx(named.chi_1, rel=1e-8)
    assert any("difference" in note for note in written.notes)
    assert jr.phase(np.tanh, sigma_w=1.2).q == jr.phase("tanh", sigma_w=1.2).q


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"activation": "tahn"}, CatalogueError, "tanh"),
    ({"activation": "log"}, InputError, "inputs up to"),
    ({"activation": "tan"}, InputError, "pole at"),
    ({"activation": 3}, InputError, "name of an activation"),
    ({"activation": "add"}, InputError, "other"),
    ({"activation": "relu", "slope": 0.1}, InputError, "unknown"),
    ({"activation": "tanh", "sigma_w": 0.0}, InputError, "above zero"),
    ({"activation": "tanh", "sigma_b": -1.0}, InputError, "zero or above"),
    ({"activation": "tanh", "keep": 0.0}, InputError, "probability"),
    ({"activation": float}, InputError, "vectorize"),
])  # fmt: skip
def test_bad_input_is_said_in_words(arguments, error, words):
    with pytest.raises(error, match=words):
        jr.phase(**arguments)


def test_a_plane_is_the_same_on_any_backend():
    joblib = pytest.importorskip("joblib")
    told = []
    one = sweep("erf", [0.8, 1.5], [0.1, 0.4, 0.9], jobs=1)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        other = sweep("erf", [0.8, 1.5], [0.1, 0.4, 0.9], progress=lambda *each: told.append(each))
    np.testing.assert_array_equal(one.depth, other.depth)
    assert told == [("plane", 1, 3), ("plane", 2, 3), ("plane", 3, 3)]


def test_results_are_plain_data():
    point = jr.phase("relu", sigma_w=2**0.5)
    data = json.loads(json.dumps(point.to_dict(), allow_nan=False))
    assert (data["phase"], data["xi_c"], data["provenance"]) == ("critical", "inf", "numerical")
    assert json.loads(json.dumps(jr.critical("tanh", q=1.0).to_dict(), allow_nan=False))["stable"] is True
    plane = sweep("relu", [1.0, 2.0], [0.1], jobs=1)
    json.dumps(plane.to_dict(), allow_nan=False)
    pytest.importorskip("pandas")
    assert list(plane.to_pandas()["phase"]) == ["ordered", "chaotic"]
    assert "chi_1" in repr(point)


def test_expectations_without_kinks_agree_too():
    relu = activation_of("relu")
    assert float(expectation(relu.f, 0.4, 1.0)) == pytest.approx(
        float(expectation(relu.f, 0.4, 1.0, (0.0,))), rel=1e-12
    )


def test_the_examples_of_the_page_on_phases_are_true():
    page = (Path(__file__).parents[2] / "docs" / "concepts" / "phase.md").read_text("utf-8")
    blocks = re.findall(r"```pycon\n(.*?)```", page, re.DOTALL)
    case = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "phase.md", None, 0)
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(case)
    assert (results.failed, results.attempted) == (0, 4)

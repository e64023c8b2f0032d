"""Poole et al. 2016, arXiv:1606.05340: length and correlation maps of tanh, and where they end."""

from __future__ import annotations

import numpy as np
import pytest

from justright.meanfield.activation import activation_of
from justright.meanfield.maps import Layer
from justright.meanfield.point import phase


def test_the_settings_of_figures_1_and_2_are_ordered(holds):
    point = phase("tanh", sigma_w=1.3, sigma_b=0.3)
    holds("phase.poole.sb=.3.sw=1.3", [point.q, point.chi_1, point.c])
    assert point.name == "ordered"


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "relu"])
def test_the_state_near_one_agrees_with_the_cross_moment_away_from_it(name):
    layer = Layer(activation_of(name), 1.4, 0.2)
    q, after = 0.8, float(layer.length(0.8))
    for s in (0.1, 0.7, 1.0, 1.9):
        assert layer.away(s, q) == pytest.approx(1.0 - layer.cross(q, q, q * (1.0 - s)) / after, rel=1e-11)


def test_the_slope_of_the_correlation_map_at_one_is_chi():
    layer = Layer(activation_of("tanh"), 1.6, 0.3)
    q = phase("tanh", sigma_w=1.6, sigma_b=0.3).q
    s = 1e-7
    assert layer.away(s, q) / s == pytest.approx(float(layer.slope(q)), rel=1e-6)


def test_xavier_tanh_loses_its_length_as_one_over_twice_the_depth(holds):
    layer, q, growth = Layer(activation_of("tanh"), 1.0), 1.0, 1.0
    for depth in range(1, 101):
        growth *= float(layer.slope(q))
        q = float(layer.length(q))
        if depth in {10, 100}:
            holds(f"tanh.xavier.L{depth}", [q, growth])


def test_iteration_ends_at_the_fixed_point():
    point = phase("tanh", sigma_w=2.5**0.5, sigma_b=0.05**0.5)
    layer, s = Layer(activation_of("tanh"), 2.5**0.5, 0.05**0.5), 0.5
    for _ in range(150):
        s = layer.away(s, point.q)
    assert 1.0 - s == pytest.approx(point.c, abs=3e-6)
    assert np.isclose(np.log(point.chi_c), -1.0 / point.xi_c)

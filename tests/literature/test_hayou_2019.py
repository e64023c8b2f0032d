"""Hayou et al. 2019, arXiv:1902.06853: how fast correlations approach one on the critical line."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.gaussian import expectation
from justright.meanfield.activation import activation_of
from justright.meanfield.critical import critical
from justright.meanfield.maps import Layer


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_smooth_activations_approach_one_as_the_rate_over_depth(name):
    point = critical(name, q=1.0)
    layer, s = Layer(activation_of(name), point.sigma_w, point.sigma_b), 2e-4
    start = point.rate / s
    for _ in range(20):
        s = layer.away(s, point.q, point.q)
    assert point.rate / s - start == pytest.approx(20.0, rel=2e-3)


def test_the_rate_of_the_sine_in_closed_form():
    q = 0.7  # E phi'^2 = (1 + exp(-2q)) / 2, E phi''^2 = E phi^2
    second = float(expectation(lambda u: np.sin(u) ** 2, 0.0, q))
    assert critical("sin", q=q).rate == pytest.approx(2.0 * (1.0 - second) / (q * second), rel=1e-5)


def test_the_unstable_point_of_gelu_is_named():
    assert any("unstable" in note for note in critical("gelu", q=1.0).notes)
    assert not critical("gelu", q=1.0).stable
    assert critical("tanh", q=1.0).stable

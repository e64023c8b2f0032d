"""Cho and Saul 2009: arc-cosine kernels, the correlation maps of the step and the rectifier."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.gaussian import CLOSED, contrast, dual
from justright.meanfield.activation import activation_of
from justright.meanfield.maps import Layer


def test_the_correlation_of_a_critical_rectifier(holds):
    layer, s = Layer(activation_of("relu"), 2.0**0.5), 0.5
    for depth in range(1, 101):
        s = layer.away(s, 1.0, 1.0)
        if depth in {1, 2, 10, 100}:
            holds(f"relu.corr.l{depth}", s)


def test_the_angle_gives_what_quadrature_gives():
    for s in (1e-10, 1e-4, 0.3, 1.5, 2.0):
        by_angle = Layer(activation_of("relu"), 2.0**0.5).away(s, 2.0, 2.0) * 2.0
        by_quadrature = 2.0 * contrast(lambda u: np.maximum(u, 0.0), 2.0, s, kinks=(0.0,))
        assert by_angle == pytest.approx(by_quadrature, rel=1e-8)


@pytest.mark.parametrize("c", [-1.0, -0.4, 0.0, 0.7, 0.999999, 1.0])
def test_the_kernel_of_degree_zero_is_the_angle(c):
    step = dual(
        lambda u: (u > 0.0) * 1.0, lambda u: (u > 0.0) * 1.0, 1.0, 3.0, c * 3.0**0.5, kinks_f=(0.0,), kinks_g=(0.0,)
    )
    assert float(step) == pytest.approx((np.pi - np.arccos(c)) / (2.0 * np.pi), abs=1e-10)
    assert float(CLOSED["relu"].slope_dual(1.0, 3.0, c * 3.0**0.5)) == pytest.approx(float(step), abs=1e-10)


def test_correlations_of_critical_rectifiers_approach_one_with_the_square_of_depth():
    layer, s = Layer(activation_of("relu"), 2.0**0.5), 0.5
    for _ in range(1000):
        s = layer.away(s, 1.0, 1.0)
    assert s * 1000**2 / (4.5 * np.pi**2) == pytest.approx(0.9672, abs=1e-4)  # Hayou et al. 2019, with its correction

"""Klambauer et al. 2017, arXiv:1706.02515: SELU keeps mean zero and variance one."""

from __future__ import annotations

import pytest

from justright.core.gaussian import expectation
from justright.meanfield.activation import activation_of
from justright.meanfield.point import phase


def test_the_fixed_point_and_its_jacobian(holds):
    selu = activation_of("selu")
    holds("selu.J12", float(expectation(lambda u: selu.slope(u) * u, 0.0, 1.0, selu.kinks)) / 2.0)
    assert float(expectation(selu.f, 0.0, 1.0, selu.kinks)) == pytest.approx(0.0, abs=1e-14)
    point = phase("selu")
    assert point.q == pytest.approx(1.0, rel=1e-12)
    assert point.chi_1 == pytest.approx(1.071574992456, rel=1e-11)


def test_pytorchs_gain_of_three_quarters_takes_the_signal_and_nearly_keeps_the_gradient():
    point = phase("selu", sigma_w=0.75)
    assert point.q == pytest.approx(0.0, abs=1e-6) or point.q == pytest.approx(0.023033784611, rel=1e-9)

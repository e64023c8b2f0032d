"""Schoenholz et al. 2017, arXiv:1611.01232: depth scales, the critical line of tanh, dropout."""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.meanfield.critical import critical
from justright.meanfield.plane import sweep
from justright.meanfield.point import phase


@pytest.mark.parametrize("weight", ["1.0", "1.3", "1.5", "1.7", "2.0", "2.5"])
def test_fixed_points_and_depth_scales_of_tanh(weight, holds):
    point = phase("tanh", sigma_w=float(weight) ** 0.5, sigma_b=0.05**0.5)
    holds(f"phase.tanh.sb2=.05.sw2={weight}", [point.q, point.chi_1, point.c, point.xi_c, point.xi_q])


LINE = {"0.001": "sw2", "0.01": "sw2 qstar", "0.05": "sw2 xi_q", "0.1": "sw2 qstar", "0.2": "sw2 qstar", "0.5": "qstar"}


@pytest.mark.parametrize(("bias", "kinds"), list(LINE.items()))
def test_the_critical_line_of_tanh(bias, kinds, holds):
    point = critical("tanh", sigma_b=float(bias) ** 0.5)
    got = {"sw2": point.sigma_w**2, "qstar": point.q, "xi_q": -1.0 / math.log(point.chi_q)}
    for kind in kinds.split():
        holds(f"crit.tanh.sb2={bias}.{kind}", got[kind])


def test_gradients_neither_grow_nor_shrink_on_the_line():
    line = critical("tanh", sigma_b=0.3)
    point = phase("tanh", sigma_w=line.sigma_w, sigma_b=0.3)
    assert point.name == "critical"
    assert point.q == pytest.approx(line.q, rel=1e-9)
    assert phase("tanh", sigma_w=1.01 * line.sigma_w, sigma_b=0.3).name == "chaotic"
    assert phase("tanh", sigma_w=0.99 * line.sigma_w, sigma_b=0.3).name == "ordered"


def test_erf_is_critical_with_unit_length_at_its_closed_bias(holds):
    point = critical("erf", q=1.0)
    holds("crit.erf.q1.sb2", point.sigma_b**2)
    assert point.sigma_w**2 == pytest.approx(math.pi * math.sqrt(5.0) / 4.0, rel=1e-13)


def test_sigmoid_is_critical_in_deep_saturation_only(holds):
    point = critical("sigmoid")
    holds("crit.sigmoid.onset", [point.q, point.sigma_w**2])


def test_softplus_has_no_critical_point():
    with pytest.raises(Exception, match="negative at every q"):
        critical("softplus", sigma_b=0.5)


def test_a_plane_agrees_with_its_points():
    plane = sweep("tanh", [0.9, 1.4, 2.2], [0.05, 0.6], jobs=1)
    for row, bias in enumerate(plane.sigma_b):
        for column, weight in enumerate(plane.sigma_w):
            point = phase("tanh", sigma_w=weight, sigma_b=bias)
            got = [getattr(plane, name)[row, column] for name in ("q", "chi_1", "xi_c", "depth")]
            np.testing.assert_allclose(got, [point.q, point.chi_1, point.xi_c, point.depth], rtol=1e-5)

"""Pretorius et al. 2018, arXiv:1811.00293: rectifiers under dropout."""

from __future__ import annotations

import pytest

from justright.meanfield.point import phase


@pytest.mark.parametrize("keep", ["0.7", "0.9", "0.95", "0.99"])
def test_the_correlation_that_dropout_leaves(keep, holds):
    point = phase("relu", sigma_w=(2.0 * float(keep)) ** 0.5, keep=float(keep))
    holds(f"dropout.relu.keep{keep}.cstar", point.c)
    assert point.chi_1 == pytest.approx(1.0, abs=1e-12)
    assert any("dropout" in note for note in point.notes)


def test_dropout_leaves_no_critical_point():
    assert phase("tanh", sigma_w=1.2, sigma_b=0.1, keep=0.9).c < 0.9

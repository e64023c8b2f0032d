"""Pennington et al. 2017, arXiv:1711.04735, and Xiao et al. 2018, arXiv:1806.05393: dynamical isometry by small q*."""

from __future__ import annotations

import pytest
from scipy.optimize import brentq

from justright.core.gaussian import expectation
from justright.meanfield.activation import activation_of
from justright.meanfield.critical import critical
from justright.meanfield.maps import mean_slope


def spread(name, q):
    """Return the variance of the squared singular values that one orthogonal layer adds."""
    made = activation_of(name)
    fourth = expectation(lambda u: made.slope(u) ** 4, 0.0, q, made.kinks)
    return float(fourth / mean_slope(made, q) ** 2) - 1.0


@pytest.mark.parametrize("depth", [100, 1000])
def test_the_length_at_which_a_deep_orthogonal_erf_network_has_a_spread_of_a_quarter(depth, holds):
    q = brentq(lambda q: depth * spread("erf", q) - 0.25, 1e-6, 1.0, xtol=1e-15)
    holds(f"isometry.erf.orth.L{depth}", [q, critical("erf", q=q).sigma_w ** 2])


@pytest.mark.parametrize("depth", [100, 1000, 10000])
def test_tanh_with_a_length_of_one_over_the_depth(depth, holds):
    point = critical("tanh", q=1.0 / depth)
    holds(
        f"deltaorth.tanh.q1overL.L{depth}",
        [point.sigma_w**2, point.sigma_b**2, depth * spread("tanh", 1.0 / depth)],
    )

"""Edelman 1988: the smallest singular value of a Gaussian matrix."""

from __future__ import annotations

from scipy.optimize import brentq

from justright.core.products import smallest_singular_value_cdf


def test_its_median(holds):
    holds("edelman.smin.median", brentq(lambda x: smallest_singular_value_cdf(x) - 0.5, 0.0, 2.0, xtol=1e-15))

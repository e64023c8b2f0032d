"""Hanin and Nica 2018, arXiv:1812.05994: what one layer of rectifiers does to the logarithm of a length."""

from __future__ import annotations

import pytest

from justright.core.products import rectifier_log_growth


@pytest.mark.parametrize("width", [8, 64])
def test_mean_and_variance_of_a_layer(width, holds):
    holds(f"hanin.relu.n{width}.log", rectifier_log_growth(width))

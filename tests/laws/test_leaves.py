"""Laws of the moments of leaves, against other routes to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import truncnorm

from justright.core.graph import Initializer
from justright.core.stratified import stratified
from justright.propagation.leaves import by_initializer, by_values


@pytest.mark.parametrize("bounds", [(-2.0, 2.0), (-1.0, 4.0), (2.0, 3.0), (-3.0, -2.0), (-np.inf, 0.0), (5.0, 7.0)])
def test_a_truncated_normal_is_that_of_scipy(bounds):
    mean, std = 0.25, 1.5
    low, high = ((bound - mean) / std for bound in bounds)
    expected = truncnorm(low, high, loc=mean, scale=std)
    arguments = {"mean": mean, "std": std, "a": bounds[0], "b": bounds[1]}
    found = by_initializer(Initializer("trunc_normal", arguments), (8, 4)).moments
    assert found.average_mean == pytest.approx(expected.mean(), rel=1e-11)
    assert found.second_moment == pytest.approx(expected.moment(2), rel=1e-11)


@pytest.mark.parametrize("shape", [(7,), (1,), (3, 5)])
def test_one_number_everywhere_is_like_any_other_values(shape):
    values = np.full(shape, 0.3)
    found, expected = by_values(values).moments, stratified(values)
    assert found.dims == expected.dims
    assert np.allclose(found.pairs, expected.pairs, rtol=1e-14)

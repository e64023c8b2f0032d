"""Means of one over a quadratic form and of quotients, against Monte Carlo and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.forms import inverse_mean, quotient_mean

CASES = [
    (np.array([1.0, 1.0]), np.array([2.0, 1.0]), [4.0, 5.0]),
    (np.array([3.0, 0.5]), np.array([2.0, 0.1]), [1.0, 8.0]),
    (np.array([0.0, 1.0]), np.array([5.0, 1.0]), [3.0, 22.0]),
]


def squares(counts, draws, rng):
    return np.stack([rng.chisquare(count, draws) for count in counts], axis=1)


@pytest.mark.parametrize(("above", "below", "counts"), CASES)
def test_means_are_those_of_draws(above, below, counts, rng):
    z = squares(counts, 400_000, rng)
    upper, lower = z @ above, z @ below
    scale = float(below @ np.array(counts))
    for found, draws in (
        (inverse_mean(below, counts), scale / lower),
        (inverse_mean(below, counts, added=0.7), (scale + 0.7) / (lower + 0.7)),
        (quotient_mean(above, below, counts), upper / lower * scale / float(above @ np.array(counts))),
    ):
        assert abs(found - draws.mean()) < 4.5 * draws.std() / math.sqrt(len(draws))


def test_a_noncentral_form(rng):
    mean = 1.3
    x = rng.standard_normal((400_000, 6)) * math.sqrt(2.0)
    x[:, 0] += math.sqrt(mean)
    draws = (12.0 + mean) / np.square(x).sum(axis=1)
    found = inverse_mean([2.0], [6.0], mean=mean)
    assert abs(found - draws.mean()) < 4.5 * draws.std() / math.sqrt(len(draws))


@pytest.mark.parametrize("count", [5.0, 9.0, 25.0, 4096.0])
def test_equal_factors_give_chi_squared(count):
    assert inverse_mean([0.3], [count]) == pytest.approx(count / (count - 2.0), rel=1e-9)
    assert quotient_mean([2.0], [0.3], [count]) == pytest.approx(1.0, rel=1e-9)


def test_nothing_varies():
    assert inverse_mean([0.0], [4.0]) == 1.0
    assert quotient_mean([0.0], [1.0], [4.0]) == 1.0

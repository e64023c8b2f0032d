"""Laws of Gaussian expectations: quadrature against closed forms, Monte Carlo, the trapezoidal rule and mpmath."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, expit, ndtr

from justright.core.gaussian import CLOSED, Expansion, contrast, dual, expectation
from justright.ops.base import OPERATORS

VARIANCES = np.array([1e-6, 1e-2, 0.3, 1.0, 7.0, 50.0, 1e4, 1e6])
CORRELATIONS = np.array([-1.0, -0.9999999, -0.5, 0.0, 0.3, 0.99, 1.0 - 1e-8, 1.0])


def function(name):
    """Return a function, its derivative and its kinks."""
    if name == "ndtr":
        return ndtr, lambda u: np.exp(-0.5 * u * u) / np.sqrt(2.0 * np.pi), ()
    entry = OPERATORS[name]
    return (lambda u: entry.phi(input=u)), (lambda u: entry.partials["input"](input=u)), entry.kinks()


@pytest.mark.parametrize("name", CLOSED)
def test_closed_second_moments_agree_with_quadrature(name):
    f, slope, kinks = function(name)
    closed = CLOSED[name]
    np.testing.assert_allclose(
        closed.second(VARIANCES), expectation(lambda u: f(u) ** 2, 0, VARIANCES, kinks), rtol=1e-9
    )
    np.testing.assert_allclose(
        closed.slope(VARIANCES), expectation(lambda u: slope(u) ** 2, 0, VARIANCES, kinks), rtol=1e-9
    )


@pytest.mark.parametrize("name", [name for name, closed in CLOSED.items() if closed.dual])
def test_closed_duals_agree_with_nested_quadrature(name):
    f, slope, kinks = function(name)
    closed, q1, q2 = CLOSED[name], 2.0, 0.7
    k = CORRELATIONS * np.sqrt(q1 * q2)
    np.testing.assert_allclose(closed.dual(q1, q2, k), dual(f, f, q1, q2, k, kinks_f=kinks, kinks_g=kinks), atol=1e-9)
    if closed.slope_dual:
        nested = dual(slope, slope, q1, q2, k, kinks_f=kinks, kinks_g=kinks)
        np.testing.assert_allclose(closed.slope_dual(q1, q2, k), nested, atol=1e-9)


@pytest.mark.parametrize("q", [1e-6, 1.81, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("mean", [0.0, 2.5])
def test_a_narrow_peak_is_resolved_at_any_variance(q, mean):
    step = 0.01 * min(1.0, np.sqrt(q))  # the trapezoidal rule converges geometrically on a peak that decays both ways
    u = np.arange(-45.0, 45.0, step) if q > 1.0 else mean + np.arange(-12.0, 12.0, 0.01) * np.sqrt(q)
    step = u[1] - u[0]
    weights = step * np.exp(-((u - mean) ** 2) / (2.0 * q)) / np.sqrt(2.0 * np.pi * q)
    want = np.sum(weights / np.cosh(u) ** 4)
    assert float(expectation(lambda u: 1.0 / np.cosh(u) ** 4, mean, q)) == pytest.approx(want, rel=2e-12)


def test_kinks_and_jumps_need_not_be_declared():
    q = np.array([0.5, 3.0])
    np.testing.assert_allclose(expectation(lambda u: np.abs(u - 0.3), 0.3, q), np.sqrt(2.0 * q / np.pi), rtol=1e-12)
    np.testing.assert_allclose(expectation(lambda u: u > 0.2, 0.0, q), 1.0 - ndtr(0.2 / np.sqrt(q)), rtol=1e-11)


def test_a_variance_of_zero_gives_the_value_at_the_mean():
    got = expectation(np.sin, [0.3, 0.7], [0.0, 1.0])
    assert got[0] == np.sin(0.3)
    assert got[1] == pytest.approx(np.sin(0.7) * np.exp(-0.5), rel=1e-13)


def test_what_diverges_is_infinite_and_what_is_undefined_is_not_a_number():
    with np.errstate(all="ignore"):
        assert expectation(lambda u: 1.0 / np.abs(u), 0.0, 1.0) == np.inf
        assert np.isnan(expectation(np.log, 0.0, 1.0))
        assert np.isnan(expectation(lambda u: 1.0 / u, 0.0, 1.0))
    root = expectation(lambda u: 1.0 / np.sqrt(np.abs(u)), 0.0, 1.0)
    assert float(root) == pytest.approx(1.7200799746490392, rel=1e-9)  # 2^(-1/4) Gamma(1/4) / sqrt(pi)


def test_a_negative_variance_is_refused():
    with pytest.raises(ValueError, match="negative"):
        expectation(np.sin, 0.0, -1.0)


def test_duals_with_means_agree_with_simulation():
    rng = np.random.default_rng(0)
    q1, q2, k, m1, m2 = 1.3, 0.6, -0.5, 0.4, -0.8
    draws = rng.multivariate_normal([m1, m2], [[q1, k], [k, q2]], size=2_000_000)
    sample = np.tanh(draws[:, 0]) * np.maximum(draws[:, 1], 0.0)
    got = float(dual(np.tanh, lambda v: np.maximum(v, 0.0), q1, q2, k, m1, m2, kinks_g=(0.0,)))
    assert abs(got - sample.mean()) < 4.0 * sample.std() / np.sqrt(sample.size)


EXPANDED = (("tanh", 0.5, 1e-9), ("tanh", 1e4, 5e-3), ("gelu", 2.0, 1e-8), ("relu", 1.0, 5e-6), ("silu", 9.0, 1e-6))


@pytest.mark.parametrize(("name", "q", "bound"), [*EXPANDED, ("hardtanh", 1.0, 1e-4)])
@pytest.mark.parametrize("shift", [0.0, 1.3])
def test_expansions_give_duals(name, q, bound, shift):
    f, _, kinks = function(name)
    mean = shift * np.sqrt(q)
    expanded = Expansion.of(f, mean, q, kinks)
    got = expanded.pair(expanded, CORRELATIONS)
    want = dual(f, f, q, q, CORRELATIONS * q, mean, mean, kinks_f=kinks, kinks_g=kinks)
    np.testing.assert_allclose(got, want, atol=bound * float(expanded.second))
    exact = np.abs(CORRELATIONS) == 1.0
    np.testing.assert_allclose(got[exact], want[exact], atol=1e-9 * float(expanded.second))


def test_expansions_of_many_gaussians_and_two_functions_pair():
    means, variances = np.array([0.0, 0.5, -1.0]), np.array([1.0, 2.0, 0.0])
    one = Expansion.of(np.tanh, means, variances)
    other = Expansion.of(lambda u: np.maximum(u, 0.0), means[:, None], variances[:, None], (0.0,))
    got = one.pair(other, 0.6)
    assert got.shape == (3, 3)
    for row in range(3):
        for column in range(3):
            q1, q2 = variances[column], variances[row]
            given = (q1, q2, 0.6 * np.sqrt(q1 * q2), means[column], means[row])
            want = dual(np.tanh, lambda v: np.maximum(v, 0.0), *given, kinks_g=(0.0,))
            assert got[row, column] == pytest.approx(float(want), abs=1e-6)


@pytest.mark.parametrize("s", [1e-13, 1e-8, 1e-3, 0.5, 1.0, 2.0])
def test_contrast_keeps_its_digits_near_a_correlation_of_one(s):
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 40
    q, c = mpmath.mpf("0.7"), 1 - mpmath.mpf(s)
    want = 2 / mpmath.pi * (mpmath.asin(2 * q / (1 + 2 * q)) - mpmath.asin(2 * q * c / (1 + 2 * q)))
    assert contrast(erf, 0.7, s) == pytest.approx(float(want), rel=1e-9)


def test_contrast_with_a_mean_is_the_difference_of_two_moments():
    second = float(expectation(lambda u: expit(u) ** 2, 1.5, 0.9))
    product = float(dual(expit, expit, 0.9, 0.9, 0.9 * 0.4, 1.5, 1.5))
    assert contrast(expit, 0.9, 0.6, 1.5) == pytest.approx(second - product, rel=1e-11)

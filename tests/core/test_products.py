"""Closed forms of products of random matrices, against products that are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.products import (
    gaussian_edge,
    gaussian_moments,
    lyapunov_exponents,
    rectifier_edge,
    rectifier_log_growth,
    smallest_singular_value_cdf,
)


@pytest.mark.parametrize("n", [2, 4, 7])
def test_lyapunov_exponents_by_a_long_product(n, rng):
    """The triangular factors of a product that is made orthogonal at every step grow by them."""
    q, logs = np.eye(n), []
    for _ in range(4000):
        q, r = np.linalg.qr(0.7 * rng.standard_normal((n, n)) @ q)
        logs.append(np.log(np.abs(np.diagonal(r))))
    error = np.std(logs, axis=0) / math.sqrt(len(logs))
    assert (np.abs(np.mean(logs, axis=0) - lyapunov_exponents(n, 0.7)) < 4.5 * error).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_moments_and_edge_of_wide_products(layers, rng):
    n, found, largest = 400, [], []
    for _ in range(8):
        product = np.linalg.multi_dot([np.eye(n), *(rng.standard_normal((n, n)) / math.sqrt(n) for _ in range(layers))])
        values = np.linalg.svd(product, compute_uv=False) ** 2
        found.append([np.mean(values**k) for k in (1, 2, 3)])
        largest.append(values[0])
    exact = gaussian_moments(layers, 3)
    error = np.std(found, axis=0) / math.sqrt(8)
    assert (np.abs(np.mean(found, axis=0) - exact) < 5 * error + 0.02 * exact).all()
    assert np.mean(largest) == pytest.approx(gaussian_edge(layers), rel=0.06)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_edge_of_rectifiers(orthogonal, rng):
    n, layers, largest = 600, 3, []
    for _ in range(4):
        product = np.eye(n)
        for _ in range(layers):
            weight = rng.standard_normal((n, n)) / math.sqrt(n)
            weight = np.linalg.qr(weight)[0] if orthogonal else weight
            product = math.sqrt(2.0) * (rng.random(n) < 0.5)[:, None] * (weight @ product)
        largest.append(np.linalg.norm(product, 2) ** 2)
    assert np.mean(largest) == pytest.approx(rectifier_edge(layers, orthogonal=orthogonal), rel=0.06)


@pytest.mark.parametrize("n", [1, 5, 30])
def test_logarithm_of_a_layer_of_rectifiers(n, rng):
    h = np.maximum(rng.standard_normal((200_000, n)) * math.sqrt(2.0 / n), 0.0)
    squares = np.square(h).sum(axis=1)
    logs = np.log(squares[squares > 0])
    mean, variance = rectifier_log_growth(n)
    assert abs(logs.mean() - mean) < 4.5 * logs.std() / math.sqrt(logs.size)
    spread = np.std((logs - logs.mean()) ** 2)
    assert abs(logs.var() - variance) < 4.5 * spread / math.sqrt(logs.size)


def test_leading_orders_of_a_wide_layer():
    mean, variance = rectifier_log_growth(10_000)
    assert mean == pytest.approx(-5.0 / 20_000, rel=1e-3)
    assert variance == pytest.approx(5.0 / 10_000, rel=1e-3)


def test_the_smallest_singular_value(rng):
    values = np.array([np.linalg.svd(rng.standard_normal((60, 60)), compute_uv=False)[-1] for _ in range(1500)])
    for point in (0.2, 0.6, 1.2):
        share = smallest_singular_value_cdf(point)
        assert abs(np.mean(values * math.sqrt(60) < point) - share) < 4.5 * math.sqrt(share * (1 - share) / 1500) + 0.01

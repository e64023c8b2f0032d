"""Pennington, Schoenholz and Ganguli 2018: spectra of the Jacobians of deep networks, and the universal ones."""

from __future__ import annotations

import pytest

from justright.core.products import bernoulli_edge, gaussian_edge, gaussian_moments, rectifier_edge, smooth_edge


@pytest.mark.parametrize("layers", [1, 3, 10, 100])
def test_linear_layers(layers, holds):
    holds(f"rmt.gauss.linear.L{layers}", gaussian_edge(layers))


@pytest.mark.parametrize("layers", [2, 3])
def test_moments_of_linear_layers(layers, holds):
    holds(f"fusscatalan.L{layers}", gaussian_moments(layers, 4))


@pytest.mark.parametrize("layers", [2, 3, 5, 10, 50, 100])
def test_rectifiers_with_orthogonal_weights(layers, holds):
    holds(f"rmt.relu.orth.L{layers}", rectifier_edge(layers, orthogonal=True))


@pytest.mark.parametrize("layers", [3, 5, 10, 50, 100])
def test_rectifiers_with_gaussian_weights(layers, holds):
    holds(f"rmt.relu.gauss.L{layers}", rectifier_edge(layers))


@pytest.mark.parametrize("spread", ["0.25", "0.5", "4"])
def test_slopes_of_zero_and_one(spread, holds):
    holds(f"rmt.bernoulli.s0sq={spread}", bernoulli_edge(float(spread)))


@pytest.mark.parametrize("spread", ["0.5", "4"])
def test_smooth_slopes(spread, holds):
    holds(f"rmt.smooth.s0sq={spread}", smooth_edge(float(spread)))

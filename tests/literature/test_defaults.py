"""What the defaults of frameworks do, in numbers that follow from the maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

from justright.core.gaussian import expectation
from justright.meanfield.activation import activation_of
from justright.meanfield.maps import Layer, mean_slope, mean_square
from justright.meanfield.point import phase


def test_the_default_linear_layer_of_pytorch_under_a_rectifier(holds):
    point = phase("relu", sigma_w=3**-0.5, sigma_b=(1.0 / (3 * 512)) ** 0.5)
    holds("torch.linear.relu.chi", point.chi_1)
    holds("torch.linear.relu.q512", point.q)


def test_the_gain_of_a_rectifier_kills_silu(holds):
    layer, q, seen = Layer(activation_of("silu"), 2.0**0.5), 1.0, []
    for depth in range(1, 51):
        q = float(layer.length(q))
        seen += [q] if depth in {10, 50} else []
    holds("he.silu.collapse", seen)


@pytest.mark.parametrize("name", ["gelu", "silu", "elu", "selu", "sigmoid", "hardtanh"])
def test_unit_variance_leaves_a_gradient_factor(name, holds):
    made = activation_of(name)
    holds(f"unitvar.chi1.{name}", float(mean_slope(made, 1.0) / mean_square(made, 1.0)))


@pytest.mark.parametrize(("gain", "q", "chi"), [(5.0 / 3.0, 1.178480490386, 1.209831320383)])
def test_the_gain_of_pytorch_for_tanh_is_chaotic(gain, q, chi):
    point = phase("tanh", sigma_w=gain)
    assert (point.q, point.chi_1) == (pytest.approx(q, rel=1e-11), pytest.approx(chi, rel=1e-11))


@pytest.mark.parametrize(
    "name", ["relu", "tanh", "gelu", "silu", "elu", "selu", "softplus", "sigmoid", "hardtanh", "leaky_relu"]
)
def test_batch_norm_of_a_large_batch_over_an_activation(name, holds):
    made = activation_of(name)
    variance = mean_square(made, 1.0) - expectation(made.f, 0.0, 1.0, made.kinks) ** 2
    rate = float(mean_slope(made, 1.0) / variance)
    holds(f"bn.{'leaky_relu_0.01' if name == 'leaky_relu' else name}.inf", rate)
    if name == "relu":
        holds("bn.relu.inf.16xi", 16.0 / math.log(rate))


@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_a_gated_unit(name, holds):
    made = activation_of(name)
    holds(f"glu.{name}", [float(mean_square(made, 1.0)), float(mean_slope(made, 1.0) + mean_square(made, 1.0))])


@pytest.mark.parametrize("count", [4, 9])
def test_the_largest_of_several_normals(count, holds):
    def weighed(power):
        return float(expectation(lambda z: z**power * count * ndtr(z) ** (count - 1), 0.0, 1.0))

    holds(f"maxpool.k{count}", [weighed(1), weighed(2) - weighed(1) ** 2])


def test_a_normal_truncated_at_two_deviations(holds):
    inside = [
        float(expectation(lambda z, p=p: np.where(np.abs(z) < 2.0, z**p, 0.0), 0.0, 1.0, (-2.0, 2.0))) for p in (0, 2)
    ]
    holds("truncnorm.2sd.std", math.sqrt(inside[1] / inside[0]))

"""Roberts, Yaida and Hanin 2021, arXiv:2106.10165: half-stable points of GELU and SiLU; moments of activations."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.gaussian import expectation
from justright.meanfield.activation import Activation, activation_of
from justright.meanfield.critical import half_stable
from justright.meanfield.maps import mean_slope, mean_square
from justright.meanfield.point import phase

ATTRIBUTES = {"leaky_relu_0.01": ("leaky_relu", 0.01), "leaky_relu_0.1": ("leaky_relu", 0.1)}
LINEAR = Activation("linear", lambda u: u, np.ones_like)


def made(name, *, quadrature):
    """Return an activation, with or without its closed forms."""
    if name == "linear":
        return LINEAR
    base, slope = ATTRIBUTES.get(name, (name, None))
    full = activation_of(base, **({} if slope is None else {"negative_slope": slope}))
    return Activation(full.name, full.f, full.slope, full.kinks) if quadrature else full


def moments():
    import json
    from pathlib import Path

    ids = [each["id"] for each in json.loads((Path(__file__).parent / "oracles.json").read_text("utf-8"))]
    return [each for each in ids if each.startswith("mom.")]


@pytest.mark.parametrize("quadrature", [True, False])
@pytest.mark.parametrize("identifier", moments())
def test_moments_of_an_activation(identifier, quadrature, holds):
    name, kind = identifier.removeprefix("mom.").removesuffix(".q1").rsplit(".", 1)
    activation = made(name, quadrature=quadrature)
    got = {
        "E_phi2": lambda: mean_square(activation, 1.0),
        "E_dphi2": lambda: mean_slope(activation, 1.0),
        "E_phi": lambda: expectation(activation.f, 0.0, 1.0, activation.kinks),
    }[kind]()
    holds(identifier, float(got))


def test_the_half_stable_point_of_gelu(holds):
    (point,) = half_stable("gelu")
    holds("crit.halfstable.gelu.CW", point.sigma_w**2)
    holds("crit.halfstable.gelu.Cb", point.sigma_b**2)


def test_the_half_stable_point_of_silu(holds):
    (point,) = half_stable("silu")
    holds("crit.halfstable.silu.Kstar", point.q)
    holds("crit.halfstable.silu.Cb", point.sigma_b**2)
    assert point.chi_q == pytest.approx(1.0, abs=1e-9)


def test_mish_is_half_stable_too_and_monotone_functions_are_not():
    (point,) = half_stable("mish")
    assert phase("mish", sigma_w=point.sigma_w, sigma_b=point.sigma_b, start=point.q).chi_1 == pytest.approx(
        1.0, abs=1e-6
    )
    assert half_stable("tanh") == ()
    assert half_stable("softplus") == ()


@pytest.mark.parametrize(("width", "depth"), [(32, 10), (256, 50)])
def test_the_fourth_moment_of_a_rectifier_network_of_finite_width(width, depth, holds):
    relu = activation_of("relu")
    fourth = float(expectation(lambda u: relu.f(u) ** 4, 0.0, 1.0, relu.kinks)) / float(mean_square(relu, 1.0)) ** 2
    holds(f"hanin.relu.n{width}.L{depth}.m4", (1.0 + (fourth - 1.0) / width) ** depth)

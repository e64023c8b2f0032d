"""neural-tangents 0.6.5: kernels of fully connected, residual, dropout and layer norm networks of infinite width.

Two inputs of squared length one and cosine one half. The numbers are the covariance of the output and the tangent
kernel, for an input with itself and for the two.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from justright.meanfield.activation import Activation, activation_of
from justright.meanfield.maps import Layer

NAMES = [each["id"] for each in json.loads((Path(__file__).parent / "oracles.json").read_text("utf-8"))]
LAYERS = {
    "relu": ("relu", {}, 2.0, 0.0),
    "erf": ("erf", {}, 1.7562036827601821, 0.18413967893),
    "gelu": ("gelu", {}, 1.9830582574, 0.1729223908),
    "lrelu0.1": ("leaky_relu", {"negative_slope": 0.1}, 2.0 / 1.01, 0.0),
    "tanh": ("tanh", {}, 1.7609546396, 0.05),
}


def layer_of(name, keep=1.0, share=1.0, *, quadrature=False):
    activation, attributes, weight, bias = LAYERS[name]
    made = activation_of(activation, **attributes)
    if quadrature:
        made = Activation(made.name, made.f, made.slope, made.kinks)
    return Layer(made, (weight * share) ** 0.5, bias**0.5, keep)


def step(layer, state):
    """Take covariances and tangent kernels through one layer."""
    q, k, tangent_q, tangent_k = state
    after, cross = float(layer.length(q)), layer.cross(q, q, k)
    return (
        after,
        cross,
        after + float(layer.slope(q)) * tangent_q,
        cross + layer.cross_slope(q, q, k) * tangent_k,
    )


def plain(layer, depth):
    weight, bias = layer.sigma_w**2, layer.sigma_b**2
    state = (weight + bias, 0.5 * weight + bias)
    state = (*state, *state)
    for _ in range(depth):
        state = step(layer, state)
    return state


def normed(layer, depth):
    """Layer norm before every activation divides by the second moment; both inputs have the same."""
    state = (layer.sigma_w**2, 0.5 * layer.sigma_w**2)
    state = (*state, *state)
    for _ in range(depth):
        state = step(layer, tuple(part / state[0] for part in state))
    return tuple(part / state[0] for part in state)


def residual(layer, depth):
    state = (1.0, 0.5, 1.0, 0.5)
    for _ in range(depth):
        state = tuple(kept + added for kept, added in zip(state, step(layer, state), strict=True))
    q, k, tangent_q, tangent_k = state
    return (q, k, q + tangent_q, k + tangent_k)


def rows():
    for name in NAMES:
        found = re.fullmatch(r"nt\.([^/]+)/(?:([^/]+)/)?L(\d+)", name)
        if found and not found[1].startswith("Conv"):
            yield name, found[1], found[2], int(found[3])


@pytest.mark.parametrize(("identifier", "kind", "activation", "depth"), list(rows()))
def test_kernels(identifier, kind, activation, depth, holds):
    name = activation.partition("(")[0]
    if kind == "FC":
        got = plain(layer_of(name), depth)
    elif kind.startswith("FC+Dropout"):
        got = plain(layer_of(name, keep=0.8), depth)
    elif kind == "FC+LN":
        got = normed(layer_of(name), depth)
    else:
        got = residual(layer_of(name, share=1.0 / depth if kind == "StableRes" else 1.0), depth)
    holds(identifier, got)


@pytest.mark.parametrize("name", ["relu", "erf", "gelu", "lrelu0.1"])
def test_quadrature_gives_the_kernels_of_closed_forms(name, holds):
    holds(f"nt.FC/{name}/L3", plain(layer_of(name, quadrature=True), 3))

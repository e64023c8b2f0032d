"""Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz 2019, "A mean field theory of batch normalization".

Gradients of a network with batch normalization grow by a rate per layer that is larger than one for every activation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.contraction import contract
from justright.core.moments import Moments
from justright.core.normalized import Normalization
from justright.core.signals import mapped, signal
from justright.core.sources import Source
from justright.ops.base import OPERATORS

WIDTH = 10**7
LAYERS = 8
HUGE = 10**12


def rate(name, phi, slope, batch, kinks=()):
    """Growth of the mean squared gradient over batch normalization, activation and weights of variance 1/width."""
    x = Moments.independent((batch, WIDTH), 0.0, 1.0)
    weight = Moments.independent((WIDTH, WIDTH), 0.0, 1.0 / WIDTH)
    layers = []
    for _ in range(LAYERS):
        layers.append(Normalization.of(x, [0], 0.0))
        x = contract(_of(layers[-1], name, phi, kinks), weight, "bi,oi->bo")
    seen = [Moments.independent((batch, WIDTH), 0.0, 1.0)]
    for layer in reversed(layers):
        arrived = contract(seen[-1], weight, "bo,oi->bi").times(_of(layer, f"slope of {name}", slope, kinks))
        seen.append(layer.backward(arrived))
    return seen[-2].second_moment / seen[-3].second_moment  # the first layer has an input of its own


def _of(layer, name, function, kinks):
    return mapped(name, function, signal(Source(layer.result)), kinks=kinks).moments


@pytest.mark.parametrize("batch", [4, 5, 8, 32, 256])
def test_linear_network(batch):
    """Their theorem 3.9 with the identity: (B - 2) / (B - 3)."""
    assert math.isclose(rate("identity", lambda u: u, np.ones_like, batch), (batch - 2) / (batch - 3), rel_tol=1e-6)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "softplus"])
def test_rates_of_large_batches(name, holds):
    """For B to infinity the rate is E[phi'²] / Var[phi] at a standard normal."""
    operator = OPERATORS[name]
    slope = operator.partials["input"]
    given = {} if name != "softplus" else {"beta": 1.0, "threshold": 20.0}
    kinks = operator.kinks(**given) if operator.kinks else ()
    holds(
        f"bn.{name}.inf",
        rate(
            f"{name} {given}", lambda u: operator.phi(input=u, **given), lambda u: slope(input=u, **given), HUGE, kinks
        ),
    )


@pytest.mark.parametrize("batch", [8, 16, 32, 128])
def test_rectifier_in_small_batches(batch):
    """Their theorem 8; the rule takes a normalized tensor as Gaussian, which is right to order 1/B."""
    c = -1.0 / (batch - 1)
    zeroth = 1.0 - math.acos(c) / math.pi  # arc-cosine kernels of order 0 and 1
    first = (math.sqrt(1.0 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    exact = (zeroth + batch - 1.0) / ((batch - 3.0) * (1.0 - first)) - 1.0 / (batch - 3.0)
    found = rate("rectifier", lambda u: np.maximum(u, 0.0), lambda u: np.heaviside(u, 0.5), batch, (0.0,))
    assert math.isclose(found, exact, rel_tol=0.5 / batch)

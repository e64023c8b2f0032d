"""Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz 2019, "A mean field theory of batch normalization".

Gradients of a network with batch normalization grow by a rate per layer that is larger than one for every activation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.contraction import contract
from justright.core.forms import inverse_mean
from justright.core.gaussian import dual
from justright.core.moments import Moments
from justright.core.normalized import Normalization
from justright.core.signals import mapped, signal
from justright.core.sources import Source
from justright.meanfield.activation import activation_of
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


def rectifier_rate(batch):
    """Return the rate of theorem 8, from the arc-cosine kernels of order zero and one."""
    made, c = activation_of("relu"), -1.0 / (batch - 1)
    zeroth, first = (
        2.0 * float(dual(each, each, 1.0, 1.0, c, kinks_f=made.kinks, kinks_g=made.kinks))
        for each in (made.slope, made.f)
    )
    return (zeroth + batch - 1.0) / ((batch - 3.0) * (1.0 - first)) - 1.0 / (batch - 3.0)


@pytest.mark.parametrize("batch", [5, 8, 32, 64, 128, 256])
def test_the_rates_that_they_print_for_rectifiers(batch, holds):
    holds(f"bn.relu.B{batch}", rectifier_rate(batch))


@pytest.mark.parametrize("batch", [4, 5, 8, 16, 32, 64, 256])
def test_the_rates_that_they_print_without_an_activation(batch, holds):
    """The normalization leaves (B - 2) / (B - 1) of what is centred, and divides by a chi squared variance."""
    holds(f"bn.id.B{batch}", (batch - 2) / (batch - 1) * inverse_mean([1.0], [batch - 1.0]))


@pytest.mark.parametrize("batch", [8, 16, 32, 128])
def test_rectifier_in_small_batches(batch):
    """Their theorem 8; the rule takes a normalized tensor as Gaussian, which is right to order 1/B."""
    exact = rectifier_rate(batch)
    found = rate("rectifier", lambda u: np.maximum(u, 0.0), lambda u: np.heaviside(u, 0.5), batch, (0.0,))
    assert math.isclose(found, exact, rel_tol=0.5 / batch)

"""Xiao et al. 2018, arXiv:1806.05393: covariances between positions, and kernels that neural-tangents computes."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.graph import Node, Operand
from justright.core.grids import padding
from justright.core.links import linked
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.signals import mapped, signal
from justright.core.sources import Source
from justright.meanfield.activation import activation_of
from justright.ops.rule import RULES, Call

RING = 8
CHANNELS = 10**6
INPUTS = np.array([[[1, 2, -1, 0.5, 0, 1, -2, 1.5]], [[0.5, -1, 2, 1, 1, -0.5, 0, -1]]])


def convolved(x, weight):
    """Convolve on a ring: what lies beyond an end is the other end."""
    wide = linked(x, padding(RING, 1, 1, "wrap"), {"i": 2}, "o", (1,) * (RING + 2))
    node = Node(
        0, "convolution", "aten.convolution.default", (Operand("input", 0), Operand("weight", 1)),
        {"stride": [1], "padding": [0], "dilation": [1], "groups": 1}, (2,),
    )  # fmt: skip
    call = Call(
        node, (signal(Source(wide)), signal(Source(weight))), (wide.shape, weight.shape),
        ((x.shape[0], weight.shape[0], RING),),
    )  # fmt: skip
    return RULES["convolution"].forward(call)


def through(layers):
    """Moments after convolutions of weights of variance 2 / fan in, each followed by a rectifier."""
    x = observed(INPUTS, ((1, 1), (1,), (1,) * RING))
    for _ in range(layers):
        fan = 3 * x.shape[1]
        below = convolved(x, Moments.independent((CHANNELS, x.shape[1], 3), 0.0, 2.0 / fan))
        x = mapped("rectifier", lambda u: np.maximum(u, 0.0), below, kinks=(0.0,)).moments
    return x


KERNELS = {  # neural-tangents 0.6.5 in float64: Flatten or GlobalAvgPool, then a dense layer; one input, and two
    ("flat", 1): (1.6875, 0.12482537020812101),
    ("flat", 10): (1.6875, 1.1366557589414503),
    ("pooled", 1): (0.6709941258818559, 0.5121498244270741),
    ("pooled", 2): (0.9301140612604903, 0.7120463615466003),
    ("pooled", 5): (1.2884837473692328, 0.9993653463083625),
    ("pooled", 10): (1.493756627510098, 1.171651463844462),
}


@pytest.mark.parametrize(("kind", "layers"), KERNELS)
def test_kernel_of_a_ring(kind, layers):
    x = through(layers)
    pairs = x.averaged([2]).pairs if kind == "pooled" else x.pairs[..., :RING].mean(axis=-1)
    got = pairs[0, 0], pairs[3, 0]
    np.testing.assert_allclose(got, KERNELS[kind, layers], rtol=3e-6)  # a rectifier's Hermite series is cut


def exactly(layers):
    """Kernels and tangent kernels by the closed forms of a rectifier, for every pair of positions."""
    closed = activation_of("relu").closed

    def averaged(kernel):
        return 2.0 / 3.0 * sum(np.roll(kernel, (shift, shift), (2, 3)) for shift in (-1, 0, 1))

    def through(function, kernel):
        q = np.einsum("aaii->ai", kernel)
        return function(q[:, None, :, None], q[None, :, None, :], kernel)

    kernel = np.einsum("aci,bcj->abij", INPUTS, INPUTS)
    tangent = np.zeros_like(kernel)
    for _ in range(layers):
        kernel, tangent = averaged(kernel), averaged(kernel) + averaged(tangent)
        kernel, tangent = through(closed.dual, kernel), tangent * through(closed.slope_dual, kernel)
    return kernel, tangent


@pytest.mark.parametrize(
    ("kind", "layers"), [("Flatten", 1), ("Flatten", 10), ("GAP", 1), ("GAP", 2), ("GAP", 5), ("GAP", 10)]
)
def test_kernels_of_a_ring_to_the_last_digit(kind, layers, holds):
    kernel, tangent = (
        each.mean(axis=(2, 3)) if kind == "GAP" else np.einsum("abii->ab", each) / RING for each in exactly(layers)
    )
    tangent = tangent + kernel
    holds(f"nt.Conv1d ring8 k3 relu/{kind}/L{layers}", [kernel[0, 0], kernel[0, 1], tangent[0, 0], tangent[0, 1]])


def test_modes_decay_by_the_eigenvalues_of_the_kernel():
    """Weights alike on all taps multiply a mode along a ring by (1 + 2 cos(2 pi j / 8)) / 3."""
    positions = np.arange(RING)
    for mode in range(RING):
        wave = 1.0 + 0.5 * np.cos(2 * np.pi * mode * positions / RING)
        x = Moments.independent((1, 4, RING), 0.0, 1.0).strata_at(1, (1,) * RING)
        x = x.with_values(x.mean, np.zeros_like(x.pairs))
        x.pairs[0, :RING] = wave
        weight = Moments.independent((5, 4, 3), 0.0, 1.0 / 12.0)
        found = convolved(x, weight).moments.second[0]
        expected = 1.0 + (1.0 + 2.0 * np.cos(2 * np.pi * mode / RING)) / 3.0 * (wave - 1.0)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_eigenvalues_of_the_kernel(holds):
    """What a convolution does to the variance at one position, as a matrix."""
    columns = []
    for position in range(RING):
        x = Moments.independent((1, 4, RING), 0.0, 1.0).strata_at(1, (1,) * RING)
        x = x.with_values(x.mean, np.zeros_like(x.pairs))
        x.pairs[0, position] = 1.0
        columns.append(convolved(x, Moments.independent((5, 4, 3), 0.0, 1.0 / 12.0)).moments.second[0])
    holds("conv.ring8.k3.eigs", np.sort(np.linalg.eigvals(columns).real)[::-1])


def test_a_delta_kernel_keeps_every_mode():
    """All variance on the middle tap: the covariance between positions is what it was."""
    rng = np.random.default_rng(0)
    x = observed(rng.normal(size=(3, 4, RING)), ((3,), (4,), (1,) * RING))
    weight = Moments.independent((5, 4, 3), 0.0, 0.0).strata_at(2, (1, 1, 1))
    weight.pairs[0, 0, 1] = 1.0 / 4.0
    found = convolved(x, weight).moments
    np.testing.assert_allclose(found.pairs[:, 0], x.pairs[:, 0], atol=1e-12)

"""Functions of random sources against draws of those sources, for every case of two elements."""

import math

import numpy as np
import pytest

from justright.core.axes import Axis
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.profile import Provenance
from justright.core.signals import Signal, mapped, plus, scaled, shifted, signal, times, viewed
from justright.core.sources import Source, cross

SHAPE = (4, 3, 64)
DRAWS = 160


def relu(u):
    return np.maximum(u, 0.0)


def sigmoid(u):
    return 1.0 / (1.0 + np.exp(-u))


class Drawn:
    """A Gaussian source with common parts along its axes, and draws of it."""

    def __init__(self, seed, mean=0.0, spread=(0.3, 0.4, 0.8), shape=SHAPE):
        self.mean, self.spread, self.shape = mean, spread, shape
        self.random = np.random.default_rng(seed)
        example, position, own = (each**2 for each in spread)
        pairs = np.full((2, 2, 2), mean**2)
        pairs[:, :, 0] += position  # shared by all examples and positions of a unit
        pairs[0, :, 0] += example  # shared by all positions of an example and a unit
        pairs[0, 0, 0] += own
        dims = tuple((Axis((length,)),) for length in shape)
        self.source = Source(Moments(dims, np.full((1, 1, 1), mean), pairs))
        self.signal = signal(self.source)

    def draw(self):
        b, t, u = self.shape
        example, position, own = self.spread
        normal = self.random.normal
        return (
            self.mean
            + position * normal(size=(1, 1, u))
            + example * normal(size=(b, 1, u))
            + own * normal(size=(b, t, u))
        )


def agree(found, function, *drawn):
    """Compare moments with those of many draws: within five standard errors and a thousandth."""
    samples = [observed(function(*(each.draw() for each in drawn))) for _ in range(DRAWS)]
    pairs = np.array([each.pairs for each in samples])
    error = pairs.std(axis=0) / math.sqrt(DRAWS)
    scale = found.moments.second_moment
    np.testing.assert_array_less(np.abs(pairs.mean(axis=0) - found.moments.pairs), 5 * error + 3e-3 * scale)
    means = np.array([each.mean for each in samples])
    limit = 5 * means.std(axis=0) / math.sqrt(DRAWS) + 3e-3 * math.sqrt(scale)
    np.testing.assert_array_less(np.abs(means.mean(axis=0) - found.moments.mean), limit)


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_a_function_of_one_source(mean):
    x = Drawn(0, mean)
    agree(mapped("relu", relu, x.signal, kinks=(0.0,)), relu, x)


def test_a_gate_written_out_by_hand_is_one_function():
    x = Drawn(1, 0.3)
    gate = mapped("sigmoid", sigmoid, scaled(x.signal, 1.702))
    found = times(x.signal, gate)
    assert found.sources == (x.source,)
    assert found.provenance is Provenance.ASYMPTOTIC
    agree(found, lambda u: u * sigmoid(1.702 * u), x)


def test_a_tensor_added_to_itself_doubles():
    x = Drawn(2)
    assert plus(x.signal, x.signal).moments.second_moment == pytest.approx(4 * x.source.moments.second_moment)
    assert plus(x.signal, scaled(x.signal, -1.0)).moments.second_moment == pytest.approx(0.0)


def test_a_gated_product_of_independent_tensors_is_exact():
    x, y = Drawn(3), Drawn(4, 0.2)
    found = times(mapped("relu", relu, x.signal, kinks=(0.0,)), y.signal)
    agree(found, lambda u, v: relu(u) * v, x, y)


def test_a_residual_sum_remembers_its_terms():
    x, y = Drawn(5), Drawn(6)
    stream = plus(x.signal, scaled(y.signal, 0.5))
    assert stream.source is not None
    assert stream.source.gaussian
    agree(plus(stream, scaled(x.signal, -1.0)), lambda u, v: 0.5 * v + 0 * u, x, y)
    agree(times(stream, x.signal), lambda u, v: (u + 0.5 * v) * u, x, y)
    mixed = cross(stream.source, x.source)
    np.testing.assert_allclose(mixed, x.source.moments.pairs, atol=1e-12)


def test_a_shift_is_part_of_a_sum():
    x, y = Drawn(7), Drawn(8)
    stream = plus(shifted(x.signal, 1.0), y.signal)
    agree(times(stream, x.signal), lambda u, v: (u + 1.0 + v) * u, x, y)


def test_a_function_of_a_sum_of_functions():
    x, y = Drawn(9), Drawn(10)
    inner = plus(y.signal, mapped("relu", relu, x.signal, kinks=(0.0,)))
    agree(mapped("relu", relu, inner, kinks=(0.0,)), lambda u, v: relu(v + relu(u)), x, y)


def test_equal_views_are_one_tensor():
    x = Drawn(11)

    def flat(moments):
        return moments.reshaped((12, 64))

    once, again = (viewed(each, "flat", flat) for each in (x.signal, mapped("sigmoid", sigmoid, x.signal)))
    found = times(once, again)
    assert found.sources == once.sources
    agree(found, lambda u: u * sigmoid(u), x)


def test_functions_of_many_sources_become_sources():
    found = Drawn(20).signal
    for seed in range(21, 30):
        found = mapped("relu", relu, plus(Drawn(seed).signal, found), kinks=(0.0,))
    assert len(found.sources) <= 6
    assert math.isfinite(found.moments.second_moment)


def test_what_is_taken_as_gaussian_says_so():
    x = Drawn(12)
    forgotten = mapped("relu", relu, x.signal, kinks=(0.0,)).settled()
    assert isinstance(forgotten, Signal)
    assert mapped("sigmoid", sigmoid, forgotten).provenance is Provenance.FITTED

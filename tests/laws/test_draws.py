"""Laws of drawn tensors: on average they have exactly the moments that were asked for, whatever their strata."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.axes import Axis
from justright.core.draws import draw, observed_as, resized, unreachable
from justright.core.moments import Moments
from justright.core.observed import observed

STRATA = [((6,),), ((1, 4),), ((2, 3), (4,)), ((1, 3), (2, 2), (5,))]


def structured(rng, strata):
    """Moments of one made tensor, with effects of all kinds: those of its own values under every exchange."""
    shape = [sum(sizes) for sizes in strata]
    x = rng.standard_normal(shape) + 0.5
    for dim in range(x.ndim):
        x = x + rng.standard_normal() * x.mean(axis=dim, keepdims=True)
        x = x + rng.standard_normal([length if at == dim else 1 for at, length in enumerate(shape)])
    return observed(x, tuple(strata)), x


@pytest.mark.parametrize("strata", STRATA)
def test_drawn_tensors_have_the_moments_asked_for_on_average(rng, strata):
    asked, _ = structured(rng, strata)
    drawn = [observed_as(draw(asked, rng), asked.dims) for _ in range(1500)]
    for name in ("mean", "pairs"):
        values = np.stack([getattr(each, name) for each in drawn])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        scale = asked.second_moment
        assert np.all(np.abs(values.mean(axis=0) - getattr(asked, name)) < 5 * error + 1e-7 * scale)


def test_a_tensor_that_sums_to_zero_is_drawn_so(rng):
    centred = rng.standard_normal((4, 9))
    asked = observed(centred - centred.mean(axis=1, keepdims=True))
    assert np.allclose(draw(asked, rng).sum(axis=1), 0.0, atol=1e-7)


def test_moments_of_values_are_reachable_and_impossible_ones_are_told(rng):
    asked, _ = structured(rng, ((2, 3), (4,)))
    assert unreachable(asked) < 1e-12
    impossible = Moments(((Axis((5,)),),), np.zeros(1), np.array([1.0, -0.5]))  # a sum of variance 5 - 0.5 * 20 < 0
    assert unreachable(impossible) == pytest.approx(
        1.0 / (1.0 + 4 * 1.5)
    )  # the sum over its root of five, and four contrasts
    assert np.allclose(draw(impossible, rng).sum(), 0.0, atol=1e-12)  # the nearest that exists


def test_fewer_elements_keep_their_moments(rng):
    asked = Moments.independent((40, 6), 0.3, 2.0)
    small = resized(asked, ((Axis((5,)),), (Axis((6,)),)))
    assert draw(small, rng).shape == (5, 6)
    assert np.array_equal(small.pairs, asked.pairs)

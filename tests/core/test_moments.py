"""Moments of pairs: what they say of given values must be what is counted on the values themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justright.core.axes import Axis, common_strata
from justright.core.contraction import contract
from justright.core.moments import Moments, align
from justright.core.observed import observed

SHAPE = (3, 4, 6)
CUT = ((1, 2), (4,), (2, 3, 1))


def values(seed, shape=SHAPE):
    """Values that share a part along every axis, so that no case of pairs is like another."""
    random = np.random.default_rng(seed)
    total = np.full(shape, random.normal())
    for dim in range(len(shape)):
        ones = [1] * len(shape)
        ones[dim] = shape[dim]
        total = total + random.normal(size=ones)
    return total + random.normal(size=shape)


def counted(x, cut):
    """Average over the pairs of each case, one pair at a time."""
    axes = [Axis(each) for each in cut]
    total, count = np.zeros([axis.cases for axis in axes]), np.zeros([axis.cases for axis in axes])
    for i in np.ndindex(*x.shape):
        for j in np.ndindex(*x.shape):
            case = tuple(case_of(axis, first, second) for axis, first, second in zip(axes, i, j, strict=True))
            total[case] += x[i] * x[j]
            count[case] += 1
    return total, count


def case_of(axis, i, j):
    first, second = (int(np.searchsorted(axis.bounds, each, side="right")) - 1 for each in (i, j))
    return first if i == j else axis.groups + first * axis.groups + second


def existing(moments):
    """Say which cases have a pair at all."""
    exist = np.ones(())
    for axis in moments.axes:
        exist = np.multiply.outer(exist, axis.counts > 0)
    return exist.astype(bool)


def same(one, two):
    assert one.shape == two.shape
    assert one.dims == two.dims
    exist = existing(one)
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(one.pairs[exist], two.pairs[exist], rtol=1e-10, atol=1e-12)


def test_observed_counts_every_pair():
    x = values(0, (2, 3, 4))
    cut = ((2,), (1, 2), (3, 1))
    total, count = counted(x, cut)
    found = observed(x, cut)
    exist = count > 0
    np.testing.assert_allclose(found.pairs[exist], (total[exist] / count[exist]), rtol=1e-12)
    assert math.isclose(found.second_moment, float(np.mean(x**2)), rel_tol=1e-12)
    assert math.isclose(found.average_mean, float(np.mean(x)), rel_tol=1e-12)


@pytest.mark.parametrize("dims", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_the_moments_of_a_sum_over_axes_are_those_of_the_summed_values(dims):
    x = values(1)
    left = tuple(cut for dim, cut in enumerate(CUT) if dim not in dims)
    same(observed(x, CUT).sum(dims), observed(x.sum(dims), left))


def test_coarser_strata_are_averages():
    x = values(2)
    found = observed(x, CUT).strata_at(2, (2, 4))
    same(found, observed(x, ((1, 2), (4,), (2, 4))))
    same(observed(x, CUT).merged_strata(), observed(x))


def test_joined_axes_are_those_of_the_flattened_values():
    x = values(3)
    found = observed(x, CUT).reshaped((3, 24)).in_one_axis(1)
    same(found, observed(x.reshape(3, 24), ((1, 2), (24,))))
    found = observed(x, CUT).reshaped((12, 6)).in_one_axis(0)
    same(found, observed(x.reshape(12, 6), ((4, 8), (2, 3, 1))))


def test_axes_survive_a_flattening_and_back():
    x = observed(values(4), CUT)
    same(x.reshaped((12, 6)).reshaped(SHAPE), x)
    same(x.reshaped((72,)).reshaped(SHAPE), x)


def test_a_cut_axis_keeps_what_is_known_of_pairs():
    x = observed(values(5))
    cut = x.reshaped((3, 2, 2, 2, 3))
    assert cut.shape == (3, 2, 2, 2, 3)
    assert cut.second_moment == pytest.approx(x.second_moment)
    same(cut.reshaped((3, 4, 6)).in_one_axis(1).in_one_axis(2), x)


def test_permuting_permutes():
    x = values(6)
    same(observed(x, CUT).permuted((2, 0, 1)), observed(x.transpose(2, 0, 1), (CUT[2], CUT[0], CUT[1])))


def test_slicing_along_strata_is_slicing():
    x = values(7)
    same(observed(x, CUT).sliced(2, 2, 6), observed(x[:, :, 2:], (CUT[0], CUT[1], (3, 1))))
    same(observed(x, CUT).sliced(2, 5, 6).reshaped((3, 4, 1)), observed(x[:, :, 5:6], (CUT[0], CUT[1], (1,))))


def test_numbers_scale_and_shift():
    x = values(8)
    same(observed(x, CUT).scaled(-2.5), observed(-2.5 * x, CUT))
    same(observed(x, CUT).shifted(0.75), observed(x + 0.75, CUT))


def test_broadcast_copies_are_equal_along_the_new_axis():
    x = values(9, (1, 4, 6))
    same(observed(x).expanded((3, 4, 6)), observed(np.broadcast_to(x, SHAPE)))


def effects(random, shape, spread, mean):
    """Draw independent normal effects for every set of axes; return values and their moments."""
    x = np.full(shape, mean)
    pairs = np.full((2,) * len(shape), mean**2)
    for at, sets in enumerate(np.ndindex(*(2,) * len(shape))):
        sizes = [length if own else 1 for length, own in zip(shape, sets, strict=True)]
        x = x + spread[at] * random.normal(size=sizes)
        # Elements share an effect where they agree on all of its axes.
        pairs = pairs + spread[at] ** 2 * np.array(
            [
                [not any(own and case for own, case in zip(sets, cases, strict=True))]
                for cases in np.ndindex(pairs.shape)
            ]
        ).reshape(pairs.shape)
    dims = tuple((Axis((length,)),) for length in shape)
    return x, Moments(dims, np.full((1,) * len(shape), mean), pairs)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 10_000))
def test_products_of_independent_tensors_are_exact(seed):
    random = np.random.default_rng(seed)
    spread = random.uniform(0.2, 1.0, (2, 8))
    draws = 600
    total = []
    for _ in range(draws):
        x, x_moments = effects(random, (2, 3, 4), spread[0], 0.5)
        w, w_moments = effects(random, (5, 4), spread[1], -0.3)
        total.append(observed(np.einsum("bti,oi->bto", x, w)).pairs)
    expected = contract(x_moments, w_moments, "bti,oi->bto")
    error = np.std(total, axis=0) / math.sqrt(draws)
    assert np.all(np.abs(np.mean(total, axis=0) - expected.pairs) < 5 * error)


def test_a_sum_needs_the_cross_moments():
    x, y = values(10), values(11)
    one, two = observed(x), observed(y)
    mixed = (observed(x + y).pairs - one.pairs - two.pairs) / 2  # symmetric, as here all elements are alike
    same(one.plus(two, mixed), observed(x + y))


def test_alignment_cuts_where_either_is_cut():
    one, two = observed(values(12), CUT), observed(values(13), ((3,), (2, 2), (3, 3)))
    first, second = align(one, two)
    assert first.dims == second.dims
    assert [axis.strata for axis in first.axes] == [(1, 2), (2, 2), (2, 1, 2, 1)]
    assert first.second_moment == pytest.approx(one.second_moment)
    assert second.second_moment == pytest.approx(two.second_moment)


def test_strata_stay_few():
    axis = common_strata(Axis((1,) * 40), Axis((5,) * 8))
    assert axis.groups == 12
    assert axis.size == 40

"""Laws of the schemes whose elements depend on each other: identities, sparse weights, kernels that enlarge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from justright.core.layout import WeightLayout
from justright.core.streams import Stream
from justright.initializers.base import SchemeError, Target
from justright.initializers.parsing import scheme

CONVOLUTION = WeightLayout.convolution
SQUARE, WIDE, NARROW = (WeightLayout.dense(shape) for shape in ((48, 48), (80, 48), (48, 80)))
KERNEL, GROUPED = CONVOLUTION((32, 16, 3, 3)), CONVOLUTION((32, 8, 3), groups=4)
ENLARGING = CONVOLUTION((6, 1, 4, 4), groups=6, stride=2, transposed=True)
CASES = [
    *((name, layout) for name in ("identity(gain=0.7)", "zero_hadamard", "idinit", "idinit(noise=0.1)")
      for layout in (SQUARE, WIDE, NARROW)),
    *((name, layout) for name in ("dirac", "zero_hadamard", "idinit(gain=2)", "sparse", "icnr")
      for layout in (KERNEL, GROUPED)),
    ("sparse(nonzero=5, std=0.3)", WIDE),
    ("icnr(factor=4, scale=2)", KERNEL),
    ("bilinear", ENLARGING),
    ("bilinear", CONVOLUTION((5, 5, 3), stride=2, transposed=True)),
]  # fmt: skip
IDS = [f"{name} {list(layout.shape)}" for name, layout in CASES]


def drawn(written, layout, seed=0, part=None):
    return scheme(written).sample(Target("w", layout), Stream.of(seed, "w"), part)


@pytest.mark.parametrize(("written", "layout"), CASES, ids=IDS)
def test_moments_and_bound_are_as_declared(written, layout):
    """Averaged over seeds: the numbers of the random ones vary, copies of them the more."""
    declared = scheme(written).declared(Target("w", layout))
    weights = np.stack([drawn(written, layout, seed).astype(np.float64) for seed in range(24)])
    assert weights.shape[1:] == layout.shape
    assert np.abs(weights).max() <= declared.bound * (1 + 1e-6)
    for sample, expected in ((weights, declared.mean), ((weights - declared.mean) ** 2, declared.variance)):
        each = sample.reshape(24, -1).mean(1)
        assert abs(each.mean() - expected) <= 5 * each.std() / math.sqrt(24) + 1e-6 * abs(expected) + 1e-12


@pytest.mark.parametrize(("written", "layout"), [each for each in CASES if each[1] in (SQUARE, WIDE, NARROW)])
def test_gains_of_a_dense_layer_are_as_declared(written, layout, rng):
    declared = scheme(written).declared(Target("w", layout))
    forward, backward = [], []
    for seed in range(40):
        weight = drawn(written, layout, seed).astype(np.float64)
        forward.append(np.mean((weight @ rng.standard_normal((weight.shape[1], 64))) ** 2))
        backward.append(np.mean((weight.T @ rng.standard_normal((weight.shape[0], 64))) ** 2))
    for squares, expected in ((forward, declared.forward), (backward, declared.backward)):
        assert abs(np.mean(squares) - expected**2) < 4.5 * np.std(squares) / math.sqrt(len(squares))


@pytest.mark.parametrize(("written", "layout"), CASES, ids=IDS)
def test_a_part_is_a_slice_of_the_whole(written, layout):
    part = (slice(1, 5), slice(None, None, 2), slice(1, 3), slice(0, 2))[: len(layout.shape)]
    assert np.array_equal(drawn(written, layout, part=part), drawn(written, layout)[part])


@pytest.mark.parametrize("written", ["dirac", "sparse", "icnr", "zero_hadamard", "idinit"])
def test_the_order_of_storage_only_transposes(written):
    there = drawn(written, CONVOLUTION((3, 3, 16, 32), order="keras"))
    assert np.array_equal(drawn(written, KERNEL), there.transpose(3, 2, 0, 1))


def test_identities_pass_their_input_on(rng):
    x = rng.standard_normal(48)
    assert np.allclose(drawn("identity(gain=2)", SQUARE) @ x, 2 * x)
    assert np.allclose(drawn("identity", WIDE) @ x, np.pad(x, (0, 32)))
    assert np.allclose(drawn("idinit(noise=0)", WIDE) @ x, np.concatenate([x, x[:32]]))


def test_dirac_passes_the_channels_of_each_group_on(rng):
    x = rng.standard_normal((4, 8, 20))  # groups, channels of a group, positions
    weight = drawn("dirac", GROUPED).reshape(4, 8, 8, 3)
    y = sum(np.einsum("goi,gil->gol", weight[..., tap], np.roll(x, 1 - tap, axis=2)) for tap in range(3))
    assert np.allclose(y, x)


def test_every_unit_hears_the_declared_number_of_inputs_and_all_inputs_alike():
    weight = drawn("sparse(nonzero=7)", WeightLayout.dense((4000, 50)))
    assert (np.count_nonzero(weight, axis=1) == 7).all()
    heard = np.count_nonzero(weight, axis=0)
    assert stats.chisquare(heard).pvalue > 1e-4  # rows are drawn without replacement: a little narrower than chance
    assert stats.kstest(weight[weight != 0], "norm").pvalue > 1e-4


def test_icnr_in_front_of_a_pixel_shuffle_gives_nearest_neighbours(rng):
    weight = drawn("icnr(factor=2)", CONVOLUTION((12, 5, 3, 3)))
    x = np.pad(rng.standard_normal((5, 6, 6)), ((0, 0), (1, 1), (1, 1)), mode="wrap")
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    y = np.einsum("oikl,ihwkl->ohw", weight, windows)
    shuffled = y.reshape(3, 2, 2, 6, 6).transpose(0, 3, 1, 4, 2).reshape(3, 12, 12)
    assert np.allclose(shuffled, np.repeat(np.repeat(y[::4], 2, axis=1), 2, axis=2))
    assert len({float(each) for each in y[:, 0, 0]}) == 3


def test_bilinear_continues_a_ramp():
    weight = drawn("bilinear", ENLARGING).astype(np.float64)
    ramp = np.add.outer(np.arange(8.0), 3.0 * np.arange(8.0))
    enlarged = np.zeros((18, 18))
    for row in range(8):
        for column in range(8):
            enlarged[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += ramp[row, column] * weight[2, 0]
    inner = enlarged[4:-4, 4:-4]
    assert np.allclose(np.diff(inner, axis=0), 0.5)
    assert np.allclose(np.diff(inner, axis=1), 1.5)


def test_zero_hadamard_has_full_rank_where_a_layer_widens():
    weight = drawn("zero_hadamard", WIDE).astype(np.float64)
    assert np.linalg.matrix_rank(weight) == 48
    assert np.array_equal(drawn("zero_hadamard", NARROW), np.eye(48, 80))
    assert (weight != 0).all()  # no unit is silent


@pytest.mark.parametrize(
    ("written", "layout", "says"),
    [
        ("identity", KERNEL, "dirac"),
        ("dirac", SQUARE, "identity"),
        ("sparse(nonzero=49)", SQUARE, "nonzero=48"),
        ("icnr(factor=3)", KERNEL, "multiple of 9"),
        ("icnr", SQUARE, "convolution"),
        ("bilinear", KERNEL, "transposed"),
        ("sparse(nonzero=0)", SQUARE, "one or more"),
        ("icnr(factor=1)", KERNEL, "two or more"),
        ("idinit(noise=-1)", SQUARE, "zero or more"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_would_do(written, layout, says):
    with pytest.raises(SchemeError, match=says):
        drawn(written, layout)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "written", ["orthogonal", "scaled_orthogonal(gain=1.4)", "unitary", "idinit(noise=0.1)", "sparse"]
)
def test_rounding_to_a_type_keeps_mean_and_second_moment(written, dtype):
    """Rounding to the nearest adds errors without a mean, of a size that the step of the type bounds."""
    torch = pytest.importorskip("torch")
    x = drawn(written, WeightLayout.dense((384, 384))).astype(np.float64)
    stored = torch.from_numpy(x).to(getattr(torch, dtype)).double().numpy()
    step = {"float16": 2**-11, "bfloat16": 2**-8}[dtype]  # largest relative error
    size = np.abs(x)
    spread = step * math.sqrt(np.mean(size**2) / x.size)
    assert abs(np.mean(stored) - np.mean(x)) < 4.5 * spread
    assert abs(np.mean(stored**2) - np.mean(x**2)) < 4.5 * 2 * step * math.sqrt(np.mean(size**4) / x.size) + (
        step**2 * np.mean(size**2)
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("written", "layout"), [("identity", SQUARE), ("dirac", KERNEL), ("bilinear", ENLARGING)])
def test_patterns_of_few_binary_digits_are_stored_exactly(written, layout, dtype):
    torch = pytest.importorskip("torch")
    x = drawn(written, layout)
    assert np.array_equal(torch.from_numpy(x).to(getattr(torch, dtype)).float().numpy(), x)

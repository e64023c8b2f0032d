"""Laws of the orthogonal and the delta schemes: the structure, and what a layer does to a signal and a gradient."""

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
LAYOUTS = {
    "wide": WeightLayout.dense((96, 40)),
    "narrow": WeightLayout.dense((40, 96)),
    "stored by inputs": WeightLayout.dense((40, 96), order="in_out"),
    "convolution": CONVOLUTION((24, 8, 3, 3)),
    "grouped": CONVOLUTION((24, 4, 3), groups=3),
    "transposed": CONVOLUTION((24, 8, 4, 4), stride=4, transposed=True),
    "keras": CONVOLUTION((3, 3, 8, 24), order="keras"),
    "packed": WeightLayout((120, 40), (0,), (1,), parts=(40, 40, 40)),
    "experts": WeightLayout((3, 40, 32), (1,), (2,), copies=(0,)),
    "table": WeightLayout.embedding((100, 16)),
}


def drawn(written, layout, seed=0, part=None):
    return scheme(written).sample(Target("w", layout), Stream.of(seed, "w"), part)


def matrices_of(layout, weight):
    """Return each copy, group and packed part as a matrix, by plain indexing of the canonical array."""
    canonical = layout.canonical(weight.astype(np.float64))
    for copy in canonical.reshape(-1, *canonical.shape[2:]):
        for rows in np.split(copy, np.cumsum(layout.parts)[:-1]) if layout.parts else [copy]:
            yield (
                np.moveaxis(rows, 1, 2).reshape(-1, rows.shape[1]) if layout.transposed else rows.reshape(len(rows), -1)
            )


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("written", ["orthogonal", "orthogonal(gain=1.7)", "scaled_orthogonal(gain=0.5)"])
def test_all_singular_values_are_the_same(written, layout):
    gain = scheme(written).gain
    for matrix in matrices_of(layout, drawn(written, layout)):
        rows, columns = matrix.shape
        expected = gain * (max(1.0, math.sqrt(rows / columns)) if written.startswith("scaled") else 1.0)
        assert np.allclose(np.linalg.svd(matrix, compute_uv=False), expected, rtol=2e-6)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("written", ["orthogonal", "scaled_orthogonal", "delta_orthogonal(weight_variance=1.05)"])
def test_second_moment_and_bound_are_as_declared(written, layout):
    if written.startswith("delta") and layout in (LAYOUTS["narrow"], LAYOUTS["transposed"], LAYOUTS["table"]):
        pytest.skip("fewer outputs than inputs, which it refuses")
    declared = scheme(written).declared(Target("w", layout))
    weight = drawn(written, layout).astype(np.float64)
    assert weight.shape == layout.shape
    assert np.mean(weight**2) == pytest.approx(declared.variance, rel=1e-5)  # fixed by the structure, not by chance
    assert np.abs(weight).max() <= declared.bound * (1 + 1e-6)
    assert declared.structure in {"orthogonal", "delta"}


@pytest.mark.parametrize("written", ["orthogonal", "scaled_orthogonal", "delta_orthogonal", "gaussian_delta"])
@pytest.mark.parametrize("shape", [(64, 64), (96, 32)], ids=["square", "wide"])
def test_gains_of_a_ring_convolution_are_as_declared(written, shape, rng):
    """The layer is a convolution over a ring in NumPy; its adjoint carries the gradient."""
    layout = CONVOLUTION((*shape, 3))
    declared = scheme(written).declared(Target("w", layout))
    forward, backward = [], []
    for seed in range(30):
        weight = drawn(written, layout, seed).astype(np.float64)
        x, g = rng.standard_normal((shape[1], 40)), rng.standard_normal((shape[0], 40))
        y = sum(weight[..., tap] @ np.roll(x, 1 - tap, axis=1) for tap in range(3))
        back = sum(weight[..., tap].T @ np.roll(g, tap - 1, axis=1) for tap in range(3))
        forward.append(np.mean(y**2))
        backward.append(np.mean(back**2))
    for squares, expected in ((forward, declared.forward), (backward, declared.backward)):
        assert abs(np.mean(squares) - expected**2) < 4.5 * np.std(squares) / math.sqrt(len(squares))


def test_a_delta_kernel_is_an_isometry_and_zero_beside_the_middle(rng):
    layout = CONVOLUTION((48, 16, 3, 5))
    weight = drawn("delta_orthogonal(weight_variance=1.21)", layout)
    middle = weight[:, :, 1, 2].astype(np.float64)
    assert np.count_nonzero(weight) == np.count_nonzero(middle) == middle.size
    x = rng.standard_normal(16)
    assert np.linalg.norm(middle @ x) == pytest.approx(1.1 * np.linalg.norm(x), rel=1e-6)


def test_delta_kernels_of_groups_are_matrices_of_their_own():
    layout = CONVOLUTION((24, 4, 3), groups=3)
    groups = drawn("delta_orthogonal", layout)[:, :, 1].reshape(3, 8, 4).astype(np.float64)
    assert np.allclose(np.einsum("goi,goj->gij", groups, groups), np.eye(4), atol=1e-6)
    assert not np.allclose(groups[0], groups[1])


@pytest.mark.parametrize("written", ["orthogonal", "gaussian_delta", "delta_orthogonal"])
def test_the_order_of_storage_only_transposes(written):
    here = drawn(written, CONVOLUTION((24, 8, 3, 3)))
    there = drawn(written, CONVOLUTION((3, 3, 8, 24), order="keras"))
    assert np.array_equal(here, there.transpose(3, 2, 0, 1))


@pytest.mark.parametrize("written", ["orthogonal", "gaussian_delta", "delta_orthogonal"])
def test_a_part_is_a_slice_of_the_whole_and_names_and_seeds_differ(written):
    layout = CONVOLUTION((24, 8, 3))
    part = (slice(3, 9), slice(None, None, 2), slice(0, 2))
    assert np.array_equal(drawn(written, layout, part=part), drawn(written, layout)[part])
    assert not np.array_equal(drawn(written, layout), drawn(written, layout, seed=1))
    other = scheme(written).sample(Target("v", layout), Stream.of(0, "v"))
    assert not np.array_equal(drawn(written, layout), other)


def test_orthogonal_matrices_are_uniform_on_the_group():
    """For Haar's measure the trace of an orthogonal matrix is nearly standard normal: Diaconis, Shahshahani 1994."""
    layout = WeightLayout((2000, 12, 12), (1,), (2,), copies=(0,))
    matrices = drawn("orthogonal", layout).astype(np.float64)
    traces = np.trace(matrices, axis1=1, axis2=2)
    assert stats.kstest(traces, "norm").pvalue > 1e-4
    signs = np.linalg.det(matrices) > 0
    assert abs(signs.mean() - 0.5) < 4.5 * 0.5 / math.sqrt(len(signs))


def test_gaussian_middles_are_normal_of_the_declared_variance():
    layout = CONVOLUTION((100, 300, 3))
    weight = drawn("gaussian_delta(weight_variance=2)", layout)
    assert not weight[..., [0, 2]].any()
    assert stats.kstest(weight[..., 1].ravel(), "norm", (0, math.sqrt(2 / 300))).pvalue > 1e-4


@pytest.mark.parametrize(
    ("written", "layout", "says"),
    [
        ("delta_orthogonal", CONVOLUTION((8, 24, 3, 3)), "24 and 8"),
        ("delta_orthogonal", CONVOLUTION((12, 6, 3), groups=3), "in each group, not 6 and 4"),
        ("orthogonal", WeightLayout.dense((0, 4)), "at least one element"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_would_do(written, layout, says):
    with pytest.raises(SchemeError, match=says) as caught:
        drawn(written, layout)
    assert caught.value.try_


@pytest.mark.parametrize("written", ["orthogonal(gain=0)", "delta_orthogonal(weight_variance=-1)"])
def test_impossible_parameters_are_refused(written):
    with pytest.raises(SchemeError, match="above zero"):
        scheme(written)

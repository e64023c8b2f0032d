"""Laws: normalizations against PyTorch's on Gaussian tensors with correlated elements, and centring exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from justright.core.graph import Node, Operand
from justright.core.moments import Moments
from justright.core.normalized import Normalization, centred
from justright.core.observed import observed
from justright.core.signals import signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call

torch = pytest.importorskip("torch")

DRAWS = 250


def lattice(shape, mean, effects):
    """Moments of a mean plus independent standard effects, times their factors: one for each set of axes."""
    moments = Moments.independent(shape, mean, mean * mean)
    pairs = np.full(moments.pairs.shape, mean * mean)
    for case in np.ndindex(*pairs.shape):
        for axes, factor in effects.items():
            pairs[case] += factor**2 * all(case[axis] == 0 for axis in axes)
    return moments.with_values(moments.mean, pairs)


def drawn(rng, shape, mean, effects):
    x = np.full(shape, mean)
    for axes, factor in effects.items():
        x = x + factor * rng.normal(size=[length if axis in axes else 1 for axis, length in enumerate(shape)])
    return torch.tensor(x)


ALL = {(0, 1, 2): 1.0, (1,): 0.8, (0,): 0.5, (1, 2): 0.4}
KINDS = {
    "batch": (
        "batch_norm",
        {"training": True},
        lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True),
    ),
    "layer": ("layer_norm", {"normalized_shape": [12]}, lambda x, w, b: torch.nn.functional.layer_norm(x, [12], w, b)),
    "root mean square": (
        "rms_norm",
        {"normalized_shape": [12]},
        lambda x, w, _: torch.nn.functional.rms_norm(x, [12], w, 1e-5),
    ),
    "group": ("group_norm", {"group": 4}, lambda x, w, b: torch.nn.functional.group_norm(x, 4, w, b)),
}
SHAPES = {"batch": (10, 8, 6), "layer": (6, 5, 12), "root mean square": (6, 5, 12), "group": (5, 16, 6)}


@pytest.mark.parametrize("mean", [0.0, 1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_normalization_and_its_gradient(kind, mean, rng):
    """Second moments over tensors of some hundred elements: right to the scatter, and 5 % for what they leave out."""
    op, attributes, run = KINDS[kind]
    shape = SHAPES[kind]
    width = 12 if "normalized_shape" in attributes else shape[1]
    names = ["input", "weight"] + ["bias"] * (op != "rms_norm")
    parameter = {"weight": (1.0, {(0,): 0.3}), "bias": (0.2, {(0,): 0.5})}
    signals = [lattice(shape, mean, ALL), *(lattice((width,), *parameter[name]) for name in names[1:])]
    operands = tuple(Operand(name, at) for at, name in enumerate(names))
    node = Node(0, op, f"aten.native_{op}.default", operands, attributes | {"eps": 1e-5}, (9,))
    call = Call(node, tuple(signal(Source(each)) for each in signals), tuple(each.shape for each in signals), (shape,))
    gradient = {(0, 1, 2): 1.0, (1,): 0.3, (0,): 0.3}
    [found] = RULES[op].forward(call)
    back = RULES[op].backward(call, [found], [lattice(shape, 0.0, gradient)])
    seen = {name: [] for name in ["out", *names]}
    for _ in range(DRAWS):
        x = drawn(rng, shape, mean, ALL).requires_grad_()
        w, b = (drawn(rng, (width,), *parameter[name]).requires_grad_() for name in ("weight", "bias"))
        y = run(x, w, b)
        y.backward(drawn(rng, shape, 0.0, gradient))
        for name, tensor in {"out": y, "input": x.grad, "weight": w.grad, "bias": b.grad}.items():
            if name in seen:
                seen[name].append(float((tensor.detach() ** 2).mean()))
    predicted = {"out": found.moments, **back}
    for name, values in seen.items():
        error = np.std(values) / np.sqrt(DRAWS)
        assert abs(predicted[name].second_moment - np.mean(values)) < 4 * error + 0.05 * np.mean(values), name


def test_pairs_of_a_normalized_tensor(rng):
    """Batch normalization: correlations within a unit and across units."""
    shape = (10, 8, 6)
    normalization = Normalization.of(lattice(shape, 1.0, ALL), [0, 2], 1e-5)
    draws = [
        observed(torch.nn.functional.batch_norm(drawn(rng, shape, 1.0, ALL), None, None, training=True).numpy()).pairs
        for _ in range(DRAWS)
    ]
    error = np.std(draws, axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(normalization.result.pairs - np.mean(draws, axis=0)) < 4 * error + 0.03)


def test_centring_is_exact(rng):
    """Taking a mean away is a projection of the whole covariance; also for strata that differ."""
    for strata, dims in itertools.product([(5,), (1, 3, 1), (2, 3)], [(0,), (1,), (0, 1)]):
        x = Moments.independent((3, 5), 0.0, 1.0)
        x = x.strata_at(1, strata)
        x = x.with_values(rng.normal(size=x.mean.shape), rng.normal(size=x.pairs.shape))
        x = x.with_values(x.mean, x.pairs + x.mirror(x.pairs))
        stratum = np.repeat(np.arange(len(strata)), strata)
        way = len(strata) * (1 + stratum[:, None]) + stratum[None, :]
        np.fill_diagonal(way, stratum)
        whole = x.pairs[np.where(np.eye(3, dtype=bool), 0, 1)[:, None, :, None], way[None, :, None, :]].reshape(15, 15)
        taken = np.eye(15) - np.kron(
            *(np.full((n, n), 1.0 / n) if at in dims else np.eye(n) for at, n in enumerate((3, 5)))
        )
        expected = (taken @ whole @ taken).reshape(3, 5, 3, 5)
        found = centred(x, dims).pairs
        np.testing.assert_allclose(found[0][way], expected[0, :, 0, :], atol=1e-9)
        np.testing.assert_allclose(found[1][way], expected[0, :, 1, :], atol=1e-9)


def test_kept_statistics_make_an_affine_map():
    """Outside of training batch normalization is (x - m) / sqrt(v + eps) * w + b with numbers that are known."""
    x = lattice((4, 3, 2), 1.0, ALL)
    numbers = {"weight": 2.0, "bias": 0.5, "running_mean": -1.0, "running_var": 3.0}
    names = ["input", *numbers]
    signals = [x, *(Moments.constant((3,), value) for value in numbers.values())]
    node = Node(
        0, "batch_norm", "aten._native_batch_norm_legit_no_training.default",
        tuple(Operand(name, at) for at, name in enumerate(names)), {"eps": 1.0}, (9,),
    )  # fmt: skip
    call = Call(
        node, tuple(signal(Source(each)) for each in signals), tuple(each.shape for each in signals), (x.shape,)
    )
    [found] = RULES["batch_norm"].forward(call)
    np.testing.assert_allclose(found.moments.pairs, x.shifted(1.0).scaled(1.0).shifted(0.5).pairs)
    gradient = lattice(x.shape, 0.1, ALL)
    np.testing.assert_allclose(RULES["batch_norm"].backward(call, [found], [gradient])["input"].pairs, gradient.pairs)


def test_weight_normalization(rng):
    shape = (6, 20)
    v, g = lattice(shape, 0.1, {(0, 1): 0.5}), lattice((6, 1), 2.0, {(0,): 0.2})
    node = Node(
        0, "weight_norm", "aten._weight_norm_interface.default", (Operand("v", 0), Operand("g", 1)), {"dim": 0}, (8, 9)
    )
    call = Call(node, (signal(Source(v)), signal(Source(g))), (shape, (6, 1)), (shape, (6, 1)))
    found, _ = RULES["weight_norm"].forward(call)
    back = RULES["weight_norm"].backward(call, [found], [lattice(shape, 0.0, {(0, 1): 1.0, (0,): 0.5})])
    seen = {"out": [], "v": [], "g": []}
    for _ in range(DRAWS):
        a = drawn(rng, shape, 0.1, {(0, 1): 0.5}).requires_grad_()
        b = drawn(rng, (6, 1), 2.0, {(0,): 0.2}).requires_grad_()
        y = torch._weight_norm(a, b, 0)
        y.backward(drawn(rng, shape, 0.0, {(0, 1): 1.0, (0,): 0.5}))
        for name, tensor in {"out": y, "v": a.grad, "g": b.grad}.items():
            seen[name].append(float((tensor.detach() ** 2).mean()))
    for name, values in seen.items():
        predicted = {"out": found.moments, **back}[name].second_moment
        assert abs(predicted - np.mean(values)) < 4 * np.std(values) / np.sqrt(DRAWS) + 0.03 * np.mean(values), name

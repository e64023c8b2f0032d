"""Laws: the maximum over windows, distances and products by group against PyTorch's on random tensors."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.graph import Node, Operand
from justright.core.maxima import chosen, largest
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.signals import mapped, signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call

torch = pytest.importorskip("torch")
F = torch.nn.functional

DRAWS = 400
LEVELS = ((0, 1, 2, 3), 1.0), ((0, 1), 0.6), ((1,), 0.5)
"""Independent effects by the axes that they vary along: of every element, of an example's unit, of a unit."""


def lattice(shape, mean):
    moments = Moments.independent(shape, mean, mean * mean)
    pairs = np.full(moments.pairs.shape, mean * mean)
    for case in np.ndindex(*pairs.shape):
        pairs[case] += sum(factor**2 for axes, factor in LEVELS if all(case[axis] == 0 for axis in axes))
    return moments.with_values(moments.mean, pairs)


def drawn(rng, shape, mean):
    effects = (
        factor * rng.normal(size=[n if at in axes else 1 for at, n in enumerate(shape)]) for axes, factor in LEVELS
    )
    return torch.tensor(mean + sum(effects))


def call_of(op, native, attributes, operands, out):
    node = Node(0, op, native, tuple(Operand(name, at) for at, name in enumerate(operands)), attributes, (8, 9))
    shapes = tuple(each.moments.shape for each in operands.values())
    return Call(node, tuple(operands.values()), shapes, (out,))


POOLS = {
    "halves": ({"kernel_size": [2, 2], "stride": [], "padding": [0, 0]}, lambda x: F.max_pool2d(x, 2)),
    "overlapping": ({"kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1]}, lambda x: F.max_pool2d(x, 3, 2, 1)),
}


@pytest.mark.parametrize("mean", [0.0, 0.7])
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("name", POOLS)
def test_maximum_over_windows(name, rectified, mean, rng):
    """Every pair of the result, the gradient, and how much of that the rectifier below lets through."""
    attributes, run = POOLS[name]
    shape = (4, 5, 8, 8)
    under = signal(Source(lattice(shape, mean)))
    x = mapped("rectifier", lambda u: np.maximum(u, 0.0), under, kinks=(0.0,)) if rectified else under
    out = tuple(run(torch.zeros(shape)).shape)
    call = call_of("max_pool", "aten.max_pool2d_with_indices.default", attributes, {"input": x}, out)
    [found] = RULES["max_pool"].forward(call)[:1]
    back = RULES["max_pool"].backward(call, [found], [Moments.independent(out, 0.0, 1.0)])["input"]
    rows = []
    for _ in range(DRAWS):
        u = drawn(rng, shape, mean).requires_grad_()
        below = torch.relu(u) if rectified else u
        below.retain_grad()
        y = run(below)
        y.backward(torch.tensor(rng.normal(size=out)))
        rows.append([*observed(y.detach().numpy()).pairs.ravel(), *((each**2).mean() for each in (below.grad, u.grad))])
    error, seen = np.std(rows, axis=0) / np.sqrt(DRAWS), np.mean(rows, axis=0)
    step = mapped("step", lambda u: np.heaviside(u, 0.5), under, kinks=(0.0,)) if rectified else None
    passed = back.slope if step is None else mapped("both", lambda u, v: u * v, back.slope, step)
    gradients = [back.gradient.times(each.moments).second_moment for each in (back.slope, passed)]
    predicted = np.array([*found.moments.pairs.ravel(), *gradients])
    assert np.all(np.abs(predicted - seen) < 4 * error + 0.03 * np.abs(seen))


@pytest.mark.parametrize("size", [4, 9])
def test_largest_of_independent_normal_numbers(size):
    """Known means and variances, to the error of the midpoint rule."""
    known = {4: (1.029375373003964, 0.4917152368747418), 9: (1.485013162209237, 0.35735332635781336)}
    mean, second, _ = largest(lambda u: u, 0.0, 1.0, 0.0, {size: 1.0})
    np.testing.assert_allclose([mean, second - mean**2], known[size], atol=2e-4)
    _, second, _ = largest(lambda u: np.maximum(u, 0.0), 0.0, 1.0, 0.0, {4: 1.0})
    np.testing.assert_allclose(second, 1.543785011586, atol=2e-4)


def test_gradient_is_given_once(rng):
    """Each window gives its gradient to one element, whatever they share."""
    for shared in (0.0, 0.3, 0.8):
        given = chosen(1.0, shared, {4: 0.5, 9: 0.5})(rng.normal(size=200_000))
        assert abs(given.mean() - 1.0) < 4 * given.std() / np.sqrt(200_000)


def test_distance(rng):
    shapes = (6, 40), (5, 40)
    x, y = (Moments.independent(shape, mean, mean**2 + 1.0) for shape, mean in zip(shapes, (0.0, 0.5), strict=True))
    call = call_of(
        "distance",
        "aten._cdist_forward.default",
        {"p": 2.0},
        {"x1": signal(Source(x)), "x2": signal(Source(y))},
        (6, 5),
    )
    found = RULES["distance"].forward(call)
    back = RULES["distance"].backward(call, [found], [Moments.independent((6, 5), 0.0, 1.0)])
    rows = []
    for _ in range(DRAWS):
        a = torch.tensor(rng.normal(size=shapes[0])).requires_grad_()
        b = torch.tensor(0.5 + rng.normal(size=shapes[1])).requires_grad_()
        d = torch.cdist(a, b)
        d.backward(torch.tensor(rng.normal(size=(6, 5))))
        rows.append([float(each.mean()) for each in (d, d**2, a.grad**2, b.grad**2)])
    predicted = [
        found.moments.average_mean,
        found.moments.second_moment,
        *(back[name].second_moment for name in ("x1", "x2")),
    ]
    error = 4 * np.std(rows, axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(predicted - np.mean(rows, axis=0)) < error + 0.02 * np.mean(rows, axis=0))


def test_rows_with_a_matrix_for_each_group(rng):
    """Rows in four equal groups; matrices that share a mean."""
    x, w = Moments.independent((32, 6), 0.3, 1.09), Moments.independent((4, 6, 5), 0.2, 0.29)
    operands = {"input": signal(Source(x)), "mat2": signal(Source(w))}
    call = call_of("grouped_matmul", "aten._grouped_mm.default", {}, operands, (32, 5))
    found = RULES["grouped_matmul"].forward(call)
    back = RULES["grouped_matmul"].backward(call, [found], [Moments.independent((32, 5), 0.0, 1.0)])
    rows = []
    for _ in range(DRAWS):
        a = torch.tensor(0.3 + rng.normal(size=(32, 6))).requires_grad_()
        b = torch.tensor(0.2 + 0.5 * rng.normal(size=(4, 6, 5))).requires_grad_()
        y = torch.einsum("gri,gio->gro", a.reshape(4, 8, 6), b).reshape(32, 5)
        y.backward(torch.tensor(rng.normal(size=(32, 5))))
        gradients = [float((each.grad**2).mean()) for each in (a, b)]
        rows.append([*observed(y.detach().numpy()).pairs.ravel(), *gradients])
    pairs = found.moments.pairs.ravel()
    predicted = np.array([*pairs, back["input"].second_moment, back["mat2"].second_moment])
    error = 4 * np.std(rows, axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(predicted - np.mean(rows, axis=0)) < error + 0.05 * np.abs(np.mean(rows, axis=0)))

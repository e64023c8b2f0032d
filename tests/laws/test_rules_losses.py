"""Laws of the losses: value and first gradient, against draws put through PyTorch's own."""

from __future__ import annotations

import numpy as np
import pytest

from justright.core.graph import Node, Operand
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.signals import Signal, mapped, signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call, Sloped
from justright.propagation.gradient import Gradient

torch = pytest.importorskip("torch")
F = torch.nn.functional

SHAPE = (24, 10)
OUTPUT = {(0, 1): 0.8, (0,): 0.2, (1,): 0.3, (): 0.1}
TARGET = {(0, 1): 0.5, (1,): 0.2}
REPEATS = 1500


def lattice(shape, effects, mean):
    """Moments of a sum of independent effects, one for each of some subsets of the axes."""
    moments = Moments.constant(shape, mean)
    pairs = moments.pairs.copy()
    for axes, variance in effects.items():
        pairs[tuple(slice(0, 1) if dim in axes else slice(None) for dim in range(len(shape)))] += variance
    return moments.with_values(moments.mean, pairs)


def drawn(rng, shape, effects, mean):
    sizes = ([length if dim in axes else 1 for dim, length in enumerate(shape)] for axes in effects)
    parts = (variance**0.5 * rng.normal(size=size) for variance, size in zip(effects.values(), sizes, strict=True))
    return torch.tensor(np.broadcast_to(mean + sum(parts), shape))


def called(op, signals, attributes=None, known=None):
    """A call of a loss: signals by operand name, or values for those that have none."""
    known = known or {}
    names = [*signals, *known]
    node = Node(0, op, f"aten.{op}", tuple(map(Operand, names, range(len(names)))), attributes or {}, (len(names),))
    operands = [signals.get(name) for name in names]
    shapes = [
        np.shape(known[name]) if name in known else each.shape for name, each in zip(names, operands, strict=True)
    ]
    return Call(node, tuple(operands), tuple(shapes), ((),), tuple(lambda name=name: known.get(name) for name in names))


def held(rng, call, function, target, before=lambda z: z, slack=0.01):
    """Compare mean and second moment of the loss, and the lattice of the gradient at its input."""
    rule = RULES[call.node.op]
    result = rule.forward(call)
    loss = (result if isinstance(result, Signal) else result[0]).moments
    passed = rule.backward(call, [None], [Moments.constant(loss.shape, 1.0)])["input"]
    if isinstance(passed, Sloped):
        passed = Gradient.fresh(passed.gradient).multiplied(passed.slope).moments
    predicted = np.concatenate(([loss.average_mean, loss.second_moment], passed.mean.ravel(), passed.pairs.ravel()))
    rows = []
    for _ in range(REPEATS):
        x = before(drawn(rng, call.shapes[0], OUTPUT, 0.3)).clone().requires_grad_()
        value = function(x, target())
        value.sum().backward()
        seen, value = observed(x.grad.numpy()), value.detach()
        rows.append([value.mean(), (value**2).mean(), *seen.mean.ravel(), *seen.pairs.ravel()])
    rows = np.array(rows)
    sampled, error = rows.mean(axis=0), rows.std(axis=0) / REPEATS**0.5
    sizes = np.array([abs(sampled[0]), sampled[1], *[np.sqrt(sampled[3])] * (len(passed.mean.ravel()))])
    allowed = slack * np.concatenate((sizes, np.full(passed.pairs.size, sampled[3])))
    np.testing.assert_array_less(np.abs(predicted - sampled), 5 * error + allowed + 1e-12)


@pytest.fixture
def output():
    return signal(Source(lattice(SHAPE, OUTPUT, 0.3)))


@pytest.mark.parametrize(
    ("op", "attributes", "function"),
    [
        ("mse_loss", {}, F.mse_loss),
        ("mse_loss", {"reduction": 0}, lambda x, y: F.mse_loss(x, y, reduction="none")),
        ("mse_loss", {"reduction": 2}, lambda x, y: F.mse_loss(x, y, reduction="sum")),
        ("l1_loss", {}, F.l1_loss),
        ("huber_loss", {"delta": 0.7}, lambda x, y: F.huber_loss(x, y, delta=0.7)),
        ("smooth_l1_loss", {"beta": 0.5}, lambda x, y: F.smooth_l1_loss(x, y, beta=0.5)),
    ],
)
def test_losses_of_a_difference(rng, output, op, attributes, function):
    target = signal(Source(lattice(SHAPE, TARGET, 0.1)))
    call = called(op, {"input": output, "target": target}, attributes)
    held(rng, call, function, lambda: drawn(rng, SHAPE, TARGET, 0.1))


@pytest.mark.parametrize("kind", ["logits", "positives", "weighted", "probabilities", "margin"])
def test_losses_of_two_classes(rng, output, kind):
    share = Moments.independent(SHAPE, 0.3, 0.3)
    target, before, extra = signal(Source(share)), lambda z: z, {}
    op, function = "binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits
    if kind == "positives":
        extra = {"pos_weight": signal(Source(Moments.constant((10,), 2.0)))}
        function = lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=torch.tensor([2.0] * 10))  # noqa: E731
    elif kind == "weighted":
        extra = {"weight": signal(Source(Moments.constant((10,), 0.5)))}
        function = lambda x, y: F.binary_cross_entropy_with_logits(x, y, weight=torch.tensor([0.5] * 10))  # noqa: E731
    elif kind == "probabilities":
        op, function, before = "binary_cross_entropy", F.binary_cross_entropy, torch.sigmoid
        output = mapped("sigmoid", lambda u: 1 / (1 + np.exp(-u)), output)
    elif kind == "margin":
        op, function = "soft_margin_loss", lambda x, y: F.soft_margin_loss(x, 2 * y - 1)
        target = signal(Source(share.scaled(2.0).shifted(-1.0)))
    call = called(op, {"input": output, "target": target, **extra})
    held(rng, call, function, lambda: torch.tensor((rng.random(SHAPE) < 0.3).astype(float)), before, slack=0.03)


@pytest.mark.parametrize("kind", ["all", "ignored", "weighted", "summed", "kept apart"])
def test_classes(rng, output, kind):
    """Given targets: how often each class occurs, and in how many pairs of rows, is counted."""
    labels, weights = rng.integers(0, 10, 24), rng.random(10)
    labels[:4] = -100 if kind in {"ignored", "weighted"} else labels[:4]
    reduction = {"summed": 2, "kept apart": 0}.get(kind, 1)
    known = {"target": labels} | ({"weight": weights} if kind == "weighted" else {})
    weight = torch.tensor(weights) if kind == "weighted" else None
    name = {0: "none", 1: "mean", 2: "sum"}[reduction]
    call = called("nll_loss", {"input": output}, {"reduction": reduction, "ignore_index": -100}, known)
    held(rng, call, lambda x, y: F.nll_loss(x, y, weight, reduction=name), lambda: torch.tensor(labels))


def test_classes_that_are_not_known(rng, output):
    call = called("nll_loss", {"input": output})
    held(rng, call, F.nll_loss, lambda: torch.tensor(rng.integers(0, 10, 24)))


@pytest.mark.parametrize("variance", [0.01, 1.0, 9.0])
def test_cross_entropy_of_logits(rng, variance):
    """Through log-softmax and likelihood: the loss, and the gradient (p - y) / N."""
    shape, labels = (40, 12), rng.integers(0, 12, 40)
    logits = signal(Source(Moments.independent(shape, 0.5, 0.25 + variance)))
    whole = Call(
        Node(0, "log_softmax", "aten", (Operand("input", 0),), {"dim": 1}, (1,)), (logits,), (shape,), (shape,)
    )
    scores = RULES["log_softmax"].forward(whole)
    call = called("nll_loss", {"input": scores}, {}, {"target": labels})
    loss = RULES["nll_loss"].forward(call)[0].moments
    gradient = RULES["nll_loss"].backward(call, [None], [Moments.constant((), 1.0)])["input"]
    gradient = RULES["log_softmax"].backward(whole, [scores], [gradient])["input"]
    values, squares = [], []
    for _ in range(500):
        x = torch.tensor(0.5 + variance**0.5 * rng.normal(size=shape), requires_grad=True)
        value = F.cross_entropy(x, torch.tensor(labels))
        value.backward()
        values.append(value.item())
        squares.append((x.grad**2).mean().item())
    for predicted, sampled in ((loss.average_mean, values), (gradient.second_moment, squares)):
        assert abs(predicted - np.mean(sampled)) < 5 * np.std(sampled) / 500**0.5

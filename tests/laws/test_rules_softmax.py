"""Laws of softmax, its logarithm and the choice of the largest: moments against draws put through PyTorch.

Tensors are drawn as sums of independent normal effects, one for each subset of their axes, so that their lattice of
second moments is known exactly; gradients are drawn likewise and go through the operator's own backward.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from justright.core.graph import Node, Operand
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.participation import Agreement, participation
from justright.core.signals import Signal, mapped, signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call

torch = pytest.importorskip("torch")

LOGITS = {(0, 1, 2, 3): 0.6, (0, 2, 3): 0.3, (0, 1, 2): 0.5, (1, 3): 0.2, (): 0.4, (2, 3): 0.1}
GRADIENT = {(0, 1, 2, 3): 1.0, (1, 3): 0.4, (2, 3): 0.3, (0, 2): 0.5, (): 0.3, (0, 1, 3): 0.2}


def lattice(shape, effects, mean):
    """Moments of a sum of effects: those of which two elements share all indices are the same number in both."""
    moments = Moments.constant(shape, mean)
    pairs = moments.pairs.copy()
    for axes, variance in effects.items():
        pairs[tuple(slice(0, 1) if dim in axes else slice(None) for dim in range(len(shape)))] += variance
    return moments.with_values(moments.mean, pairs)


def drawn(rng, shape, effects, mean):
    sizes = ([length if dim in axes else 1 for dim, length in enumerate(shape)] for axes in effects)
    parts = (variance**0.5 * rng.normal(size=size) for variance, size in zip(effects.values(), sizes, strict=True))
    return np.broadcast_to(mean + sum(parts), shape)


def called(op, operand, outputs, attributes):
    x = operand if isinstance(operand, Signal) else signal(Source(operand))
    node = Node(0, op, f"aten.{op}", (Operand("input", 0),), attributes, tuple(range(1, len(outputs) + 1)))
    return Call(node, (x,), (x.shape,), outputs, (lambda: None,))


def numbers(moments):
    return np.concatenate((moments.mean.ravel(), moments.pairs.ravel()))


def strata(moments):
    return tuple(dim[0].strata if dim else (1,) for dim in moments.dims)


def hidden(x, mask):
    return Signal("hidden", lambda u: u, (x,), x.moments, line=x.line, visible=mask)


def compared(rng, call, function, gradient_effects, repeats, mask=None, effects=LOGITS):
    """Both directions of a rule: predicted, sampled and standard error of every number of the lattice."""
    shape, out = call.shapes[0], call.outputs[0]
    rule = RULES[call.node.op]
    result = rule.forward(call)
    result = result if isinstance(result, Signal) else result[0]
    gradient = lattice(out, gradient_effects, 0.1)
    passed = rule.backward(call, [result], [gradient])["input"]
    rows = []
    for _ in range(repeats):
        x = torch.tensor(drawn(rng, shape, effects, 0.3), requires_grad=True)
        shown = x if mask is None else x.masked_fill(torch.tensor(mask == 0), -torch.inf)
        y = function(shown)
        y.backward(torch.tensor(drawn(rng, out, gradient_effects, 0.1)))
        both = (y.detach(), strata(result.moments)), (x.grad, strata(passed))
        rows.append([numbers(observed(values.numpy(), cut)) for values, cut in both])
    for at, predicted in enumerate((result.moments, passed)):
        sampled = np.array([row[at] for row in rows])
        yield numbers(predicted), sampled.mean(axis=0), sampled.std(axis=0) / repeats**0.5


def agree(predicted, sampled, error, slack):
    """Within 5 standard errors and a share of the largest number of its kind: what a rule is allowed to leave out."""
    np.testing.assert_array_less(np.abs(predicted - sampled), 5 * error + slack * np.abs(sampled).max() + 1e-12)


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_softmax_of_correlated_logits(rng, scale):
    shape, effects = (3, 2, 5, 7), {axes: scale * variance for axes, variance in LOGITS.items()}
    call = called("softmax", lattice(shape, effects, 0.3), (shape,), {"dim": -1})
    for numbers_of in compared(rng, call, lambda x: x.softmax(-1), GRADIENT, 200, effects=effects):
        agree(*numbers_of, slack=0.01)


@pytest.mark.parametrize("dim", [1, 3])
def test_log_softmax_along_any_dimension(rng, dim):
    shape = (3, 6, 5, 4)
    call = called("log_softmax", lattice(shape, LOGITS, 0.3), (shape,), {"dim": dim})
    for numbers_of in compared(rng, call, lambda x: x.log_softmax(dim), GRADIENT, 200):
        agree(*numbers_of, slack=0.01)


def _masks():
    place = np.arange(16)
    behind = place[:, None] - place
    padded = np.ones((2, 1, 1, 16))
    padded[0, ..., :5] = 0
    blocks = np.stack([np.ones((16, 16)), np.equal.outer(place // 8, place // 8)])[:, None]
    return {
        "causal": behind >= 0,
        "window": (behind >= 0) & (behind < 5),
        "padded": padded,
        "blocks": blocks,
        "none": np.ones((16, 16)),
    }


@pytest.mark.parametrize("name", list(_masks()))
def test_masks(rng, name):
    """Weights are exact, but that two examples' masks are taken as alike; gradients are but for how masks overlap."""
    shape, mask = (2, 2, 16, 16), np.asarray(_masks()[name], dtype=np.float64)
    call = called("softmax", hidden(signal(Source(lattice(shape, LOGITS, 0.3))), mask), (shape,), {"dim": -1})
    forward, backward = compared(rng, call, lambda x: x.softmax(-1), GRADIENT, 200, mask=mask)
    rough, rougher = (0.05, 0.1) if name == "blocks" else (0.005, 0.05)
    agree(*forward, slack=rough)
    agree(*backward, slack=rougher)


@pytest.mark.parametrize("masked", [False, True])
def test_rows_sum_to_one_and_their_gradients_to_zero(masked):
    shape, mask = (2, 16, 16), np.tril(np.ones((16, 16)))
    x = signal(Source(lattice(shape, {(0, 1, 2): 3.0, (1, 2): 1.0, (0,): 2.0}, 0.0)))
    call = called("softmax", hidden(x, mask) if masked else x, (shape,), {"dim": -1})
    weights = RULES["softmax"].forward(call)
    summed = weights.moments.sum((2,))
    np.testing.assert_allclose(summed.mean, 1.0, atol=1e-12)
    np.testing.assert_allclose(summed.pairs, 1.0, atol=1e-12)
    gradient = RULES["softmax"].backward(call, [weights], [lattice(shape, {(0, 1, 2): 1.0, (0, 2): 1.0}, 0.0)])["input"]
    np.testing.assert_allclose(gradient.sum((2,)).pairs, 0.0, atol=1e-14)


def test_what_a_row_shares_does_not_matter():
    shape = (4, 9)
    plain, raised = (
        RULES["softmax"].forward(called("softmax", lattice(shape, effects, 0.0), (shape,), {"dim": 1})).moments
        for effects in ({(0, 1): 1.0}, {(0, 1): 1.0, (0,): 1e6, (): 1e6})
    )
    np.testing.assert_allclose(plain.pairs, raised.pairs, rtol=1e-8)


@pytest.mark.parametrize(("variance", "count"), list(product([0.01, 0.3, 3.0, 40.0], [2, 7, 100])))
def test_participation_against_sampling(rng, variance, count):
    logits = variance**0.5 * rng.normal(size=(400_000 // count, count))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    total = raised.sum(axis=1)
    weights = raised / total[:, None]
    squares, log = (weights**2).sum(axis=1), np.log(total) + logits.max(axis=1)
    found = participation(variance, count)
    for predicted, sampled in (
        (found.squares, squares),
        (found.cubes, (weights**3).sum(axis=1)),
        (found.squared, squares**2),
        (found.log_mean, log),
        (found.log_variance, (log - log.mean()) ** 2),
    ):
        assert abs(predicted - sampled.mean()) < 5 * sampled.std() / len(sampled) ** 0.5 + 1e-9


@pytest.mark.parametrize("variance", [0.1, 1.0, 6.0])
def test_agreement_against_sampling(rng, variance):
    count, correlation = 12, np.array([-0.4, 0.3, 0.8, 1.0])
    first, second = variance**0.5 * rng.normal(size=(2, 40_000, count))
    predicted = Agreement.of(participation(variance, count)).at(correlation)
    for c, found in zip(correlation, predicted, strict=True):
        both = [each.T / each.sum(axis=1) for each in np.exp((first, c * first + (1 - c * c) ** 0.5 * second))]
        sampled = count * (both[0] * both[1]).sum(axis=0)
        assert abs(found - sampled.mean()) < 5 * sampled.std() / 200 + 0.02 * sampled.mean()


ROWS = {(0, 1): 0.8, (0,): 0.2, (1,): 0.1, (): 0.1}


@pytest.mark.parametrize("kind", ["scores", "sigmoid", "weights"])
@pytest.mark.parametrize("kept", [1, 3])
def test_largest(rng, kind, kept):
    """Values, and gradients that reach them, for Gaussian scores, functions of such, and weights of a router."""
    shape, out = (6, 8), (6, kept)
    x = signal(Source(lattice(shape, ROWS, 0.3)))
    before = {"scores": lambda z: z, "sigmoid": torch.sigmoid, "weights": lambda z: z.softmax(-1)}[kind]
    if kind == "sigmoid":
        x = mapped("sigmoid", lambda u: 1 / (1 + np.exp(-u)), x)
    elif kind == "weights":
        x = RULES["softmax"].forward(called("softmax", x, (shape,), {"dim": -1}))
    call = called("top_k", x, (out, out), {"k": kept, "dim": -1})
    values, gradient = _largest(rng, call, before, kept)
    agree(*values, slack=0.03)
    agree(*gradient, slack=0.03)


def _largest(rng, call, before, kept):
    effects = {(0, 1): 1.0, (0,): 0.2, (): 0.3}
    result = RULES["top_k"].forward(call)[0]
    passed = RULES["top_k"].backward(call, [result, None], [observed_like(call.outputs[0], effects), None])["input"]
    rows = []
    for _ in range(1000):
        x = before(torch.tensor(drawn(rng, call.shapes[0], ROWS, 0.3))).requires_grad_()
        y = x.topk(kept, -1)[0]
        y.backward(torch.tensor(drawn(rng, call.outputs[0], effects, 0.1).copy()))
        rows.append([numbers(observed(values.numpy())) for values in (y.detach(), x.grad)])
    for at, predicted in enumerate((result.moments, passed)):
        sampled = np.array([row[at] for row in rows])
        yield numbers(predicted), sampled.mean(axis=0), sampled.std(axis=0) / len(rows) ** 0.5


def observed_like(shape, effects):
    """The lattice of effects for a tensor that may have dimensions of length one."""
    return lattice(shape, effects, 0.1) if shape[1] > 1 else lattice((shape[0], 2), effects, 0.1).sliced(1, 0, 1)


def test_sorting_moves_elements_only():
    shape = (6, 8)
    moments = lattice(shape, ROWS, 0.3)
    found = RULES["sort"].forward(called("sort", moments, (shape, shape), {"dim": -1}))[0].moments
    np.testing.assert_allclose(found.average_mean, 0.3, atol=0.02)
    np.testing.assert_allclose(found.pairs[0], moments.pairs[0], rtol=0.02)

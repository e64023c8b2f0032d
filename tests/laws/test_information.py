"""Laws of the statistics on relations: each against its definition, in loops or by another decomposition."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from justright.core.graph import GraphBuilder, Role
from justright.measure.examples import ExampleAxis, example_axes
from justright.statistics.pairs import gram
from justright.statistics.relations import attention_sums, relation_sums, routing_sums

EPSILON = 2.0**-23


def related(values, sizes=None):
    sums = relation_sums(values, sizes or values.shape, EPSILON)
    return sums.finish()


@pytest.fixture
def values(rng):
    return rng.normal(1.0, 2.0, (9, 5, 7))


def test_relations_are_what_they_are_defined_as(values):
    found, rows = related(values), values.reshape(9, -1)
    cosines = [one @ two / np.linalg.norm(one) / np.linalg.norm(two) for one, two in combinations(rows, 2)]
    assert found.cosine == pytest.approx(np.mean(cosines), rel=1e-12)
    rms = math.sqrt(np.mean(values**2))
    assert found.spread == pytest.approx(math.sqrt(np.mean(rows.var(axis=0, ddof=1))) / rms, rel=1e-12)
    across = [example.var(axis=0, ddof=1) for example in values]
    assert found.position_spread == pytest.approx(math.sqrt(np.mean(across)) / rms, rel=1e-12)
    relative = rows.std(axis=0, ddof=1) / np.sqrt(np.mean(rows**2, axis=0))
    assert found.resolved == pytest.approx(np.quantile(relative, 0.9), rel=1e-12)
    singular = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    assert found.third == pytest.approx(singular[2] / singular[0], rel=1e-9)
    assert found.rank == pytest.approx((singular**2).sum() ** 2 / (singular**4).sum(), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_relations_do_not_depend_on_scale(values, scale):
    one, other = related(values).to_dict(), related(scale * values).to_dict()
    assert other == pytest.approx(one, rel=1e-9)


def test_a_difference_far_below_the_mean_is_seen():
    """Cosines alone round it away: 1 - c is 1e-24 here."""
    values = np.ones((4, 1, 3)) + 1e-12 * np.arange(12).reshape(4, 1, 3)
    assert related(values).spread == pytest.approx(1e-12 * np.std([0, 3, 6, 9], ddof=1), rel=1e-3)


def test_planted_copies_are_counted(rng):
    values = rng.normal(size=(8, 4, 20))
    values[..., 5:10] = values[..., :5]
    values[..., 10] = 3.0
    values[..., 11] = values[..., 12] * (1 + 1e-5)
    values[..., 13] = values[..., 14] * 1.1
    found = related(values)
    assert (found.varying, found.distinct) == (19, 13)


def test_copies_are_found_however_far_apart_they_are(rng):
    """Products of many units are taken in blocks: copies lie within one, in two, and in the last and shortest."""
    values = rng.normal(size=(8, 4, 200))
    values[..., [60, 130, 199]] = values[..., [7, 60, 195]]
    values[..., 130] = values[..., 60]
    found = related(values)
    assert (found.varying, found.distinct) == (200, 197)


@pytest.mark.parametrize("shape", [(70, 3), (1, 1), (32, 4096), (65, 0), (0, 5)])
def test_products_of_all_pairs_are_those_of_the_definition(rng, shape):
    rows = rng.integers(-9, 9, shape).astype(float)  # exact sums, in whatever order
    assert np.array_equal(gram(rows), np.einsum("ik,jk->ij", rows, rows))


def test_planted_directions_are_counted(rng):
    two = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 30)) + rng.normal(size=30)
    assert related(two.reshape(12, 1, 30)).third < 1e-7
    assert 1.0 < related(two.reshape(12, 1, 30)).rank <= 2.0 + 1e-9
    assert math.isnan(related(rng.normal(size=(3, 1, 30))).third)


def test_what_is_not_finite_is_not_compared(values):
    values[0, 0, 0] = np.nan
    assert relation_sums(values, values.shape, EPSILON) is None


def test_merging_pools_batches(rng):
    parts = [relation_sums(rng.normal(size=(6, 2, 10)), (6, 2, 10), EPSILON) for _ in range(3)]
    left = parts[0].merge(parts[1]).merge(parts[2]).finish().to_dict()
    assert left == pytest.approx(parts[2].merge(parts[0].merge(parts[1])).finish().to_dict(), rel=1e-12)
    twice = parts[0].merge(parts[0]).finish()
    assert twice.examples == 12
    assert twice.spread == pytest.approx(parts[0].finish().spread, rel=1e-12)
    assert twice.cosine == pytest.approx(parts[0].finish().cosine, rel=1e-12)
    assert twice.third == pytest.approx(parts[0].finish().third, rel=1e-12)


def test_units_are_copies_only_if_they_are_so_in_every_batch(rng):
    same = np.repeat(rng.normal(size=(6, 1, 1)), 4, axis=2)
    other = rng.normal(size=(6, 1, 4))
    merged = relation_sums(same, same.shape, EPSILON).merge(relation_sums(other, other.shape, EPSILON))
    assert relation_sums(same, same.shape, EPSILON).finish().distinct == 1
    assert merged.finish().distinct == 4


def softmax(logits):
    values = np.exp(logits - logits.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


def test_attention_is_what_it_is_defined_as(rng):
    logits = rng.normal(0.0, 3.0, (40, 6))
    logits[:20, 3:] = -np.inf
    logits[20:25, 1:] = -1e9
    probabilities = softmax(logits)
    found = attention_sums(logits, probabilities).finish()
    rows = [row[:3] for row in probabilities[:20]] + list(probabilities[25:])
    assert found.rows == 35
    assert found.entropy == pytest.approx(np.mean([stats.entropy(row) / math.log(len(row)) for row in rows]), rel=1e-12)
    assert found.slope == pytest.approx(np.mean([np.trace(np.diag(row) - np.outer(row, row)) for row in rows]))
    assert found.sharp == pytest.approx(np.mean([max(row) > 0.99 for row in rows]))


@pytest.mark.parametrize(("scale", "entropy", "sharp"), [(0.0, 1.0, 0.0), (1e4, 0.0, 1.0)])
def test_uniform_and_sharp_attention_are_the_ends(rng, scale, entropy, sharp):
    logits = scale * np.array([rng.permutation(8) for _ in range(30)])
    found = attention_sums(logits, softmax(logits)).finish()
    assert (found.entropy, found.sharp) == pytest.approx((entropy, sharp))


def test_rows_without_a_choice_are_left_out():
    logits = np.array([[0.0, -np.inf], [-1e4, 5.0]])
    assert attention_sums(logits, softmax(logits)).finish() is None


@pytest.mark.parametrize("chosen", [1, 2])
def test_routing_counts_the_highest_scores(rng, chosen):
    scores = rng.normal(size=(50, 6))
    parts = routing_sums(scores[:20], chosen).merge(routing_sums(scores[20:], chosen)).finish()
    order = np.argsort(-scores, axis=1, kind="stable")[:, :chosen]
    assert parts.load == tuple(np.sum(order == expert) for expert in range(6))
    assert parts.tokens == 50
    assert parts.used == len(set(order.ravel().tolist()))


# The example axis, on graphs whose axes cannot be told apart by their lengths: the behaviour on real models is in
# tests/adapters/test_relations.py.


def axis_after(op, operands, made, shape=(4, 4), **attributes):
    builder = GraphBuilder()
    x = builder.leaf("input[0]", shape, "float32", Role.INPUT)
    other = builder.leaf("other", (4, 4), "float32", Role.BUFFER)
    sites = {"x": x, "other": other}
    (site,) = builder.node(
        op, op, [("input", sites[each]) for each in operands], [(made, "float32", True)], attributes=attributes
    )
    graph = builder.finish(outputs=(site,))
    return example_axes(graph)[1][graph.outputs[0]]


@pytest.mark.parametrize(
    ("expected", "op", "operands", "made", "attributes"),
    [
        (ExampleAxis(0), "relu", ["x"], (4, 4), {}),
        (ExampleAxis(1), "transpose", ["x"], (4, 4), {"dim0": 0, "dim1": 1}),
        (ExampleAxis(0), "sum", ["x"], (4,), {"dim": (1,)}),
        (None, "sum", ["x"], (4,), {"dim": (0,)}),
        (ExampleAxis(0, 1, 4), "view", ["x"], (16,), {"size": (16,)}),
        (ExampleAxis(1), "unsqueeze", ["x"], (1, 4, 4), {"dim": 0}),
        (ExampleAxis(1), "add", ["x", "x"], (4, 4, 4), {}),
        (None, "concatenate", ["x", "x"], (8, 4), {"dim": 0}),
        (ExampleAxis(0), "concatenate", ["x", "x"], (4, 8), {"dim": 1}),
        (ExampleAxis(1), "stack", ["x", "x"], (2, 4, 4), {"dim": 0}),
        (ExampleAxis(0), "matmul", ["x", "other"], (4, 4), {}),
        (ExampleAxis(0), "matmul", ["other", "x"], (4, 4), {}),
        (None, "select", ["x"], (4,), {"dim": 0, "index": 1}),
        (ExampleAxis(0), "select", ["x"], (4,), {"dim": 1, "index": 1}),
        (None, "aten.something.default", ["x"], (4, 4), {}),
    ],
)
def test_example_axis_follows_the_operation_not_the_shape(expected, op, operands, made, attributes):
    assert axis_after(op, operands, made, **attributes) == expected


def test_one_example_cannot_be_compared():
    assert axis_after("relu", ["x"], (1, 4), shape=(1, 4)) is None

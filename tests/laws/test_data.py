"""The data: records against the definitions, and what is told of its scale, its variety and its labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

import justright as jr
from justright.core.data import summarize_data
from justright.core.edges import summarize_edge

torch = pytest.importorskip("torch")
F, nn = torch.nn.functional, torch.nn


def test_parts_give_the_record_of_the_whole(rng):
    values = rng.normal(3.0, 2.0, (30, 5)) * np.array([1, 10, 0, 1, 1000])
    parts = [summarize_data(part, "input", "float64") for part in np.split(values, [7, 19])]
    merged = parts[0].merge(parts[1]).merge(parts[2]).finish("x")
    whole = summarize_data(values, "input", "float64").finish("x")
    for name in ("rows", "count", "minimum", "maximum", "constant", "alike"):
        assert getattr(merged, name) == getattr(whole, name), name
    for name in ("mean", "std", "rms", "spread"):
        # 150 terms summed in another order: as many roundings of 2**-53, relative to the largest.
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-12), name


def test_a_record_is_what_numpy_says(rng):
    values = rng.normal(0.5, 2.0, (40, 3))
    record = summarize_data(values, "target", "float64").finish("target")
    std = values.std(0)
    assert (record.mean, record.std) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    assert record.spread == pytest.approx(std.max() / np.median(std))
    for name, clip in (("unit", (0, 1)), ("symmetric", (-1, 1)), ("positive", (0, None))):
        assert record.beyond[name] == pytest.approx(np.square(values - values.clip(*clip)).mean())


def test_what_is_not_finite_is_counted_and_left_out():
    record = summarize_data(np.array([1.0, np.nan, np.inf, 3.0]), "input", "float64").finish("x")
    assert (record.nonfinite, record.mean, record.minimum, record.maximum) == (2, 2.0, 1.0, 3.0)


def test_the_entropy_of_labels_leaves_ignored_ones_out(rng):
    labels = np.concatenate([rng.integers(0, 7, 90), np.full(10, -100)])
    record = summarize_data(labels, "target", "int64", ignore=-100).finish("target")
    assert record.entropy == pytest.approx(entropy(np.bincount(labels[labels >= 0])))
    assert (record.ignored, record.minimum >= 0, sum(count for _, count in record.values)) == (10, True, 90)


def test_edges_merge_to_those_of_the_nearest_examples(rng):
    values = rng.normal(size=(20, 6))
    merged = summarize_edge(values[:8]).merge(summarize_edge(values[8:]))
    whole = summarize_edge(values)
    assert (merged.minimum, merged.maximum, merged.least) == (whole.minimum, whole.maximum, whole.least)
    assert [value for _, value in merged.nearest] == [value for _, value in whole.nearest]


def net(*first, out=4):
    torch.manual_seed(0)
    return nn.Sequential(*first, nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, out))


X = torch.randn(64, 8, generator=torch.Generator().manual_seed(5))
Y = torch.arange(64) % 4
T = torch.randn(64, 1, generator=torch.Generator().manual_seed(6))


def codes(network, batch, loss="cross_entropy"):
    """Codes of data, with their severity."""
    report = jr.check(network, batch, loss=loss)
    return [f"{each.code} {each.severity.label}" for each in report.findings if each.code.startswith("JR8")]


COLUMN = torch.tensor([1.0, 1, 1, 1, 1, 1, 1, 1e4])

SCALES = {
    "unit": (net(), X, []),
    "gray levels": (net(), 100 * X, ["JR801 note"]),
    "thousands": (net(), 3000 * X, ["JR801 warning"]),
    "thousands, normalized first": (net(nn.BatchNorm1d(8)), 3000 * X, []),
    "thousandths": (net(), 3e-3 * X, ["JR801 warning"]),
    "hundred-thousandths": (net(), 1e-5 * X, ["JR801 error"]),
    "offset": (net(), X + 30, ["JR801 warning"]),
    "far offset": (net(), X + 300, ["JR801 error"]),
    "one column": (net(), COLUMN * X, ["JR801 warning"]),
    "one column, normalized first": (net(nn.BatchNorm1d(8)), COLUMN * X, []),
    "a constant column": (net(), torch.tensor([1.0, 1, 1, 1, 1, 1, 1, 0]) * X, []),
    "one example": (net(), X[:1].expand(64, 8), ["JR802 error"]),
}


@pytest.mark.parametrize("name", SCALES)
def test_inputs_are_judged_where_the_first_weights_read_them(name):
    network, inputs, told = SCALES[name]
    assert codes(network, (inputs, Y)) == told


def test_a_division_in_the_forward_counts():
    class Divided(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net()

        def forward(self, x):
            return self.body(x / 3000)

    assert codes(Divided(), (3000 * X, Y)) == []


@pytest.mark.parametrize(
    ("target", "told"),
    [(T, []), (100 * T, []), (1e4 * T, ["JR801 warning"]), (1e-4 * T, ["JR801 warning"]), (T + 100, ["JR801 warning"]),
     (0 * T, ["JR802 note"]), (0 * T + 2.5, ["JR802 warning"])],
)  # fmt: skip
def test_targets_of_a_squared_error_are_judged_beside_the_output(target, told):
    assert codes(net(out=1), (X, target), "mse") == told


def test_an_output_that_starts_at_the_targets_mean_makes_an_offset_healthy():
    network = net(out=1)
    nn.init.constant_(network[-1].bias, 100.0)
    assert codes(network, (X, T + 100), "mse") == []


@pytest.mark.parametrize(
    ("labels", "told"),
    [(Y, []), (Y + 1, ["JR803 error"]), (Y - 1, ["JR803 error"]), (torch.where(Y == 0, -100, Y), []),
     (0 * Y - 100, ["JR803 error"]), (F.one_hot(Y, 4), ["JR803 error"]), (0 * Y, ["JR802 warning"])],
)  # fmt: skip
@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss()])
def test_labels_exist_or_are_told(labels, told, loss):
    assert codes(net(), (X, labels), loss) == told


@pytest.mark.parametrize(
    ("target", "told"), [(T.sigmoid(), []), (2 * T.sign(), ["JR803 error"]), (T.sign(), ["JR803 error"])]
)
@pytest.mark.parametrize("loss", ["bce_with_logits", "bce"])
def test_probabilities_lie_between_zero_and_one(target, told, loss):
    network = net(out=1) if loss == "bce_with_logits" else net(out=1).append(nn.Sigmoid())
    assert codes(network, (X, target), loss) == told


def test_one_class_in_few_examples_may_be_chance():
    assert codes(net(), (X[:8], 0 * Y[:8])) == []


@pytest.mark.parametrize("spoil", [(torch.nan, None), (None, torch.inf)])
def test_data_that_are_not_finite_are_named_as_the_cause(spoil):
    inputs, target = X.clone(), T.clone()
    for tensor, value in zip((inputs, target), spoil, strict=True):
        if value is not None:
            tensor[3, 0] = value
    first = jr.check(net(out=1), (inputs, target), loss="mse").findings[0]
    assert (first.code, first.sites[0]) == ("JR401", "input[0]" if spoil[0] is not None else "target")

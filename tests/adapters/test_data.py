"""Data that PyTorch refuses: the run goes on with what is in range, and everything is left as it came."""

from __future__ import annotations

import pytest

import justright as jr
from justright.testing.laws import check_finding

torch = pytest.importorskip("torch")
F, nn = torch.nn.functional, torch.nn


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(10, 16), nn.Linear(16, 5)

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1))


def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 5)


def x():
    return torch.randn(32, 6, generator=torch.Generator().manual_seed(1))


LABELS = torch.arange(32) % 7


def refused():
    torch.manual_seed(0)
    return {
        "classes": (linear(), x(), LABELS, "cross_entropy"),
        "classes by a class": (linear(), x(), LABELS, nn.CrossEntropyLoss()),
        "classes of images": (nn.Conv2d(1, 5, 1), torch.randn(2, 1, 4, 4), LABELS.reshape(2, 4, 4), F.cross_entropy),
        "probabilities": (linear(), x(), torch.rand(32, 5), "bce"),
        "targets": (nn.Sequential(linear(), nn.Sigmoid()), x(), 2 * torch.rand(32, 5), F.binary_cross_entropy),
        "tokens": (Tokens(), torch.arange(96).reshape(32, 3) % 13, LABELS % 5, "cross_entropy"),
        "all ignored": (linear(), x(), torch.full((32,), -100), "cross_entropy"),
    }


@pytest.mark.parametrize("name", refused())
def test_what_is_refused_becomes_a_finding_and_nothing_is_changed(name):
    model, inputs, target, loss = refused()[name]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    given = inputs.clone(), target.clone()
    state = torch.get_rng_state()
    report = jr.check(model, (inputs, target), loss=loss)
    assert report.findings[0].code in {"JR803", "JR702"}
    for finding in report.findings:
        check_finding(finding, report.graph)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(inputs, given[0])
    assert torch.equal(target, given[1])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_labels_that_do_not_exist_are_left_out_forward_and_backward():
    model = linear()
    report = jr.check(model, (x(), LABELS), loss="cross_entropy")
    good = LABELS < 5
    loss = F.cross_entropy(model(x()[good]), LABELS[good])
    loss.backward()
    assert report.profile.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    measured = report.profile.parameter["weight"].gradient.rms
    assert measured == pytest.approx(float(model.weight.grad.square().mean().sqrt()), rel=1e-5)


def test_the_first_forward_without_data_takes_refused_labels_too():
    wide = nn.Sequential(nn.Linear(1024, 1100), nn.ReLU(), nn.Linear(1100, 5))  # too large to be recorded
    report = jr.check(wide, (torch.randn(32, 1024), LABELS), loss="cross_entropy")
    assert report.findings[0].code == "JR803"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_records_are_those_of_every_dtype(dtype):
    inputs = x().to(dtype)
    report = jr.check(linear().to(dtype), (inputs, LABELS % 5), loss="cross_entropy")
    record = report.profile.data[0]
    assert record.dtype == str(dtype).removeprefix("torch.")
    assert record.mean == pytest.approx(float(inputs.double().mean()), rel=1e-9)
    assert record.maximum == float(inputs.max())


def test_batches_merge():
    inputs, labels = x(), LABELS % 5
    parts = [(inputs[:8], labels[:8]), (inputs[8:], labels[8:])]
    merged = jr.check(linear(), batches=parts, loss="cross_entropy").profile.data
    whole = jr.check(linear(), (inputs, labels), loss="cross_entropy").profile.data
    assert [(each.name, each.rows, each.values) for each in merged] == [
        (each.name, each.rows, each.values) for each in whole
    ]
    assert merged[0].std == pytest.approx(whole[0].std, rel=1e-12)


def test_records_are_plain_data():
    report = jr.check(linear(), (x(), LABELS % 5), loss="cross_entropy")
    first, second = report.profile.to_dict()["data"]
    assert (first["name"], first["entropy"], second["name"]) == ("input[0]", "nan", "target")
    assert second["values"] == [[value, int((LABELS % 5).eq(value).sum())] for value in range(5)]

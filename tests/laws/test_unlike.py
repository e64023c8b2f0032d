"""Where a network is not what was predicted: the weights or the data are named, and nobody else."""

from __future__ import annotations

import pytest

import justright as jr
from justright.adapters.base import load_adapter

torch = pytest.importorskip("torch")
nn = torch.nn

WEIGHTS = "the weights are not what this architecture's initializer says"
DATA = "the data are far from the assumed"


def plain():
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def normed():
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(100, 32, padding_idx=0), nn.Linear(32, 10)

    def forward(self, tokens):
        return self.last(self.table(tokens).mean(1))


def told(make, inputs, change=None):
    """What is told of a network that somebody may have changed after its initializers ran."""
    torch.manual_seed(0)
    with load_adapter("torch").recording_initializers() as recorded:
        model = make()
        initializers = recorded(model)
    if change is not None:
        with torch.no_grad():
            change(model)
    labels = torch.arange(len(inputs)) % 10
    report = jr.check(model, (inputs, labels), initializers=initializers)
    return [each for finding in report.findings for each in (finding, *finding.symptoms) if each.code == "JR105"]


def normal(scale=1.0):
    return scale * torch.randn(32, 64, generator=torch.Generator().manual_seed(1))


def tokens(padding):
    drawn = torch.randint(1, 100, (32, 40), generator=torch.Generator().manual_seed(2))
    return torch.where(torch.arange(40) < padding, 0, drawn)


def add_up(model):
    """The same magnitudes, all of one sign: nothing averages out behind a ReLU."""
    model[2].weight.abs_()


CAUSES = {
    "a weight made larger": (plain, normal(), lambda model: model[2].weight.mul_(5.0), WEIGHTS, "2.weight", "note"),
    "by an order": (plain, normal(), lambda model: model[2].weight.mul_(50.0), WEIGHTS, "2.weight", "warning"),
    "weights of one sign": (plain, normal(), add_up, WEIGHTS, "2/linear", "note"),
    "pixels of 0 to 255": (plain, normal(100.0), None, DATA, "input[0]", "note"),
    "faint data": (plain, normal(0.05), None, DATA, "input[0]", "note"),
    "mostly padding": (Tokens, tokens(38), None, DATA, "table/embedding", "note"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_named_at_its_place(name):
    make, inputs, change, cause, site, severity = CAUSES[name]
    (finding,) = told(make, inputs, change)
    assert finding.because.startswith(cause)
    assert finding.sites[0] == site
    assert finding.severity.label == severity


def test_what_holds_the_changed_weights_and_the_data_is_told_apart():
    weights, data = told(plain, normal(100.0), lambda model: model[2].weight.mul_(5.0))
    assert weights.because.startswith(WEIGHTS)
    assert data.because.startswith(DATA)
    assert (weights.sites[0], data.sites[0]) == ("2.weight", "input[0]")


HEALTHY = {
    "standard normal": (plain, normal()),
    "images in [0, 1]": (plain, normal().abs().clamp_max(1.0)),
    "moderately large": (plain, normal(5.0)),
    "a one-hot code": (plain, torch.eye(64)[torch.arange(32)]),
    "large, but normalized at once": (normed, normal(100.0)),
    "some padding": (Tokens, tokens(15)),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_differs_little_is_passed_over(name):
    assert told(*HEALTHY[name]) == []


def test_a_predicted_loss_is_judged_as_a_measured_one_is():
    """The head's scores have a standard deviation of 80: 80 sqrt(2 / pi) nats or so above chance, in both."""

    def build():
        model = plain()
        nn.init.normal_(model[4].weight, std=20.0)
        return model

    batch = normal(), torch.arange(32) % 10
    torch.manual_seed(0)
    measured, predicted = jr.check(build(), batch), jr.predict(build, batch)
    codes = [{each.code: each.severity for each in report.findings} for report in (measured, predicted)]
    assert codes[0]["JR701"] == codes[1]["JR701"]
    assert "JR701" not in {each.code for each in jr.predict(plain, batch).findings}


def test_a_prediction_judges_the_batch_that_it_is_given():
    labels = torch.arange(32) % 10
    found = {
        "JR801": (normal(3000.0), labels),
        "JR802": (normal()[:1].expand(32, 64), labels),
        "JR803": (normal(), labels + 1),
    }
    for code, batch in found.items():
        assert code in {each.code for each in jr.predict(plain, batch, loss="cross_entropy").findings}
    assert jr.predict(plain, (normal(), labels)).findings == ()


class Formula(nn.Module):
    """Two layers with a function between them."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(64, 64), nn.Linear(64, 10), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def test_a_prediction_names_the_function_that_is_no_number():
    (finding,) = jr.predict(Formula(torch.sqrt), normal()).findings
    assert (finding.code, finding.severity.label, finding.sites) == ("JR401", "error", ("/sqrt",))
    assert jr.predict(Formula(lambda x: torch.sqrt(x.square() + 1.0)), normal()).findings == ()


def test_a_prediction_says_which_way_it_took():
    def gate(x):
        return x if x.sum() > 0 else -x

    gaps = {gap.what: gap for gap in jr.predict(Formula(gate), normal()).coverage.gaps}
    assert "the way that this batch takes" in gaps["control flow"].reason
    assert "control flow" not in {gap.what for gap in jr.predict(plain, normal()).coverage.gaps}

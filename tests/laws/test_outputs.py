"""Output and loss: what an output's range costs, where a loss starts, and what comes near the edge of a domain."""

from __future__ import annotations

import math

import numpy as np
import pytest

import justright as jr

torch = pytest.importorskip("torch")
F, nn = torch.nn.functional, torch.nn


def batch(classes=4, rows=48):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 8, generator=generator), torch.arange(rows) % classes


def model(*last, out=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, out), *last)


def found(code, network, data, loss):
    report = jr.check(network, data, loss=loss)
    return [(each.severity.label, each) for each in report.findings if each.code == code]


def by_index(output, target):
    return -output.log_softmax(1)[torch.arange(len(target)), target].mean()


def by_gather(output, target):
    return -output.log_softmax(1).gather(1, target[:, None]).mean()


def by_product(output, target):
    return -(F.one_hot(target, output.shape[1]) * output.log_softmax(1)).sum(1).mean()


@pytest.mark.parametrize(
    "loss", ["cross_entropy", nn.CrossEntropyLoss(label_smoothing=0.1), by_index, by_gather, by_product]
)
def test_a_loss_is_read_from_its_operators_whoever_wrote_it(loss):
    assert [severity for severity, _ in found("JR702", model(nn.Softmax(-1)), batch(), loss)] == ["warning"]
    assert found("JR702", model(), batch(), loss) == []


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_floor_is_the_least_cross_entropy_of_any_output_in_range(classes):
    ((_, finding),) = found("JR702", model(nn.Sigmoid(), out=classes), batch(classes), "cross_entropy")
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * classes)
    least = F.cross_entropy(corners, torch.zeros(len(corners), dtype=torch.int64), reduction="none").min()
    assert finding.evidence[0].value == pytest.approx(float(least), rel=1e-12)


@pytest.mark.parametrize(("last", "clip"), [(nn.ReLU(), (0, None)), (nn.Sigmoid(), (0, 1)), (nn.Tanh(), (-1, 1))])
def test_the_squared_error_of_a_range_is_that_of_the_clipped_target(last, clip):
    inputs, _ = batch()
    target = 3 * torch.randn(48, 4, generator=torch.Generator().manual_seed(2))
    ((_, finding),) = found("JR702", model(last), (inputs, target), "mse")
    values = target.double().numpy()
    left = np.square(values - values.clip(*clip)).mean() / values.var()
    assert finding.evidence[0].value == pytest.approx(left, rel=1e-9)
    assert found("JR702", model(last), (inputs, target.clamp(*clip)), "mse") == []


def bernoulli(output, target):
    return -(target * torch.log(output) + (1 - target) * torch.log(1 - output)).mean()


SHARES = torch.rand(48, 4, generator=torch.Generator().manual_seed(3))

FITTING = {
    "softmax one": (model(nn.Softmax(-1), out=1), SHARES[:, :1], "bce", "error"),
    "sigmoid one": (model(nn.Sigmoid(), out=1), SHARES[:, :1], "bce", None),
    "linear into nll": (model(), batch()[1], "nll", "error"),
    "log-softmax into nll": (model(nn.LogSoftmax(-1)), batch()[1], "nll", None),
    "softmax into nll": (model(nn.Softmax(-1)), batch()[1], "nll", "warning"),
    "over examples": (model(nn.LogSoftmax(0)), batch()[1], "nll", "warning"),
    "linear into bce": (model(), SHARES, "bce", "error"),
    "sigmoid into bce": (model(nn.Sigmoid()), SHARES, "bce", None),
    "sigmoid by hand": (model(nn.Sigmoid()), SHARES, bernoulli, None),
    "sigmoid twice": (model(nn.Sigmoid()), SHARES, "bce_with_logits", "warning"),
    "relu logits": (model(nn.ReLU()), SHARES, "bce_with_logits", "warning"),
    "bare logits": (model(), SHARES, "bce_with_logits", None),
    "clamped sigmoid": (model(nn.Sigmoid(), nn.Hardtanh(1e-6, 1 - 1e-6)), SHARES, "bce", None),
    "hard tanh into bce": (model(nn.Hardtanh(0.0, 1.0)), SHARES, "bce", "warning"),
    "clamped ReLU into bce": (model(nn.ReLU(), nn.Hardtanh(0.0, 1.0)), SHARES, "bce", "warning"),
    "log-softmax twice": (model(nn.LogSoftmax(-1)), batch()[1], "cross_entropy", "note"),
}


@pytest.mark.parametrize("name", FITTING)
def test_an_output_fits_its_loss_or_is_told(name):
    network, target, loss, severity = FITTING[name]
    told = [each for each, _ in found("JR702", network, (batch()[0], target), loss)]
    assert told == ([severity] if severity else [])


@pytest.mark.parametrize("low", [-0.5, 0.0])
def test_what_a_hard_edge_cuts_off_has_no_gradient(low):
    network = model(nn.Hardtanh(low, 1.0), nn.ReLU())
    scores = network[0](batch()[0]).detach().requires_grad_()
    F.binary_cross_entropy(network[1:](scores), SHARES).backward()
    ((_, finding),) = found("JR702", network, (batch()[0], SHARES), "bce")
    assert finding.evidence[0].value == float((scores.grad == 0).double().mean())


HARD = {
    "ReLU6 of six": lambda scores: F.relu6(scores) / 6,
    "smallest with a tensor": lambda scores: torch.minimum(F.relu(scores), torch.ones(4)),
    "between two tensors": lambda scores: torch.maximum(torch.minimum(scores, torch.tensor(1.0)), torch.tensor(0.0)),
    "hard tanh, moved": lambda scores: F.hardtanh(2 * scores - 1) / 2 + 0.5,
    "one minus": lambda scores: 1 - scores.clamp(0, 1),
}


class Ending(nn.Module):
    """A linear layer and some function."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.function = nn.Linear(8, 4), function

    def forward(self, x):
        return self.function(3 * self.layer(x))


@pytest.mark.parametrize("name", HARD)
def test_a_hard_edge_is_seen_however_it_is_written(name):
    network = Ending(HARD[name])
    scores = (3 * network.layer(batch()[0])).detach().requires_grad_()
    output = HARD[name](scores)
    output.sum().backward()
    told = found("JR702", network, (batch()[0], SHARES), "bce")
    assert [severity for severity, _ in told] == ["warning"]
    assert told[0][1].evidence[0].value == pytest.approx(float((scores.grad == 0).double().mean()), abs=1e-12)


def test_an_edge_that_nothing_can_reach_cuts_nothing_off():
    for inside in (
        lambda scores: torch.minimum(torch.sigmoid(scores), torch.tensor(1 - 1e-6)),
        lambda scores: (0.5 * torch.tanh(scores) + 0.5).clamp(0, 1),
        lambda scores: F.relu6(0.1 * scores + 3) / 6,
    ):
        assert found("JR702", Ending(inside), (batch()[0], SHARES), "bce") == []


def test_probabilities_that_are_all_cut_off_end_training():
    network = model(nn.ReLU(), nn.Hardtanh(0.0, 1.0))
    with torch.no_grad():
        network[0].bias -= 100
    report = jr.check(network, (batch()[0], SHARES), loss="bce")
    assert [(each.code, each.severity.label) for each in report.findings if each.severity.label == "error"] == [
        ("JR702", "error")
    ]


def test_zeros_of_a_mask_are_not_cut_off():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = model(nn.Sigmoid())

        def forward(self, x, mask):
            return (self.body(x) * mask).clamp(1e-7, 1 - 1e-7)

    mask = (torch.arange(4) < 2).float().expand(48, 4)
    assert found("JR702", Masked(), (batch()[0], mask, SHARES), "bce") == []


def test_a_log_softmax_before_another_changes_nothing():
    scores = torch.randn(7, 5, dtype=torch.float64)
    assert torch.allclose(scores.log_softmax(1).log_softmax(1), scores.log_softmax(1), atol=1e-14)


def test_the_start_is_measured_in_chances_and_in_steps_of_its_gradient():
    network, data = model(), batch()
    with torch.no_grad():
        network[0].bias[0] = 1e5
    ((severity, finding),) = found("JR701", network, data, "cross_entropy")
    loss = F.cross_entropy(network(data[0]), data[1])
    loss.backward()
    size = sum(float(each.grad.abs().sum()) for each in network.parameters())
    evidence = {each.name: each.value for each in finding.evidence}
    assert severity == "warning"
    assert evidence["loss over chance"] == pytest.approx(float(loss.detach()) / math.log(4), rel=1e-6)
    steps = (float(loss.detach()) - math.log(4)) / (0.01 * size)
    # An octave's mean is taken for each of its elements: a factor between ln 2 and 2 ln 2 either way.
    assert math.log(2) < evidence["steps to chance under Adam at 0.01"] / steps < 2 * math.log(2)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sum_over_examples_is_not_taken_for_a_bad_start(reduction):
    assert found("JR701", model(), batch(), nn.CrossEntropyLoss(reduction=reduction)) == []


class Quotient(nn.Module):
    def __init__(self, below):
        super().__init__()
        self.layer, self.head, self.below = nn.Linear(8, 16), nn.Linear(16, 4), below

    def forward(self, x):
        hidden = self.layer(x)
        return self.head(1 / self.below(hidden))


def test_a_divisor_that_passes_zero_is_told_with_the_examples_that_are_nearest():
    torch.manual_seed(0)
    network, data = Quotient(lambda x: 1 * x), batch()
    ((severity, finding),) = found("JR703", network, data, "cross_entropy")
    nearest = network.layer(data[0]).abs().min(1).values.argsort()[:4].tolist()
    assert severity == "warning"
    assert [f"in example {row}" in finding.got for row in nearest] == [True] * 4


@pytest.mark.parametrize(
    "below", [lambda x: F.softplus(x) + 0.1, lambda x: x.abs() + 1e-3, lambda x: x.clamp_min(0.1), lambda x: x.exp()]
)
def test_a_divisor_of_one_sign_is_healthy(below):
    torch.manual_seed(0)
    assert found("JR703", Quotient(below), batch(), "cross_entropy") == []


@pytest.mark.parametrize(("shift", "told"), [(40.0, 0), (60.0, 1), (85.0, 1)])
def test_an_exponential_needs_room_for_its_square(shift, told):
    inputs, _ = batch()
    network = nn.Sequential(nn.Linear(8, 4), Exponential(shift))
    nn.init.zeros_(network[0].weight)
    assert len(found("JR703", network, (inputs, SHARES), lambda y, t: (1e-30 * y * t).mean())) == told


class Exponential(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return torch.exp(x + self.shift)

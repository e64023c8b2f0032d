"""Prescriptions: sizes that are solved for, applied and measured again; undone; written and read; bad input."""

from __future__ import annotations

import copy
import math
import statistics

import pytest
import torch
from torch import nn

import justright as jr
from justright.errors import InputError, JustRightError
from justright.prescribing.plan import Plan, PlanError


def mlp(activation=nn.Tanh, depth=30, width=64):
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def cnn(depth=8, width=32):
    torch.manual_seed(0)
    hidden = [layer for _ in range(depth) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), *hidden, nn.Flatten(), nn.Linear(36 * width, 10))


class Block(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))


def residual(norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 64), *(Block(64, norm) for _ in range(12)), nn.Linear(64, 10))


class Language(nn.Module):
    """A table that is the output layer too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(100, 64)
        self.block, self.norm = Block(64, norm=True), nn.LayerNorm(64)
        self.head = nn.Linear(64, 100, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(self.norm(self.block(self.table(x)))).mean(1)


def data(batch=64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 64, generator=generator), torch.randint(10, (batch,), generator=generator)


def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(32, 1, 8, 8, generator=generator), torch.randint(10, (32,), generator=generator)


def outputs(model, x, kinds=(nn.Linear, nn.Conv2d)):
    """Return the RMS of what every layer makes, by hooks of the test's own."""
    found, handles = {}, []
    for name, module in model.named_modules():
        if isinstance(module, kinds):
            handles.append(module.register_forward_hook(
                lambda *_, n=name: found.setdefault(n, float(_[2].detach().square().mean().sqrt())) and None
            ))  # fmt: skip
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


def averaged(model, plan, x, seeds=12):
    """Return the mean square of every layer's output over seeds, as an RMS."""
    runs = []
    for seed in range(seeds):
        plan.apply(model, seed=seed)
        runs.append(outputs(model, x))
    return {name: math.sqrt(sum(run[name] ** 2 for run in runs) / seeds) for name in runs[0]}


@pytest.mark.parametrize(
    ("make", "batch"), [(lambda: mlp(nn.ReLU, 12), data()), (lambda: mlp(nn.SiLU, 8), data()), (cnn, images())]
)
def test_every_layer_has_the_same_output_and_the_last_one_a_small_one(make, batch):
    """Their logarithms differ by what a network of this width varies by, averaged over seeds."""
    model = make()
    plan = jr.prescribe(model, batch)
    found = list(averaged(model, plan, batch[0]).values())
    assert all(0.7 < each / found[0] < 1.4 for each in found[:-1])
    assert 0.06 < found[-1] < 0.15
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    assert float(loss) == pytest.approx(math.log(10), abs=0.05)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU, nn.Softsign, nn.ELU, nn.Hardtanh])
def test_gradients_are_even_over_fifty_layers(activation):
    model, (x, y) = mlp(activation, 50), data()
    plan = jr.prescribe(model, (x, y))
    ratios = []
    for seed in range(9):
        plan.apply(model, seed=seed)
        first = model[0](x).detach().requires_grad_()
        last = model[1:99](first)
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model[99:](last), y), [first, last])
        ratios.append(math.log(float(gradients[0].norm() / gradients[1].norm())))
    assert abs(statistics.median(ratios)) < math.log(
        4.0
    )  # in a layer of 64, a single draw of fifty is far off at times


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("growth", [1.5, 4.0])
def test_a_stream_grows_as_asked(norm, growth):
    model, batch = residual(norm), data(256)
    plan = jr.prescribe(model, batch, growth=growth)
    ends = []
    for seed in range(8):
        plan.apply(model, seed=seed)
        with torch.no_grad():
            first = model[0](batch[0])
            ends.append(float(model[1:-1](first).square().mean() / first.square().mean()))
    grown = (1.0 + (growth - 1.0) / 12) ** 12  # each branch adds a share of what the stream is by then
    assert sum(ends) / 8 == pytest.approx(grown, rel=0.15)


def test_a_tied_table_leaves_the_loss_at_chance():
    model, x = Language(), torch.randint(100, (16, 12))
    y = torch.randint(100, (16,))
    before = float(nn.functional.cross_entropy(model(x), y))
    plan = jr.prescribe(model, (x, y))
    plan.apply(model)
    after = float(nn.functional.cross_entropy(model(x), y))
    assert before > 5.5
    assert after == pytest.approx(math.log(100), abs=0.05)


def test_what_was_sick_learns():
    """Fifty layers as PyTorch makes them stay at chance; the same after the prescription do not."""

    def trained(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        x, y = data()
        for _ in range(120):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    sick, cured = mlp(nn.Tanh, 50), mlp(nn.Tanh, 50)
    plan = jr.prescribe(cured, data())
    assert plan.before.verdict == "error"
    plan.apply(cured)
    compared = plan.verify(cured, data())
    assert compared.sentence.startswith("error before, healthy after")
    assert trained(sick) > 2.2
    assert trained(cured) < 0.5


def test_undo_restores_every_bit():
    model = mlp(nn.ReLU, 3)
    model[0].weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    applied = jr.prescribe(model, data()).apply(model, seed=3)
    assert applied.left == {"0.weight": "frozen"}
    assert not torch.equal(model[2].weight, before["2.weight"])
    assert torch.equal(model[0].weight, before["0.weight"])
    applied.undo()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "scheme", ["auto", "xavier_normal", {"2.*": "orthogonal", "*": "he_uniform"}, "gpt2", "critical"]
)
def test_a_plan_that_was_written_gives_the_same_bits(scheme, tmp_path):
    plan = jr.prescribe(residual(norm=True), data(), scheme, exclude=["13.bias"])
    plan.to_yaml(tmp_path / "plan.yaml")
    one, other = residual(norm=True), residual(norm=True)
    plan.apply(one, seed=5)
    Plan.from_yaml(tmp_path / "plan.yaml").apply(other, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert Plan.from_yaml(plan.to_yaml()).prescription.to_dict() == plan.prescription.to_dict()
    if scheme != "auto":
        third = residual(norm=True)
        jr.initialize(third, scheme, seed=5, exclude=["13.bias"], batch=data())
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), third.parameters(), strict=True))


def test_a_part_of_another_cell_is_prescribed_by_its_kind():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTM(64, 32, batch_first=True), nn.Linear(32, 10)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    plan = jr.prescribe(Recurrent(), (torch.randn(8, 20, 64), torch.randint(10, (8,))))
    written = {line.name: line.scheme for line in plan.prescription.lines}
    assert written["cell.weight_hh_l0"] == "recurrent_orthogonal"
    assert written["cell.bias_hh_l0"] == "forget_gate"


def changed(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


def small():
    return mlp(nn.ReLU, 2)


def used(model):
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            module.weight.data[0] = 5.0
    return model


PLAN = jr.prescribe(small(), data())
WRITTEN = PLAN.to_yaml()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: PLAN.apply(mlp(nn.ReLU, 3)), "not in the plan"),
        (lambda: PLAN.apply(mlp(nn.ReLU, 1)), "not in the model"),
        (lambda: PLAN.apply(mlp(nn.ReLU, 2, width=32)), "another shape"),
        (lambda: PLAN.apply(used(small())), "force=True"),
        (lambda: PLAN.apply(mlp(nn.ReLU, 2).to("meta")), "without values"),
        (lambda: PLAN.apply(small().requires_grad_(False)), "requires_grad"),
        (lambda: Plan.from_yaml("a: 1\nb: 2"), "parameters"),
        (lambda: Plan.from_yaml("a: [1\nb: 2"), "YAML"),
        (lambda: Plan.from_yaml("none.yaml"), "no such file"),
        (lambda: Plan.from_yaml(changed(WRITTEN, "version: 1", "version: 7")), "version"),
        (lambda: Plan.from_yaml(changed(WRITTEN, "normal(std", "norml(std")), "normal"),
        (lambda: Plan.from_yaml(changed(WRITTEN, "normal(std=", "normal(std=nan, mean=")), "std"),
        (lambda: Plan.from_yaml(changed(WRITTEN, "because", "becuase")), "becuase"),
        (lambda: jr.prescribe(small(), data(), "fixup"), "residual"),
        (lambda: jr.prescribe(small(), data(), "autp"), "catalogue"),
        (lambda: jr.prescribe(small(), data(), "mup"), "base"),
        (lambda: jr.prescribe(small(), data(), growth=1.0), "above one"),
        (lambda: jr.prescribe(small(), data(), exclude=["none*"]), "matches no parameter"),
        (lambda: Plan.from_yaml(WRITTEN).verify(small(), data()), "compare"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(call, says):
    with pytest.raises(JustRightError, match=says):
        call()


def test_parametrized_weights_are_refused_and_nothing_is_written():
    model = small()
    nn.utils.parametrizations.weight_norm(model[2])
    before = copy.deepcopy(model.state_dict())
    name = "2.parametrizations.weight.original1"
    left = jr.prescribe(model, data()).apply(model, force=True)
    assert {key for key in left.left if "2." in key} == {name, name.replace("1", "0")}
    left.undo()
    plan = jr.prescribe(model, data(), {name: "normal(std=0.1)", "*": "he_normal"})
    with pytest.raises(PlanError, match=r"2\.weight"):
        plan.apply(model, force=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_failure_half_way_leaves_nothing_behind(monkeypatch):
    model = small()
    before = copy.deepcopy(model.state_dict())
    adapter = type(__import__("justright.adapters.base", fromlist=["x"]).adapter_of(model))
    real, count = adapter.fill, []

    def failing(self, parameter, values):
        count.append(1)
        if len(count) == 3:
            raise RuntimeError("no memory")
        real(self, parameter, values)

    monkeypatch.setattr(adapter, "fill", failing)
    with pytest.raises(RuntimeError):
        PLAN.apply(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_input_error_is_a_justright_error():
    assert issubclass(InputError, JustRightError)

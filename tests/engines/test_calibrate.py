"""Initialization by batches: what each scheme is for, measured on the network afterwards; interruptions; bad input."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import justright as jr
from justright.errors import ForwardError, InputError, JustRightError


def mlp(activation=nn.Tanh, depth=5):
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (nn.Linear(32, 32), activation())]
    return nn.Sequential(*layers, nn.Linear(32, 4))


def cnn():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.ReLU(),
        nn.ConvTranspose2d(8, 12, 2, stride=2, groups=2), nn.ReLU(), nn.Conv2d(12, 6, 1), nn.Flatten(),
        nn.Linear(864, 5),
    )  # fmt: skip


def data(count=4, inputs=32, classes=4):
    generator = torch.Generator().manual_seed(3)
    return [
        (3.0 * torch.randn(128, inputs, generator=generator), torch.randint(classes, (128,), generator=generator))
        for _ in range(count)
    ]


def images():
    return [torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))]


def outputs(model, x):
    """Return what every layer with a weight makes, by hooks of the test's own."""
    found, handles = {}, []
    for name, module in model.named_modules():
        if hasattr(module, "weight"):
            handles.append(module.register_forward_hook(lambda *_, n=name: found.setdefault(n, _[2].detach())))
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(("model", "batches"), [(mlp(), data()), (mlp(nn.ReLU, 12), data()), (cnn(), images())])
def test_lsuv_gives_every_layer_unit_variance(model, batches):
    result = jr.calibrate(model, batches, "lsuv(tolerance=0.001)")
    x = batches[0][0] if isinstance(batches[0], tuple) else batches[0]
    found = outputs(model, x)
    assert len(result.rows) == len(found)
    for output in found.values():
        assert float(output.var()) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(("model", "batches"), [(mlp(), data()), (cnn(), images())])
def test_krahenbuhl_gives_every_channel_mean_zero_and_unit_variance(model, batches):
    jr.calibrate(model, batches, "krahenbuhl(rounds=0)")
    x = batches[0][0] if isinstance(batches[0], tuple) else batches[0]
    for output in outputs(model, x).values():
        channels = output.double().transpose(0, 1).flatten(1)
        assert channels.mean(1).abs().max() < 1e-4
        assert (channels.std(1) - 1).abs().max() < 1e-3


def rates(model, x):
    """Return the norm of the gradient over the norm of the weight, averaged over gradients of the test's own."""
    layers = [module for module in model.modules() if hasattr(module, "weight")]
    found = torch.zeros(len(layers), dtype=torch.float64)
    for _ in range(8):
        output = model(x)
        gradients = torch.autograd.grad(output, [each.weight for each in layers], torch.randn_like(output))
        pairs = zip(gradients, layers, strict=True)
        found += torch.stack([(g.norm() / each.weight.norm()).detach().double() for g, each in pairs])
    return found / 8


@pytest.mark.parametrize(("make", "batches"), [(lambda: mlp(nn.ReLU, 8), data()), (cnn, images())])
def test_krahenbuhl_makes_rates_of_change_equal_and_leaves_what_rectifiers_compute(make, batches):
    x = batches[0][0] if isinstance(batches[0], tuple) else batches[0]
    before, after = make(), make()
    jr.calibrate(before, batches, "krahenbuhl(rounds=0)")
    result = jr.calibrate(after, batches, "krahenbuhl")
    first, last = rates(before, x), rates(after, x)
    assert first.max() / first.min() > 1.5
    assert last.max() / last.min() < 1.35  # one random gradient there, eight others here
    assert float(last.log().mean()) == pytest.approx(float(first.log().mean()), abs=0.1)
    assert torch.allclose(before(x), after(x), atol=1e-3)
    assert len(result.rows) == len(first)


def test_krahenbuhl_takes_back_a_step_that_changes_the_output():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(6))

        def forward(self, x):
            for layer in self.layers:
                x = x + torch.exp(layer(x))
            return self.layers[-1](x)

    left, tried = Residual(), Residual()
    jr.calibrate(left, data(), "krahenbuhl(rounds=0)")
    jr.calibrate(tried, data(), "krahenbuhl(damping=1.0)")
    for one, other in zip(left.parameters(), tried.parameters(), strict=True):
        assert torch.equal(one, other)


class Adapted(nn.Module):
    """A linear layer with a low-rank pair beside it, as adapters have them."""

    def __init__(self, inputs=24, outputs=40, rank=4, scaling=2.0):
        super().__init__()
        self.base_layer = nn.Linear(inputs, outputs)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(inputs, rank, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(rank, outputs, bias=False)})
        self.scaling = {"default": scaling}

    def forward(self, x):
        scaling = self.scaling["default"]
        return self.base_layer(x) + scaling * self.lora_B["default"](self.lora_A["default"](x))


def test_pissa_moves_the_largest_singular_values_into_the_pair():
    torch.manual_seed(0)
    model = nn.Sequential(Adapted(), nn.ReLU(), Adapted(40, 12, rank=3, scaling=0.5))
    for each in (model[0], model[2]):
        nn.init.zeros_(each.lora_B["default"].weight)
    x, before = torch.randn(16, 24), copy.deepcopy(model)
    result = jr.calibrate(model, [], "pissa")
    assert torch.allclose(model(x), before(x), atol=1e-5)
    for index, scaling in ((0, 2.0), (2, 0.5)):
        values = torch.linalg.svdvals(before[index].base_layer.weight.detach().double())
        pair = model[index].lora_A["default"].weight, model[index].lora_B["default"].weight
        rank = len(pair[0])
        left = torch.linalg.svdvals(model[index].base_layer.weight.detach().double())
        assert torch.allclose(left[:-rank], values[rank:], atol=1e-5)
        assert left[-rank:].max() < 1e-5
        product = torch.linalg.svdvals((pair[1] @ pair[0]).detach().double())[:rank]
        assert torch.allclose(scaling * product, values[:rank], atol=1e-5)
        assert torch.allclose(pair[0].norm(), pair[1].norm() * scaling, rtol=1e-5)
    assert [row[0] for row in result.rows] == ["0.base_layer.weight", "2.base_layer.weight"]


class PostNorm(nn.Module):
    """Residual blocks whose stream has factors, as ``norm(omega x + f(x))``."""

    def __init__(self, depth=8, width=64):
        super().__init__()
        torch.manual_seed(0)
        self.branches = nn.ModuleList(nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
                                      for _ in range(depth))  # fmt: skip
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.omega = nn.ParameterList(nn.Parameter(torch.rand(width)) for _ in range(depth))

    def forward(self, x):
        for branch, norm, omega in zip(self.branches, self.norms, self.omega, strict=True):
            x = norm(x * omega + branch(x))
        return x


def test_admin_gives_every_branch_the_share_that_it_has_before_a_norm():
    model, x = PostNorm(), torch.randn(256, 64)
    result = jr.calibrate(model, [x], "admin")
    profiled, stream, total = copy.deepcopy(model), x, float(x.double().var())
    with torch.no_grad():
        for index, (branch, norm) in enumerate(zip(profiled.branches, profiled.norms, strict=True)):
            assert torch.allclose(model.omega[index], torch.tensor(total**0.5), rtol=1e-5)
            added = branch(stream)
            total += float(added.double().var())
            stream = norm(stream + added)
    assert [name for name, _, _ in result.rows] == [f"omega.{index}" for index in range(8)]
    assert total > 4.0


def quotient(model, batch):
    """Return the gradient quotient from a Hessian that is written out."""
    x, y = batch[0].to(next(model.parameters()).dtype), batch[1]
    parameters = [each for each in model.parameters() if each.requires_grad]
    sizes = [each.numel() for each in parameters]

    def loss(flat):
        pieces = [part.view_as(each) for part, each in zip(flat.split(sizes), parameters, strict=True)]
        named = dict(zip(dict(model.named_parameters()), pieces, strict=True))
        return nn.functional.cross_entropy(torch.func.functional_call(model, named, (x,)), y)

    flat = torch.cat([each.detach().flatten() for each in parameters])
    g, h = torch.func.grad(loss)(flat), torch.func.hessian(loss)(flat)
    return float(((g - h @ g) / (g + 1e-5 * torch.where(g >= 0, 1.0, -1.0)) - 1).abs().mean())


def curved():
    layers = [layer for _ in range(4) for layer in (nn.Linear(16, 16), nn.Tanh())]
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), *layers, nn.Linear(16, 3))
    jr.initialize(model, "normal(std=0.7)", seed=1)
    return model, [(x[:, :6], y % 3) for x, y in data()]


def test_each_step_of_metainit_goes_downhill_in_every_norm():
    """One norm alone is moved by the step that the scheme took: the quotient, by a written-out Hessian, falls."""
    model, batches = curved()
    result = jr.calibrate(model, batches, "metainit(steps=1, rate=0.00001)")
    for name, before, after in result.rows:
        start, moved = (quotient(curved_with(name, norm / before), batches[0]) for norm in (before, after))
        assert moved < start, name


def curved_with(name, factor):
    """Return the double-precision network with one weight multiplied, since the step is small."""
    model = curved()[0].double()
    model.get_parameter(name).data.mul_(factor)
    return model


def test_metainit_makes_the_gradient_quotient_smaller():
    model, batches = curved()
    before = sum(quotient(model, each) for each in batches)
    result = jr.calibrate(model, batches, "metainit")
    assert sum(quotient(model, each) for each in batches) < 0.5 * before
    assert [name for name, _, _ in result.rows] == [f"{index}.weight" for index in range(0, 12, 2)]
    for name, _, after in result.rows:
        assert float(model.get_parameter(name).detach().norm()) == pytest.approx(after)


def stepped(model, batches, rate):
    """Return the loss on the second batch after one step of SGD on the first."""
    model = copy.deepcopy(model)
    nn.functional.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
    with torch.no_grad():
        for each in model.parameters():
            each.sub_(rate * each.grad)
        return float(nn.functional.cross_entropy(model(batches[1][0]), batches[1][1]))


def test_gradinit_makes_the_loss_after_one_step_smaller():
    model, batches = mlp(), data()
    jr.initialize(model, "normal(std=0.6)")
    before = stepped(model, batches, 0.1)
    start = {name: each.detach().clone() for name, each in model.named_parameters()}
    result = jr.calibrate(model, batches, "gradinit(steps=60, learning_rate=0.03)")
    assert stepped(model, batches, 0.1) < 0.7 * before
    for name, _, factor in result.rows:
        assert torch.allclose(model.get_parameter(name), start[name] * factor)
        assert factor >= 0.01


@pytest.mark.parametrize("written", ["lsuv", "krahenbuhl", "metainit(steps=6)", "gradinit(steps=6)"])
def test_an_interrupted_run_goes_on_to_the_same_bits(written, tmp_path):
    whole = mlp(depth=3)
    jr.calibrate(whole, data(), written)
    interrupted, state = mlp(depth=3), tmp_path / "state.pt"

    def stop(_name, done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jr.calibrate(interrupted, data(), written, state=state, progress=stop)
    fresh = mlp(depth=3)
    for each in fresh.parameters():
        nn.init.zeros_(each)
    told = []
    result = jr.calibrate(fresh, data(), written, state=state, progress=lambda *each: told.append(each[1]))
    assert told[0] == 4
    for one, other in zip(whole.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)
    assert str(result) == str(jr.calibrate(mlp(depth=3), data(), written))


def test_modes_and_running_statistics_stay():
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2)).train()
    model[2].eval()
    jr.calibrate(model, [torch.randn(64, 8)], "lsuv")
    assert [module.training for module in model] == [True, True, False, True]
    assert not model[1].running_mean.any()
    assert int(model[1].num_batches_tracked) == 0


def test_a_model_that_cannot_be_scaled_is_left_as_it_was():
    model = mlp()
    jr.initialize(model, {"4.weight": "zeros", "*": "he_normal"})
    before = copy.deepcopy(model.state_dict())
    x = torch.zeros(16, 32)
    with pytest.raises(ForwardError, match="standard deviation"):
        jr.calibrate(model, [x], "krahenbuhl")
    after = model.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: jr.calibrate(mlp(), data(), "he_normal"), "jr.initialize"),
        (lambda: jr.calibrate(mlp(), [], "lsuv"), "no batch"),
        (lambda: jr.calibrate(mlp(), data(), "lsuvv"), "lsuv"),
        (lambda: jr.calibrate(mlp(), data(), "gradinit(bound=0)"), "above zero"),
        (lambda: jr.calibrate(nn.ReLU(), [torch.randn(3, 3)], "lsuv"), "."),
        (lambda: jr.initialize(mlp(), "lsuv"), "jr.calibrate"),
        (lambda: jr.initialize(Adapted(), "pissa"), "jr.calibrate"),
        (lambda: jr.calibrate(mlp(), [], "pissa"), "lora_A"),
        (lambda: jr.calibrate(Adapted(3, 3, rank=4), [], "pissa"), "no smaller rank"),
        (lambda: jr.calibrate(mlp(), data(), "admin"), "omega"),
        (lambda: jr.calibrate(mlp(), data(), "admin(factors='0.bias')"), "multiplies no stream"),
        (lambda: jr.calibrate(mlp(), data(), "krahenbuhl(damping=2)"), "up to one"),
        (lambda: jr.calibrate(mlp(nn.ReLU, 0), data(), "metainit(steps=0)"), "one or more"),
    ],
)
def test_bad_input_is_one_clear_error(call, says):
    with pytest.raises(JustRightError, match=says):
        call()


def test_a_state_of_another_call_is_refused(tmp_path):
    state = tmp_path / "state.pt"
    jr.calibrate(mlp(), data(), "lsuv", state=state)
    with pytest.raises(InputError, match="seed 0"):
        jr.calibrate(mlp(), data(), "lsuv", seed=1, state=state)


def test_a_bar_on_standard_error(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any file for a terminal
    jr.calibrate(mlp(), data(), "lsuv", progress=True)
    captured = capsys.readouterr()
    assert "lsuv" in captured.err
    assert not captured.out

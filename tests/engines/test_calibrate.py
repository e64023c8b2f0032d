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
    jr.calibrate(model, batches, "krahenbuhl")
    x = batches[0][0] if isinstance(batches[0], tuple) else batches[0]
    for output in outputs(model, x).values():
        channels = output.double().transpose(0, 1).flatten(1)
        assert channels.mean(1).abs().max() < 1e-4
        assert (channels.std(1) - 1).abs().max() < 1e-3


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

"""Units that are dead or saturated, against a count on what plain hooks see and the slope that autograd gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's usual name for it
from torch import nn

from justright.adapters.torch import ADAPTER
from justright.measure.engine import measure

UNITS = 41

FUNCTIONS = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu with tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu by hand": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))),
    "silu": F.silu,
    "silu by hand": lambda x: x * torch.sigmoid(1.702 * x),
    "hardtanh": F.hardtanh,
    "elu": F.elu,
    "softplus": F.softplus,
    "soft cap": lambda x: 5 * torch.tanh(x / 5),
}

STEP = 1e-3


def flat_and_off(function, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Say of every element whether it lies on a flat tail of a function, and whether the unit is off there.

    A tail is a stretch up to the end of the axis on which the slope, computed by autograd, is at most a twentieth of
    the largest one. A unit is off where the function is zero, or, if only one tail is flat, small beside its input.
    """
    axis = torch.arange(-40, 40, STEP, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(axis).sum(), axis)
    small = (slope.abs() <= 0.05 * slope.abs().max()).double()
    low = axis[int(small.cumprod(0).sum()) - 1] if small[0] else -torch.inf
    high = axis[-int(small.flip(0).cumprod(0).sum())] if small[-1] else torch.inf
    values = values.detach().double()
    flat = (values <= low) | (values >= high)
    one_sided = bool(small[0]) != bool(small[-1])
    bound = 0.05 * slope.abs().max() * values.abs() if one_sided else torch.zeros_like(values)
    return flat, flat & (function(values).abs() <= bound)


def expected(function, values: torch.Tensor, axis: int) -> tuple[int, int, float]:
    """Count dead units, saturated units, and the share of flat elements."""
    flat, off = (each.movedim(axis, 0).flatten(1).double() for each in flat_and_off(function, values))
    dead = off.mean(1) == 1
    return int(dead.sum()), int(((flat.mean(1) >= 0.95) & ~dead).sum()), float(flat.mean())


def assert_units(model, batch, seen, function, axis, name) -> None:
    """Compare the units at the site of a module's output with those counted on what a plain hook sees there."""
    outputs = []
    handle = seen.register_forward_hook(lambda *args: outputs.append(args[2]))
    model(batch)
    handle.remove()
    units = measure(ADAPTER, [ADAPTER.prepare(model, batch)]).profile.by_name[name].units
    dead, saturated, share = expected(function, outputs[0], axis)
    assert (units.axis, units.units) == (axis % outputs[0].dim(), outputs[0].shape[axis])
    assert (units.dead, units.saturated) == (dead, saturated)
    assert units.share == pytest.approx(share, abs=2 / outputs[0].numel())


class Spread(nn.Module):
    """Applies a function to units that lie all along its axis."""

    def __init__(self, function) -> None:
        super().__init__()
        self.lin, self.head, self.function = nn.Linear(8, UNITS), nn.Linear(UNITS, 2), function
        with torch.no_grad():
            self.lin.bias.copy_(torch.linspace(-12, 12, UNITS))

    def forward(self, x):
        return self.head(self.function(self.lin(x)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_of_a_function_are_those_of_its_slope(name, seed):
    torch.manual_seed(seed)
    model = Spread(FUNCTIONS[name])
    assert_units(model, torch.randn(64, 8), model.lin, FUNCTIONS[name], -1, "lin/linear")


def test_spread_has_units_of_every_kind():
    torch.manual_seed(0)
    model = Spread(torch.relu)
    values = model.lin(torch.randn(64, 8))
    for function in FUNCTIONS.values():
        dead, saturated, share = expected(function, values, -1)
        assert dead > 1 or saturated > 1
        assert dead + saturated < 36
        assert 0.1 < share < 0.95


def test_units_of_a_convolution_are_its_channels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(inplace=True), nn.Conv2d(6, 2, 3))
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([-9.0, -9.0, -1.0, 0.0, 1.0, 9.0]))
    batch = torch.randn(3, 2, 8, 8)
    plain = nn.Sequential(model[0])
    values = plain(batch).detach()
    units = measure(ADAPTER, [ADAPTER.prepare(model, batch)]).profile.by_name["0/convolution"].units
    dead, saturated, share = expected(torch.relu, values, 1)
    assert (units.axis, units.units, units.dead, units.saturated) == (1, 6, dead, saturated)
    assert dead >= 2
    assert units.share == pytest.approx(share, abs=2 / values.numel())


class Mlp(nn.Module):
    """Is the MLP of a transformer that flattens its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, UNITS), nn.Linear(UNITS, 8)
        with torch.no_grad():
            self.up.bias.copy_(torch.linspace(-12, 12, UNITS))

    def forward(self, x):
        hidden = self.up(x.view(-1, 8)).view(*x.shape[:2], UNITS)
        return self.down(F.gelu(hidden).transpose(0, 1)).transpose(0, 1)


def test_units_after_a_view_are_on_the_last_axis():
    torch.manual_seed(0)
    model = Mlp()
    batch = torch.randn(4, 5, 8)
    values = model.up(batch)
    profile = measure(ADAPTER, [ADAPTER.prepare(model, batch)]).profile
    (units,) = (site.units for site in profile.sites if site.units)
    dead, saturated, share = expected(F.gelu, values, -1)
    assert (units.axis, units.units, units.dead, units.saturated) == (2, UNITS, dead, saturated)
    assert units.share == pytest.approx(share)


class Moved(nn.Module):
    """Moves the axis of its units before it applies a function to them."""

    def __init__(self, move) -> None:
        super().__init__()
        self.lin, self.move = nn.Linear(8, UNITS), move
        with torch.no_grad():
            self.lin.bias.copy_(torch.linspace(-12, 12, UNITS))

    def forward(self, x):
        return self.move(self.lin(x)).relu()


MOVES = {
    "transpose": (1, lambda x: x.transpose(1, 2)),
    "permute": (0, lambda x: x.permute(2, 0, 1)),
    "mT": (1, lambda x: x.mT.contiguous()),
    "there and back": (2, lambda x: x.transpose(0, 2).transpose(0, 2)),
}


@pytest.mark.parametrize(("axis", "move"), MOVES.values(), ids=MOVES.keys())
def test_units_are_followed_when_axes_move(axis, move):
    torch.manual_seed(0)
    model, batch = Moved(move), torch.randn(4, 5, 8)
    profile = measure(ADAPTER, [ADAPTER.prepare(model, batch)]).profile
    (units,) = (site.units for site in profile.sites if site.units)
    dead, saturated, share = expected(torch.relu, move(model.lin(batch)), axis)
    assert (units.axis, units.units, units.dead, units.saturated) == (axis, UNITS, dead, saturated)
    assert units.share == pytest.approx(share, abs=2 / (20 * UNITS))


def test_units_of_lstm_gates():
    torch.manual_seed(0)
    size = 10
    model = nn.LSTM(3, size, batch_first=True)
    with torch.no_grad():
        for bias in (model.bias_ih_l0, model.bias_hh_l0):
            bias.copy_(torch.linspace(-6, 6, 4 * size)[torch.randperm(4 * size)])
    batch = torch.randn(32, 1, 3)
    gates = (batch[:, 0] @ model.weight_ih_l0.T + model.bias_ih_l0 + model.bias_hh_l0).chunk(4, dim=-1)
    cell = gates[0].sigmoid() * gates[2].tanh()
    wanted = [expected(torch.sigmoid, gates[each], -1) for each in (0, 1, 3)]
    wanted += [expected(torch.tanh, each, -1) for each in (gates[2], cell)]
    profile = measure(ADAPTER, [ADAPTER.prepare(model, batch)]).profile
    found = [(site.units.dead, site.units.saturated, site.units.share) for site in profile.sites if site.units]
    assert len(found) == 5
    for mine, theirs in zip(sorted(found), sorted(wanted), strict=True):
        assert mine == pytest.approx(theirs)
    assert sum(saturated for _, saturated, _ in wanted) > 5

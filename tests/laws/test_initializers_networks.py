"""Laws of the schemes that need to know the network: the edge of chaos, parametrizations by width, branch gains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import justright as jr
from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream
from justright.errors import JustRightError
from justright.initializers.base import Place, SchemeError, Target
from justright.initializers.parsing import scheme

DENSE = WeightLayout.dense((300, 300))


def drawn(written, layout, name="weight", **place):
    return scheme(written).sample(Target(name, layout, place=Place(**place)), Stream.of(0, name))


@pytest.mark.parametrize("activation", ["tanh", "erf", "selu"])
def test_gradients_keep_their_size_over_a_hundred_critical_layers(activation, rng):
    functions = {"tanh": torch.tanh, "erf": torch.erf, "selu": nn.functional.selu}
    x = torch.tensor(rng.standard_normal((16, 300)), dtype=torch.float64)
    signals = []
    for layer in range(100):
        weight = drawn("critical(sigma_b=0.05)", DENSE, f"{layer}", activation=activation).astype(np.float64)
        bias = drawn("critical(sigma_b=0.05)", WeightLayout((300,), (0,), kind=Kind.SHIFT), f"{layer}.b")
        z = (x @ torch.tensor(weight).T + torch.tensor(bias.astype(np.float64))).requires_grad_()
        z.retain_grad()
        signals.append(z)
        x = functions[activation](z)
    x.backward(torch.tensor(rng.standard_normal(x.shape)))
    sizes = np.array([float(each.grad.square().mean()) for each in signals])
    assert 0.1 < sizes[50] / sizes[95] < 10  # He's variance would give 10 to the power of five or more
    assert 0.1 < sizes[10] / sizes[95] < 10


def test_unstable_points_are_said_to_be_and_stable_ones_not():
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
    rows = {row.name: row.notes for row in jr.initialize(model, "critical(sigma_b=0.1)", batch="4,8").rows}
    assert "unstable" in rows["0.weight"][0]
    assert rows["2.weight"] == ()
    assert rows["4.weight"] == ()


def mlp(width):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, 4, bias=False),
    )  # fmt: skip


def moved(width, written):
    """Return by how much three steps of Adam change the output, with the factors that belong to the scheme."""
    model = mlp(width)
    done = jr.initialize(model, written, batch="8,16")
    factors = {row.name: row.multipliers for row in done.rows}
    groups = [{"params": [p], "lr": 0.01 * factors[n].learning_rate} for n, p in model.named_parameters()]
    optimizer = torch.optim.Adam(groups)
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(64, 16, generator=generator), torch.randint(4, (64,), generator=generator)

    def output():
        return factors["6.weight"].output * model(x)

    before = output().detach()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(output(), y).backward()
        optimizer.step()
    return float((output().detach() - before).square().mean().sqrt())


def slope(written):
    widths = [64, 128, 256, 512, 1024]
    return np.polyfit(np.log(widths), np.log([moved(width, written) for width in widths]), 1)[0]


def test_a_step_changes_networks_of_all_widths_alike_under_mup_and_not_without():
    assert abs(slope("mup(base=64)")) < 0.2
    assert abs(slope("spectral_mup(base=64)")) < 0.2
    assert slope("he_normal") > 0.5


def test_the_tables_of_the_parametrizations():
    def factors(written, role, shape=(1024, 512), **place):
        return scheme(written).multipliers(Target("w", WeightLayout.dense(shape), place=Place(role=role, **place)))

    hidden = factors("completep(base=128, layers=24, base_layers=6)", "hidden", branch=0)
    assert (hidden.learning_rate, hidden.branch, hidden.epsilon, hidden.weight_decay) == (1 / 4, 1 / 4, 1 / 16, 4.0)
    assert factors("completep(base=128, layers=24)", "output").output == 1 / 4
    assert factors("mup(base=128)", "hidden").learning_rate == 1 / 4
    assert factors("mup(base=128)", "output").output == 1 / 4
    assert factors("mup(base=128)", "input").learning_rate == 1.0
    assert scheme("mup(base=128)").law(Target("w", DENSE, place=Place(role="output"))).variance == pytest.approx(
        1 / 128
    )
    law = scheme("spectral_mup(base=128)").law(Target("w", WeightLayout.dense((100, 400)), place=Place(role="hidden")))
    assert law.std == pytest.approx(0.5 / 20)


class Gated(nn.Module):
    """A residual block whose branch ends in a factor."""

    def __init__(self, units):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(units), nn.Linear(units, units), nn.Linear(units, units)
        self.gain = nn.Parameter(torch.rand(units))

    def forward(self, x):
        return x + self.gain * self.down(torch.relu(self.up(self.norm(x))))


@pytest.mark.parametrize(("written", "value"), [("rezero", 0.0), ("skipinit", 0.0), ("layerscale", 0.1)])
def test_branches_begin_almost_closed(written, value):
    model = nn.Sequential(nn.Linear(8, 8), *(Gated(8) for _ in range(6)), nn.Linear(8, 2))
    done = jr.initialize(model, written, batch="4,8")
    assert not done.left
    for block in model[1:7]:
        assert torch.equal(block.gain.detach(), torch.full((8,), value))
        assert torch.equal(block.norm.weight.detach(), torch.ones(8))
    x = torch.randn(4, 8)
    assert torch.equal(model[1](x), x) == (value == 0.0)


@pytest.mark.parametrize(("branches", "value"), [(24, 0.1), (48, 1e-5), (96, 1e-6)])
def test_layerscale_goes_by_depth(branches, value):
    layout = WeightLayout((8,), (0,), kind=Kind.SCALE)
    assert drawn("layerscale", layout, branches=branches, branch=1, ends_branch=True)[0] == np.float32(value)


def test_a_low_rank_pair_begins_without_effect_and_can_learn():
    pair = nn.ModuleDict({"lora_A": nn.Linear(64, 4, bias=False), "lora_B": nn.Linear(4, 32, bias=False)})
    jr.initialize(pair, "lora")
    assert not pair["lora_B"].weight.any()
    assert float(pair["lora_A"].weight.detach().abs().max()) <= 1 / 8
    assert float(pair["lora_A"].weight.detach().std()) == pytest.approx(1 / 8 / math.sqrt(3), rel=0.1)


def test_state_matrices_are_the_papers():
    matrix = drawn("hippo_legs", WeightLayout.dense((5, 5)))
    expected = [[-math.sqrt((2 * n + 1) * (2 * k + 1)) if n > k else -(n + 1.0) * (n == k) for k in range(5)]
                for n in range(5)]  # fmt: skip
    assert np.allclose(matrix, expected)
    assert np.allclose(np.sort(np.linalg.eigvals(matrix.astype(np.float64)).real), [-5, -4, -3, -2, -1])

    class Scan(nn.Module):
        def __init__(self):
            super().__init__()
            self.a_log = nn.Parameter(torch.zeros(3, 4))

    model = Scan()
    jr.initialize(model, {"a_log": "mamba_a_log"})
    assert torch.allclose(torch.exp(model.a_log.detach()), torch.arange(1.0, 5.0).expand(3, 4))


def test_t_fixup_is_the_papers_formula():
    matrix, table = WeightLayout.dense((2048, 512)), WeightLayout.embedding((1000, 512))
    xavier = scheme("xavier_normal").law(Target("w", matrix)).std
    laws = {
        each: scheme(each).law(Target("w", matrix)).std / xavier
        for each in ("t_fixup(layers=8)", "t_fixup(layers=6, decoder=True)")
    }
    assert laws["t_fixup(layers=8)"] == pytest.approx(0.67 * 8**-0.25)
    assert laws["t_fixup(layers=6, decoder=True)"] == pytest.approx(54**-0.25)
    assert scheme("t_fixup(layers=6)").law(Target("w", table)).std == pytest.approx(512**-0.5 * 54**-0.25)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: scheme("mup"), "base=256"),
        (lambda: jr.initialize(mlp(64), "mup(base=64)"), "role"),
        (lambda: jr.initialize(mlp(64), "rezero", batch="8,16"), ""),
        (lambda: jr.initialize(nn.Linear(4, 4), "lora"), "lora_a"),
        (lambda: drawn("hippo_legs", WeightLayout.dense((4, 5))), "square"),
        (lambda: drawn("critical(activation=softplus)", DENSE), "critical"),
        (lambda: drawn("critical", DENSE), "activation"),
        (lambda: jr.initialize(nn.PReLU(), {"weight": "he_normal"}), "joins inputs"),
    ],
)
def test_bad_input_is_one_clear_error(call, says):
    if says:
        with pytest.raises((SchemeError, JustRightError), match=says):
            call()
    else:
        call()  # no factor is there to be closed: the weights are Xavier's

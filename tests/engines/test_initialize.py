"""`jr.initialize`: the right fans for every module, the same numbers in any order, and nothing else touched."""

import math

import pytest
import torch
import transformers
from torch import nn

import justright as jr
from justright.errors import CatalogueError, InputError, ModelError
from justright.initializers.target import SchemeError


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(40, 24)
        self.convolution = nn.Conv2d(8, 32, 3, groups=4, stride=2)
        self.up = nn.ConvTranspose2d(16, 24, 4, stride=2)
        self.norm = nn.BatchNorm2d(32)
        self.attention = nn.MultiheadAttention(64, 4)
        self.cell = nn.LSTM(20, 60)
        self.head = nn.Linear(24, 40)
        self.head.weight = self.table.weight
        self.own = nn.Parameter(torch.ones(3))


STDS = {
    "convolution.weight": math.sqrt(1 / (2 * 9)),  # two inputs a group, nine taps
    "up.weight": math.sqrt(1 / (16 * 4)),  # of sixteen taps, a pixel between strides of two meets four
    "attention.in_proj_weight": math.sqrt(1 / 64),
    "attention.out_proj.weight": math.sqrt(1 / 64),
    "cell.weight_ih_l0": math.sqrt(1 / 20),
    "cell.weight_hh_l0": math.sqrt(1 / 60),
}


def test_every_module_gets_the_fans_that_it_sums_over():
    model = Everything()
    done = jr.initialize(model, "lecun_normal", seed=3)
    parameters = dict(model.named_parameters())
    for name, std in STDS.items():
        error = 5 / math.sqrt(2 * parameters[name].numel())  # five standard errors of a standard deviation
        assert float(parameters[name].detach().std()) == pytest.approx(std, rel=error), name
    assert all(not parameters[name].detach().any() for name in ("convolution.bias", "head.bias", "norm.bias"))
    assert bool((parameters["norm.weight"] == 1).all())
    assert done.left == {"own": "Everything does not say how it uses own"}
    assert bool((model.own == 1).all())


def test_numbers_depend_on_seed_and_name_alone():
    first, second = Everything(), Everything()
    jr.initialize(first, "he_uniform", seed=1)
    for pattern in ("cell.*", "up.*", "attention.*"):  # piece by piece, in another order
        jr.initialize(second, {pattern: "he_uniform"}, seed=1)
    for name in ("cell.weight_hh_l0", "up.weight", "attention.in_proj_weight"):
        assert torch.equal(first.get_parameter(name), second.get_parameter(name))
    jr.initialize(second, "he_uniform", seed=2)
    assert not torch.equal(first.up.weight, second.up.weight)


def test_the_first_pattern_counts_and_frozen_and_excluded_ones_are_left():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight.requires_grad_(False)
    before = [each.detach().clone() for each in model.parameters()]
    done = jr.initialize(model, {"0.weight": "zeros", "*.weight": "ones"}, exclude=["2.*"])
    weights = [layer.weight.detach() for layer in model]
    assert not weights[0].any()
    assert torch.equal(weights[1], before[2])
    assert torch.equal(weights[2], before[4])
    assert done.left["1.weight"] == "frozen"
    assert done.left["2.weight"] == done.left["2.bias"] == "excluded"
    assert done.left["0.bias"] == "no pattern matches it"


def test_a_tied_weight_is_set_once():
    model = Everything()
    done = jr.initialize(model, "normal(std=0.5)", seed=0)
    assert [row.name for row in done.rows].count("table.weight") == 1
    assert "head.weight" not in [row.name for row in done.rows]
    assert model.head.weight is model.table.weight


def test_half_precision_is_the_rounded_single():
    single, half = nn.Linear(64, 64), nn.Linear(64, 64, dtype=torch.bfloat16)
    jr.initialize(single, "xavier_normal")
    jr.initialize(half, "xavier_normal")
    assert torch.equal(single.weight.bfloat16(), half.weight)


@pytest.mark.parametrize(
    ("scheme", "error", "words"),
    [
        ("he_norml", CatalogueError, "he_normal"),
        ({"2.*": "zeros"}, InputError, "matches no parameter"),
        ({"0.bias": "he_normal", "*": "zeros"}, SchemeError, "bias"),
        ("normal(std=-1)", SchemeError, "std"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(scheme, error, words):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    before = [each.detach().clone() for each in model.parameters()]
    with pytest.raises(error) as caught:
        jr.initialize(model, scheme)
    assert words in str(caught.value)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_parameters_without_values_cannot_be_set():
    with pytest.raises(ModelError, match="meta"):
        jr.initialize(nn.Linear(3, 3, device="meta"), "zeros")


def test_a_batch_tells_where_parameters_stand():
    config = transformers.GPT2Config(
        n_layer=2, n_embd=64, n_head=2, vocab_size=50, n_positions=16, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config)
    done = jr.initialize(model, "gpt2", batch=torch.zeros(2, 8, dtype=torch.long))
    assert not done.left  # its own linear layers too, whose layout only their use tells
    stds = {name: float(each.detach().std()) for name, each in model.named_parameters() if each.ndim > 1}
    for name, std in stds.items():
        expected = 0.02 / (2 if "c_proj" in name else 1)  # the root of four branches
        assert std == pytest.approx(expected, rel=0.1), name


def test_without_a_batch_a_scheme_for_residual_networks_says_what_it_misses():
    model = torch.nn.Linear(4, 4)
    with pytest.raises(SchemeError, match="branches"):
        jr.initialize(model, "fixup")
    with pytest.raises(SchemeError, match="residual branches"):
        jr.initialize(model, "fixup", batch="2,4")


def test_the_activation_behind_a_layer_gives_its_gain():
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 10))
    rows = {row.name: row.std for row in jr.initialize(model, "activation_gain", batch="8,64").rows}
    named = {row.name: row.std for row in jr.initialize(model, "activation_gain(activation=gelu)").rows}
    assert rows["0.weight"] == named["0.weight"]
    assert rows["2.weight"] != named["2.weight"]


def test_packed_projections_get_an_orthogonal_matrix_each():
    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = torch.nn.Linear(32, 96)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            return torch.softmax(q @ k.transpose(-1, -2), -1) @ v

    model = Attention()
    jr.initialize(model, "orthogonal", batch="2,5,32")
    for part in model.qkv.weight.detach().double().split(32):
        assert torch.allclose(part @ part.T, torch.eye(32, dtype=torch.float64), atol=1e-5)


def test_a_tied_table_says_what_else_it_is():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(50, 16)

        def forward(self, ids):
            return self.table(ids) @ self.table.weight.T

    done = jr.initialize(Tied(), "normal(std=0.02)", batch=torch.zeros(2, 5, dtype=torch.long))
    assert "used as a weight too" in str(done)


def test_bilinear_layers_have_the_fans_of_both_inputs():
    torch.manual_seed(0)
    layer = torch.nn.Bilinear(24, 40, 30, bias=False)
    rows = jr.initialize(layer, "he_normal").rows
    assert rows[0].std == pytest.approx(math.sqrt(2 / (24 * 40)))
    x, other = torch.randn(512, 24, requires_grad=True), torch.randn(512, 40)
    gains = {"fan_in": [], "fan_out": []}
    for seed in range(20):
        for mode, found in gains.items():
            jr.initialize(layer, f"variance_scaling(mode={mode})", seed=seed)
            y = layer(x, other)
            (back,) = torch.autograd.grad(y, x, torch.randn(y.shape))
            found.append(float((y if mode == "fan_in" else back).detach().square().mean()))
    assert sum(gains["fan_in"]) / 20 == pytest.approx(1.0, abs=0.05)
    assert sum(gains["fan_out"]) / 20 == pytest.approx(1.0, abs=0.05)

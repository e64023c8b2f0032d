"""The place of a parameter as the graph tells it, on networks whose structure is known."""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn

from justright.adapters.base import load_adapter
from justright.core.places import places


def places_of(model, batch):
    adapter = load_adapter("torch")
    return places(adapter.trace(adapter.prepare(model, batch)))


class Block(nn.Module):
    """A residual block of two convolutions, with a projection where the width changes."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.last = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x):
        return torch.relu(self.last(torch.relu(self.norm(self.first(x)))) + self.short(x))


@pytest.fixture(scope="module")
def residual():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), Block(8, 8), Block(8, 16), Block(16, 16), nn.Flatten(),
        nn.Linear(256, 5),
    )  # fmt: skip
    return places_of(model, torch.randn(2, 3, 4, 4))


def test_residual_branches_of_a_convolutional_network(residual):
    for block in range(3):
        for index, leaf in enumerate(("first", "last")):
            place = residual[f"{block + 2}.{leaf}.weight"]
            assert (place.branch, place.branches) == (block, 3)
            assert (place.in_branch, place.branch_layers, place.ends_branch) == (index, 2, leaf == "last")
        assert residual[f"{block + 2}.norm.weight"].branch == block
    assert residual["3.short.weight"].branch is None  # a projection belongs to the stream
    assert residual["6.weight"].branch is None


def test_activations_roles_and_depth(residual):
    first = residual["0.weight"]
    assert (first.activation, dict(first.attributes), first.role) == ("leaky_relu", {"negative_slope": 0.2}, "input")
    assert residual["2.first.weight"].activation == "relu"  # behind the normalization
    assert residual["2.last.weight"].activation == "linear"  # the sum comes first
    head = residual["6.weight"]
    assert (head.activation, head.role, head.depth, head.layers) == ("linear", "output", 7, 8)
    assert residual["6.bias"].role == "output"


CONFIGS = {
    "gpt2": transformers.GPT2Config(
        n_layer=3, n_embd=32, n_head=2, vocab_size=50, n_positions=16, bos_token_id=0, eos_token_id=0
    ),
    "llama": transformers.LlamaConfig(
        num_hidden_layers=3, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=50,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ends"), [("gpt2", "c_proj.weight"), ("llama", ("o_proj.weight", "down_proj.weight"))]
)
def test_transformers_have_two_branches_a_block(name, ends):
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[name])
    found = places_of(model, torch.zeros(2, 8, dtype=torch.long))
    assert {place.branches for place in found.values()} == {6}
    ending = {each for each, place in found.items() if place.ends_branch and each.endswith("weight")}
    assert ending == {each for each in found if each.endswith(ends)}
    for each in ending:
        assert found[each].in_branch == 1
        assert found[each].activation == "linear"


def test_recurrent_weights_begin_no_branch():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.u, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            state = torch.zeros(len(x), 8)
            for step in range(5):
                state = torch.tanh(self.w(x[:, step]) + self.u(state))
            return self.head(state)

    found = places_of(Cell(), torch.randn(3, 5, 4))
    assert {place.branches for place in found.values()} == {0}
    assert found["u.weight"].role == "recurrent"


def test_what_is_written_by_hand_is_not_guessed():
    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(1.5 * x)

    found = places_of(nn.Sequential(nn.Linear(4, 8), Swish(), nn.Linear(8, 2)), torch.randn(3, 4))
    assert found["0.weight"].activation is None


def test_dropout_right_before_a_layer():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    found = places_of(model.train(), torch.randn(3, 4))
    assert found["3.weight"].dropout == pytest.approx(0.3)
    assert found["0.weight"].dropout == found["5.weight"].dropout == 0.0
    assert places_of(model.eval(), torch.randn(3, 4))["3.weight"].dropout == 0.0

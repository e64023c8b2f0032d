"""Dead heads of attention: how many are counted, whatever made them dead, and which of them no step brings back."""

from __future__ import annotations

import pytest

import justright as jr

torch = pytest.importorskip("torch")
nn = torch.nn

HEADS, EACH, WIDTH = 4, 8, 32


class Net(nn.Module):
    """One layer of attention over tokens; heads can be masked."""

    def __init__(self, width=WIDTH, layers=1):
        super().__init__()
        self.layers = nn.ModuleList(nn.MultiheadAttention(width, HEADS, batch_first=True) for _ in range(layers))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x, x, x)[0]
        return self.head(x).mean(1)


class Masked(nn.Module):
    """Attention by hand, with a factor on every head."""

    def __init__(self, mask):
        super().__init__()
        self.project, self.join, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.register_buffer("mask", torch.tensor(mask)[:, None, None])

    def forward(self, x):
        query, key, value = self.project(x).unflatten(-1, (3, HEADS, EACH)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-1, -2) / EACH**0.5).softmax(-1)
        return self.head(self.join((weights @ value * self.mask).transpose(1, 2).flatten(2)).mean(1))


def told(model, width=WIDTH):
    generator = torch.Generator().manual_seed(1)
    batch = (torch.randn(24, 6, width, generator=generator), torch.arange(24) % 3)
    found = [each for each in jr.check(model, batch, loss="cross_entropy").findings if each.code == "JR604"]
    return [(each.severity.label, round(each.evidence[0].value * HEADS, 6)) for each in found]


def built(make, *arguments, seed=0):
    torch.manual_seed(seed)
    return make(*arguments)


@pytest.mark.parametrize("width", [32, 640])
@pytest.mark.parametrize("dead", range(5))
@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_constant_heads_are_counted_beside_living_ones(width, dead, bias):
    model = built(Net, width)
    with torch.no_grad():
        layer = model.layers[0]
        layer.in_proj_bias[2 * width :] = bias
        layer.in_proj_weight[2 * width : 2 * width + dead * width // HEADS] = 0.0
    assert told(model, width) == ([("note", dead)] if 0 < dead < HEADS else [])


@pytest.mark.parametrize("dead", range(5))
def test_heads_that_nothing_reads_are_counted_too(dead):
    model = built(Net)
    with torch.no_grad():
        model.layers[0].out_proj.weight[:, : dead * EACH] = 0.0
    assert told(model) == ([("note", dead)] if 0 < dead < HEADS else [])


@pytest.mark.parametrize(
    ("mask", "severity"), [([0, 0, 0, 1], "warning"), ([0, 1, 0, 1], "note"), ([1, 1, 1, 1], None)]
)
def test_what_no_step_brings_back_is_worse(mask, severity):
    model = built(Masked, [float(each) for each in mask])
    assert told(model) == ([(severity, mask.count(0))] if severity else [])


def test_units_that_make_no_whole_head_are_no_dead_head():
    model = built(Net)
    with torch.no_grad():
        model.layers[0].in_proj_weight[2 * WIDTH + 1 : 2 * WIDTH + EACH] = 0.0
    assert told(model) == []


def test_as_many_units_are_compared_as_is_said():
    from justright.adapters.torch import relations
    from justright.core import information

    assert relations.UNITS == information.UNITS

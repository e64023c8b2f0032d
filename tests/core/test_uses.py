"""Layouts of parameters of modules that nobody knows, read from their use; the oracle is the gain of the layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from justright.adapters.base import load_adapter
from justright.core.layout import Kind
from justright.core.uses import parameter_layout


class Own(nn.Module):
    """A module of a user's own, with one parameter of some shape that is used in some way."""

    def __init__(self, shape, use):
        super().__init__()
        self.own = nn.Parameter(torch.randn(shape))
        self.use = use

    def forward(self, x):
        return self.use(x, self.own)


def layout_of(shape, use, batch):
    adapter = load_adapter("torch")
    graph = adapter.trace(adapter.prepare(Own(shape, use), batch))
    return parameter_layout(graph, next(each for each in graph.parameters if each.name == "own"))


MATRICES = {
    "x @ w": ((96, 40), lambda x, w: x @ w, (64, 96)),
    "w @ x": ((40, 96), lambda x, w: w @ x, (96, 64)),
    "linear": ((40, 96), functional.linear, (64, 96)),
    "linear of the transpose": ((96, 40), lambda x, w: functional.linear(x, w.t()), (64, 96)),
    "einsum": ((96, 40), lambda x, w: torch.einsum("bi,io->bo", x, w), (64, 96)),
    "multi-head kernel": ((96, 4, 10), lambda x, w: torch.einsum("bi,ihd->bhd", x, w), (64, 96)),
    "multi-head output": ((4, 24, 40), lambda x, w: torch.einsum("bhd,hdo->bo", x, w), (64, 4, 24)),
    "convolution": ((24, 8, 3, 3), lambda x, w: functional.conv2d(x, w, groups=2), (2, 16, 24, 24)),
    "transposed": ((16, 8, 4), lambda x, w: functional.conv_transpose1d(x, w, stride=2), (4, 16, 200)),
    "experts": ((4, 96, 40), torch.bmm, (4, 32, 96)),
    "experts by outputs": ((4, 40, 96), lambda x, w: torch.bmm(x, w.transpose(1, 2)), (4, 32, 96)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_fans_are_the_gains_of_the_layer(name):
    shape, use, inputs = MATRICES[name]
    torch.manual_seed(0)
    layout = layout_of(shape, use, torch.randn(inputs))
    forward, backward = [], []
    for _ in range(20):
        x = torch.randn(inputs, requires_grad=True)
        y = use(x, torch.randn(shape))
        (back,) = torch.autograd.grad(y, x, torch.randn(y.shape))
        middle = (..., *(slice(6, -6),) * len(layout.spatial))
        forward.append(y.detach()[middle].square().mean())
        backward.append(back[middle].square().mean())
    for gains, fan in ((forward, layout.fans.fan_in), (backward, layout.fans.fan_out)):
        found = torch.stack(gains)
        assert abs(float(found.mean()) - fan) < 4.5 * float(found.std()) / len(found) ** 0.5


OTHERS = {
    "bias": ((8,), lambda x, b: x + b, Kind.SHIFT),
    "bias of a linear layer": ((6,), lambda x, b: functional.linear(x, torch.ones(6, 8), b), Kind.SHIFT),
    "factor": ((8,), lambda x, g: x * g, Kind.SCALE),
    "gain of a normalization": ((8,), lambda x, g: functional.layer_norm(x, (8,), g), Kind.SCALE),
    "reshaped": ((16, 4), lambda x, w: x @ w.view(8, 8), None),
    "power": ((8,), lambda x, p: x.abs().pow(p), None),
    "bias and factor": ((8,), lambda x, p: x * p + p, None),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_matrix(name):
    shape, use, kind = OTHERS[name]
    layout = layout_of(shape, use, torch.randn(4, 8))
    assert (layout.kind if layout else None) is kind


def test_a_table_and_a_table_that_is_a_head_too():
    ids = torch.zeros(2, 5, dtype=torch.long)
    assert layout_of((50, 8), functional.embedding, ids).kind is Kind.LOOKUP
    assert layout_of((50, 8), lambda x, w: functional.embedding(x, w) @ w.T, ids) is None


def split_heads(x, w):
    q, k, v = (functional.linear(x, w) + 1.0).split([48, 16, 16], dim=-1)
    return torch.cat([q.view(*q.shape[:-1], 3, 16).sum(-2), k, v], -1)


@pytest.mark.parametrize(
    ("use", "parts"),
    [
        (split_heads, (48, 16, 16)),  # grouped queries
        (lambda x, w: functional.linear(x, w).chunk(2, -1)[0].sigmoid(), (40, 40)),  # a packed gate
        (functional.linear, ()),
        (lambda x, w: functional.linear(x, w).split([16, 16], 0)[0], ()),  # examples, not outputs
    ],
)
def test_a_weight_that_is_split_behind_is_packed(use, parts):
    layout = layout_of((80, 64), use, torch.randn(32, 64))
    assert (layout.outputs, layout.inputs, layout.parts) == ((0,), (1,), parts)
    assert layout.fans.fan_out == 80 / max(len(parts), 1)

"""Networks with weights that are far too large, copied, never written to, or without a normalization they need."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, flat, images, initialized, mlp, prepared, scaled, sequences

SHELF = Shelf("weights", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]

HE = scaled(2**0.5)


# One weight that is too large.


def _layers(model: nn.Module) -> list[nn.Module]:
    return [each for each in model.modules() if isinstance(each, nn.Linear | nn.Conv2d)]


@torch.no_grad()
def _times(model: nn.Module, place: int, factor: float) -> nn.Module:
    _layers(model)[place].weight.mul_(factor)  # type: ignore[operator, union-attr]
    return model


def _large_layer(factor: float, _seed: int) -> Built:
    return _times(initialized(mlp(6, nn.ReLU), HE), 2, factor), flat(), "cross_entropy"


def _large_head(factor: float, _seed: int) -> Built:
    return _times(initialized(mlp(4, nn.ReLU), HE), -1, factor), flat(), "cross_entropy"


def _images(norm: bool) -> nn.Sequential:
    def block(into: int) -> list[nn.Module]:
        return [nn.Conv2d(into, 8, 3, padding=1), *([nn.BatchNorm2d(8)] if norm else []), nn.ReLU()]

    layers = [part for index in range(5) for part in block(8 if index else 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))


def _large_kernel(factor: float, norm: bool, _seed: int) -> Built:
    return _times(initialized(_images(norm), HE), 2, factor), images(64), "cross_entropy"


SHELF.sick("large-layer", "JR304", "one of six layers a thousand times too large")(
    functools.partial(_large_layer, 1000.0)
)
SHELF.healthy("large-layer-30", "near miss: one of six layers thirty times too large")(
    functools.partial(_large_layer, 30.0)
)
SHELF.healthy("small-layer", "one of six layers 1e-4 of He's: its own first steps bring it back")(
    functools.partial(_large_layer, 1e-4)
)
SHELF.sick("large-head", "JR304", "a head a thousand times too large: scores of thousands")(
    functools.partial(_large_head, 1000.0)
)
SHELF.sick("large-kernel", "JR304", "one of five convolutions a thousand times too large")(
    functools.partial(_large_kernel, 1000.0, False)
)
SHELF.healthy("large-kernel-bn", "near miss: the same in front of batch normalization, which takes it away")(
    functools.partial(_large_kernel, 1000.0, True)
)


class Tokens(nn.Module):
    """A causal transformer over tokens whose table is embedding and output head at once."""

    def __init__(self, table: float, position: float, width: int = 64) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20, width)
        self.positions = nn.Embedding(32, width)
        layers = [nn.TransformerEncoderLayer(width, 4, 128, 0.0, norm_first=True, batch_first=True) for _ in range(2)]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.tokens.weight, std=table)
        nn.init.normal_(self.positions.weight, std=position)
        self.register_buffer("mask", torch.full((31, 31), float("-inf")).triu(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Score the next token at every place but the last."""
        x = self.tokens(ids[:, :-1]) + self.positions(torch.arange(ids.shape[1] - 1))
        for layer in self.layers:
            x = layer(x, src_mask=self.mask, is_causal=True)
        return nn.functional.linear(self.norm(x), self.tokens.weight)


def _tied(table: float, position: float, _seed: int) -> Built:
    ids = sequences()
    return Tokens(table, position), (ids, ids[:, 1:].contiguous()), "cross_entropy"


SHELF.healthy("tied", "a table of standard deviation 0.02 that is embedding and head")(
    functools.partial(_tied, 0.02, 0.02)
)
SHELF.sick("tied-unit", "JR304", "a table of standard deviation 4 that is embedding and head", twin="weights/tied")(
    functools.partial(_tied, 4.0, 0.02)
)
SHELF.sick("drowned", "JR304", "positions 5000 times as large as tokens", twin="weights/tied")(
    functools.partial(_tied, 0.02, 100.0)
)
SHELF.healthy("positions-unit", "near miss: positions fifty times as large as tokens")(
    functools.partial(_tied, 0.02, 1.0)
)


# Layers that are copies of each other.

COPIED = {(16, 64): 1, (30, 64): 8, (16, 32): 2}
"""Seed of the one matrix by depth and width, under which the row grows."""

STEADY = 4
"""Seed of a matrix under which it does not."""


def _deep(depth: int, width: int, activation: type[nn.Module]) -> nn.Module:
    return initialized(mlp(depth, activation, width=width), HE)


def _independent(depth: int, width: int, activation: type[nn.Module], _seed: int) -> Built:
    return _deep(depth, width, activation), flat(), "cross_entropy"


@torch.no_grad()
def _copied(depth: int, width: int, activation: type[nn.Module], drawn: int, _seed: int) -> Built:
    """Copy one layer whose draw is fixed: how a row of copies grows depends on the one matrix alone."""
    model = _deep(depth, width, activation)
    weight = torch.randn(width, width, generator=torch.Generator().manual_seed(drawn)) * (2 / width) ** 0.5
    for layer in _layers(model)[1:-1]:
        layer.weight.copy_(weight)  # type: ignore[operator]
    return model, flat(), "cross_entropy"


for _depth, _width in ((16, 64), (30, 64), (16, 32)):
    SHELF.healthy(f"independent-{_depth}-{_width}", f"{_depth} layers of {_width} units, drawn independently")(
        functools.partial(_independent, _depth, _width, nn.ReLU)
    )
    SHELF.sick(
        f"copied-{_depth}-{_width}",
        "JR305",
        f"{_depth - 2} copies of one layer of {_width} units, which grow",
    )(functools.partial(_copied, _depth, _width, nn.ReLU, COPIED[_depth, _width]))
SHELF.healthy("copied-6", "near miss: four copies of one layer")(functools.partial(_copied, 6, 64, nn.ReLU, 0))
SHELF.healthy("copied-steady", "near miss: fourteen copies of a layer that does not grow")(
    functools.partial(_copied, 16, 64, nn.ReLU, STEADY)
)


# Memory that nobody wrote to: the bits that it held are written here, so that every run finds the same.


def _text(count: int) -> torch.Tensor:
    """Write letters, four to a float: magnitudes from 1e20 to 1e35."""
    return torch.randint(0x61, 0x7B, (count, 4), dtype=torch.uint8).view(torch.float32).flatten()


def _integers(count: int) -> torch.Tensor:
    """Write indices of 32 bits, as they stand in memory: subnormal numbers."""
    return torch.arange(1, count + 1, dtype=torch.int32).view(torch.float32)


def _halves(count: int) -> torch.Tensor:
    """Write numbers of 64 bits and read them by halves: every second one has a random exponent."""
    found = torch.randn((count + 1) // 2, dtype=torch.float64).view(torch.float32)[:count]
    return found.nan_to_num(0.0)


@torch.no_grad()
def _stale(parameter: Any, memory: Callable[[int], torch.Tensor]) -> None:  # noqa: ANN401
    parameter.copy_(memory(parameter.numel()).view(parameter.shape))


def _stale_layers(memory: Callable[[int], torch.Tensor], places: slice, _seed: int) -> Built:
    model = initialized(mlp(5, nn.ReLU), HE)
    for layer in _layers(model)[places]:
        _stale(layer.weight, memory)
    return model, flat(), "cross_entropy"


SHELF.sick("stale-text", "JR306", "a weight that holds text")(functools.partial(_stale_layers, _text, slice(2, 3)))
SHELF.sick("stale-integers", "JR306", "weights that hold integers, which are subnormal as floats")(
    functools.partial(_stale_layers, _integers, slice(1, 4))
)
SHELF.healthy("stale-integers-one", "near miss: one weight that holds integers acts as zero, and is healed")(
    functools.partial(_stale_layers, _integers, slice(2, 3))
)


@SHELF.sick("stale-kernel", "JR306", "a convolution that holds halves of float64 numbers")
def _stale_kernel(_seed: int) -> Built:
    model = initialized(_images(norm=False), HE)
    _stale(_layers(model)[1].weight, _halves)
    return model, images(64), "cross_entropy"


@SHELF.sick("stale-positions", "JR306", "a transformer whose table of positions holds text")
def _stale_positions(seed: int) -> Built:
    model, batch, loss = _tied(0.02, 0.02, seed)
    _stale(model.positions.weight, _text)  # type: ignore[union-attr]
    return model, batch, loss


@SHELF.healthy("decayed", "near miss: a third of all filters decayed to subnormal numbers, as after long training")
def _decayed(_seed: int) -> Built:
    model = initialized(_images(norm=True), HE)
    with torch.no_grad():
        for layer in _layers(model)[1:4]:
            layer.weight[::3] *= 1e-39  # type: ignore[index, operator]
    return model, images(64), "cross_entropy"


# Residual streams without normalization.


def _branch(norm: bool) -> nn.Sequential:
    return nn.Sequential(*([nn.LayerNorm(64)] if norm else []), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))


def _stream(blocks: int, scale: float, norm: bool, _seed: int) -> Built:
    model = initialized(nn.Sequential(*[Residual(_branch(norm)) for _ in range(blocks)], nn.Linear(64, 10)), HE)
    for block in model[:-1]:  # type: ignore[index]
        _times(block, -1, scale)
    return model, flat(), "cross_entropy"


SHELF.sick("stream-14", "JR307", "fourteen residual blocks under He's initialization")(
    functools.partial(_stream, 14, 1.0, False)
)
SHELF.sick("stream-24", "JR307", "24 residual blocks under He's initialization")(
    functools.partial(_stream, 24, 1.0, False)
)
SHELF.healthy("stream-6", "near miss: six residual blocks under He's initialization")(
    functools.partial(_stream, 6, 1.0, False)
)
SHELF.healthy("stream-24-scaled", "near miss: the same 24 blocks, scaled by 1/sqrt(24)")(
    functools.partial(_stream, 24, 24**-0.5, False)
)
SHELF.healthy("stream-14-norm", "near miss: fourteen blocks with normalization before each")(
    functools.partial(_stream, 14, 1.0, True)
)


@SHELF.sick("stream-images", "JR307", "sixteen residual blocks of convolutions under He's initialization")
def _stream_images(_seed: int) -> Built:
    def branch() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))

    blocks = [Residual(branch()) for _ in range(16)]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)]
    return initialized(nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), *blocks, *head), HE), images(64), "cross_entropy"


class Bare(nn.Module):
    """A transformer's block without any normalization: attention, then a perceptron."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        initialized(self.perceptron, HE)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add both branches."""
        x = x + self.scale * self.attention(x, x, x, need_weights=False)[0]
        return x + self.scale * self.perceptron(x)


def _bare(scale: float, _seed: int) -> Built:
    blocks = [Bare(32, scale) for _ in range(14)]
    rows = nn.Sequential(nn.Flatten(1, 2), nn.Linear(8, 32), *blocks, nn.Flatten(), nn.Linear(256, 10))
    return rows, images(64), "cross_entropy"


SHELF.sick("stream-tokens", "JR307", "fourteen blocks of a transformer without normalization")(
    functools.partial(_bare, 1.0)
)
SHELF.healthy("stream-tokens-scaled", "near miss: the same with every branch scaled by 1/sqrt(28)")(
    functools.partial(_bare, 28**-0.5)
)


@SHELF.healthy("cloned-encoder", "an encoder that copies its layer, as PyTorch's does: a residual stream bears it")
def _cloned_encoder(_seed: int) -> Built:
    layer = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))
    blocks = [Residual(copy.deepcopy(layer)) for _ in range(8)]
    return nn.Sequential(*blocks, nn.LayerNorm(64), nn.Linear(64, 10)), flat(), "cross_entropy"

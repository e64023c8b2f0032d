"""Attention with heads that are dead beside living ones, and near misses that the first steps repair."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, images, prepared, sequences

SHELF = Shelf("heads", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]
Fault = Callable[["Attention"], None]

WIDTH, HEADS = 32, 8
EACH = WIDTH // HEADS


class Attention(nn.Module):
    """Attention of eight heads, which a mask can switch off."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.join = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.ones(HEADS, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the positions of ``[n, positions, width]``."""
        query, key, value = (
            each(x).unflatten(-1, (HEADS, EACH)).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(-1, -2) / EACH**0.5).softmax(-1)
        return self.join((weights @ value * self.mask).transpose(1, 2).flatten(2))


class Rows(nn.Module):
    """Blocks over the rows of an image, and a head at their mean."""

    def __init__(self, blocks: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, WIDTH)
        self.position = nn.Parameter(torch.randn(8, WIDTH))
        self.blocks = blocks
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape ``[n, 1, 8, 8]``."""
        return self.head(self.blocks(self.embedding(x.squeeze(1)) + self.position).mean(1))


class Tokens(nn.Module):
    """Blocks over a sequence of tokens, and an answer for each of them."""

    def __init__(self, blocks: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, WIDTH)  # 17 gray levels and three special tokens
        self.position = nn.Parameter(torch.randn(32, WIDTH))
        self.blocks = blocks
        self.head = nn.Linear(WIDTH, 20)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Answer ``[n, positions]`` with logits ``[n * positions, tokens]``."""
        return self.head(self.blocks(self.embedding(ids) + self.position)).flatten(0, 1)


def _masked(dead: int, layer: Attention) -> None:
    layer.mask[:dead] = 0.0  # type: ignore[index, operator]


@torch.no_grad()
def _zero_values(dead: int, layer: Attention) -> None:
    layer.value.weight[: dead * EACH] = 0.0


@torch.no_grad()
def _unread(dead: int, layer: Attention) -> None:
    layer.join.weight[:, : dead * EACH] = 0.0


@torch.no_grad()
def _zero_join(layer: Attention) -> None:
    nn.init.zeros_(layer.join.weight)
    nn.init.zeros_(layer.join.bias)


def _nothing(_layer: Attention) -> None:
    pass


def _rows(depth: int, skip: bool, fault: Fault, _seed: int) -> Built:
    return Rows(_blocks(depth, skip, fault)), images(64), "cross_entropy"


def _tokens(depth: int, skip: bool, fault: Fault, _seed: int) -> Built:
    ids = sequences()
    return Tokens(_blocks(depth, skip, fault)), (ids, ids.flatten()), "cross_entropy"


def _blocks(depth: int, skip: bool, fault: Fault) -> nn.Sequential:
    layers = [Attention() for _ in range(depth)]
    for layer in layers:
        fault(layer)
    branches = [nn.Sequential(nn.LayerNorm(WIDTH), layer) for layer in layers]
    return nn.Sequential(*(Residual(branch) if skip else branch for branch in branches))


class Pooled(nn.Module):
    """One learned query that reads the rows of an image by eight heads, whose values are rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.position = nn.Linear(8, WIDTH), nn.Parameter(torch.randn(8, WIDTH))
        self.query = nn.Parameter(torch.randn(HEADS, 1, EACH))
        self.key, self.value = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape ``[n, 1, 8, 8]``."""
        rows = self.embedding(x.squeeze(1)) + self.position
        key = self.key(rows).unflatten(-1, (HEADS, EACH)).transpose(1, 2)
        value = torch.relu(self.value(rows)).unflatten(-1, (HEADS, EACH)).transpose(1, 2)
        weights = (self.query @ key.transpose(-1, -2) / EACH**0.5).softmax(-1)
        return self.head((weights @ value).transpose(1, 2).flatten(1))


def _pooled(dead: int, _seed: int) -> Built:
    model = Pooled()
    with torch.no_grad():
        model.value.bias[: dead * EACH] = -100.0
    return model, images(64), "cross_entropy"


_MASKED = functools.partial(_masked, HEADS - 1)
SHELF.healthy("rows", "attention over the rows of an image, all of its heads alive")(
    functools.partial(_rows, 1, False, _nothing)
)
SHELF.sick("masked-rows", "JR604", "a mask that was left on seven of eight heads", twin="heads/rows")(
    functools.partial(_rows, 1, False, _MASKED)
)
SHELF.healthy("tokens", "attention over tokens, all of its heads alive")(functools.partial(_tokens, 1, False, _nothing))
SHELF.sick("masked-tokens", "JR604", "seven of eight heads over tokens masked", twin="heads/tokens")(
    functools.partial(_tokens, 1, False, _MASKED)
)
SHELF.healthy("pooled", "a learned query that reads rectified values")(functools.partial(_pooled, 0))
SHELF.sick("off-pooled", "JR604", "seven of eight heads whose rectified values are off", twin="heads/pooled")(
    functools.partial(_pooled, HEADS - 1)
)
SHELF.healthy("masked-one", "near miss: one of eight heads pruned by a mask, beside skips")(
    functools.partial(_rows, 2, True, functools.partial(_masked, 1))
)
SHELF.healthy("zero-values", "near miss: zero values in seven of eight heads, which the first steps fill")(
    functools.partial(_rows, 2, True, functools.partial(_zero_values, HEADS - 1))
)
SHELF.healthy("zero-parts", "near miss: zero parts of the output projection, for seven of eight heads")(
    functools.partial(_rows, 2, True, functools.partial(_unread, HEADS - 1))
)
SHELF.healthy("zero-joined", "near miss: an output projection that starts at zero as a whole")(
    functools.partial(_rows, 2, True, _zero_join)
)

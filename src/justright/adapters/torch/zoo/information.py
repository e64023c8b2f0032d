"""Networks that lose what their inputs say although signals and gradients keep their size; and their near misses."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, drawn, flat, images, initialized, mlp, prepared, sequences

SHELF = Shelf("information", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]

TOKENS = 20
"""17 gray levels and three special tokens."""


class Attention(nn.Module):
    """Attention with heads, and nothing beside it; along the batch if someone confused the axes."""

    def __init__(self, width: int = 32, heads: int = 4, *, batch: bool = False, sharp: float = 1.0) -> None:
        super().__init__()
        self.heads, self.batch, self.sharp = heads, batch, sharp
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.join = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the positions of ``[n, positions, width]``."""
        x = x.transpose(0, 1) if self.batch else x
        query, key, value = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        logits = query @ key.transpose(-1, -2) * (self.sharp / query.shape[-1] ** 0.5)
        found = self.join((logits.softmax(-1) @ value).transpose(1, 2).flatten(2))
        return found.transpose(0, 1) if self.batch else found


class Rows(nn.Module):
    """Blocks over the rows of an image, and a head at their mean."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 32)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape ``[n, 1, 8, 8]``."""
        return self.head(self.blocks(self.embedding(x.squeeze(1))).mean(1))


class Tokens(nn.Module):
    """Blocks over a sequence of tokens, and an answer for each of them."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, 32)
        self.position = nn.Parameter(torch.randn(32, 32))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(32, TOKENS)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Answer ``[n, positions]`` with logits ``[n * positions, tokens]``."""
        return self.head(self.blocks(self.embedding(ids) + self.position)).flatten(0, 1)


def _attention(depth: int, *, skip: bool = False, norm: bool = True, **more: Any) -> list[nn.Module]:  # noqa: ANN401
    blocks: list[nn.Module] = []
    for _ in range(depth):
        attention = nn.Sequential(nn.LayerNorm(32), Attention(**more)) if norm else Attention(**more)
        blocks.append(Residual(attention) if skip else attention)
    return blocks


def _across_batch(depth: int, skip: bool, _seed: int) -> Built:
    return Rows(*_attention(depth, skip=skip, batch=True)), images(64), "cross_entropy"


for _depth in (4, 8):
    SHELF.sick(f"batch-attention-{_depth}", "JR601", f"{_depth} layers of attention along the batch, without skips")(
        functools.partial(_across_batch, _depth, False)
    )
SHELF.healthy("batch-attention-skip", "near miss: attention along the batch beside skips, which keep each example")(
    functools.partial(_across_batch, 4, True)
)


class Nodes(nn.Module):
    """A graph network: every layer averages each node with its neighbours."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in range(depth))
        for layer in self.layers:
            nn.init.orthogonal_(layer.weight)  # type: ignore[arg-type]
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        """Classify nodes ``[n, 64]`` given their normalized adjacency ``[n, n]``."""
        for layer in self.layers:
            x = layer(adjacency @ x)
        return self.head(x)


def _nodes(depth: int, _seed: int) -> Built:
    pixels, classes = flat(64)
    chosen = torch.stack([torch.randperm(64) for _ in range(8)])
    links = torch.zeros(64, 64)
    for each in chosen:
        links[torch.arange(64), each] += 1.0
    adjacency = 0.5 * torch.eye(64) + 0.5 * links / links.sum(1, keepdim=True)
    return Nodes(depth), (pixels, adjacency, classes), "cross_entropy"


for _depth in (32, 64):
    SHELF.sick(f"nodes-{_depth}", "JR601", f"{_depth} rounds of averaging over the neighbours of a graph's nodes")(
        functools.partial(_nodes, _depth)
    )
SHELF.healthy("nodes-3", "near miss: three rounds of averaging leave nodes different")(functools.partial(_nodes, 3))


def _copying(blocks: list[nn.Module]) -> Built:
    ids = sequences()
    return Tokens(*blocks), (ids, ids.flatten()), "cross_entropy"


def _pure(depth: int, skip: bool, norm: bool, _seed: int) -> Built:
    return _copying(_attention(depth, skip=skip, norm=norm))


for _depth, _norm in ((5, True), (10, True), (8, False)):
    SHELF.sick(
        f"pure-attention-{_depth}{'' if _norm else '-bare'}", "JR602", f"{_depth} layers of attention without skips"
    )(functools.partial(_pure, _depth, False, _norm))
SHELF.healthy("pure-attention-1", "near miss: one layer of attention without a skip")(
    functools.partial(_pure, 1, False, True)
)
SHELF.healthy("attention-skip-12", "near miss: twelve layers of attention beside skips")(
    functools.partial(_pure, 12, True, True)
)


def _positive(weight: torch.Tensor) -> None:
    nn.init.uniform_(weight, 0.0, 2.0 / weight[0].numel())


def _positive_mlp(depth: int, activation: type[nn.Module], _seed: int) -> Built:
    pixels, classes = drawn(128)
    return initialized(mlp(depth, activation), _positive), (pixels.flatten(1) / 16.0, classes), "cross_entropy"


for _depth in (6, 20):
    SHELF.sick(f"positive-{_depth}", "JR602", f"{_depth} layers of weights that are all positive")(
        functools.partial(_positive_mlp, _depth, nn.ReLU)
    )
SHELF.healthy("positive-3", "near miss: positive weights in three layers")(functools.partial(_positive_mlp, 3, nn.ReLU))


class Query(nn.Module):
    """Pixels as tokens, of which one query reads all that the head gets."""

    def __init__(self, sharp: float, blocks: int = 0, heads: int = 4) -> None:
        super().__init__()
        self.pixel, self.position = nn.Linear(1, 32), nn.Parameter(torch.randn(64, 32))
        self.query = nn.Parameter(torch.randn(1, 1, 32))
        self.blocks = nn.Sequential(*_attention(blocks, skip=True, sharp=sharp, heads=heads))
        self.norm, self.key, self.value = nn.LayerNorm(32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.sharp = sharp
        self.head = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape ``[n, 1, 8, 8]``."""
        tokens = self.norm(self.blocks(self.pixel(x.flatten(2).transpose(1, 2)) + self.position))
        logits = self.query @ self.key(tokens).transpose(1, 2) * (self.sharp / 32**0.5)
        return self.head((logits.softmax(-1) @ self.value(tokens)).squeeze(1))


def _query(sharp: float, blocks: int, _seed: int) -> Built:
    return Query(sharp, blocks), images(64), "cross_entropy"


for _sharp, _blocks in ((3000.0, 0), (3000.0, 1), (3000.0, 2)):
    SHELF.sick(f"sharp-{_sharp:g}-{_blocks}", "JR603", f"attention logits scaled by {_sharp:g}")(
        functools.partial(_query, _sharp, _blocks)
    )
SHELF.healthy("sharp-1", "attention reads all pixels")(functools.partial(_query, 1.0, 0))
SHELF.healthy("sharp-3", "near miss: attention logits scaled by 3")(functools.partial(_query, 3.0, 2))


class Experts(nn.Module):
    """Every example goes to one of eight narrow experts."""

    def __init__(self, bias: float, hidden: int = 1) -> None:
        super().__init__()
        self.router = nn.Linear(64, 8)
        with torch.no_grad():
            self.router.bias[0] += bias
        self.inner = nn.Parameter(torch.randn(8, 64, hidden) / 8.0)
        self.outer = nn.Parameter(torch.randn(8, hidden, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify ``[n, 64]``."""
        weight, chosen = self.router(x).softmax(-1).topk(1, -1)
        gate = torch.zeros(len(x), 8).scatter(1, chosen, weight)
        found = torch.tanh(torch.einsum("nf,efh->neh", x, self.inner))
        return torch.einsum("neh,eho,ne->no", found, self.outer, gate)


def _experts(bias: float, _seed: int) -> Built:
    return Experts(bias), flat(), "cross_entropy"


SHELF.sick("experts-one", "JR604", "a router that sends everything to one expert")(functools.partial(_experts, 50.0))
SHELF.healthy("experts", "a router that spreads examples over experts")(functools.partial(_experts, 0.0))


def _nearly(weight: torch.Tensor) -> None:
    nn.init.normal_(weight, mean=1.0 / weight[0].numel(), std=1e-7)


def _copies(depth: int, activation: type[nn.Module], _seed: int) -> Built:
    pixels, classes = drawn(128)
    return initialized(mlp(depth, activation), _nearly), (pixels.flatten(1) / 16.0, classes), "cross_entropy"


for _depth in (3, 6):
    SHELF.sick(f"copies-{_depth}", "JR604", "weights that differ by 1e-7 alone: units are copies but for rounding")(
        functools.partial(_copies, _depth, nn.ReLU)
    )


def _copied_channels(_seed: int) -> Built:
    layers = [nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    pixels, classes = drawn(128)
    model = initialized(nn.Sequential(*layers, nn.Linear(16, 10)), _nearly)
    return model, (pixels.unsqueeze(1) / 16.0, classes), "cross_entropy"


SHELF.sick("copies-cnn", "JR604", "convolutions whose channels differ by 1e-7 alone")(_copied_channels)

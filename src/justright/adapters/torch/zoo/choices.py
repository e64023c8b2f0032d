"""Attention that has chosen before any training, and what makes it harmless."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, images, prepared, sequences

SHELF = Shelf("choices", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]

WIDTH = 32


@torch.no_grad()
def _sharpen(layer: nn.MultiheadAttention, factor: float) -> None:
    """Scale the queries, and so the logits."""
    assert layer.in_proj_weight is not None
    layer.in_proj_weight[:WIDTH] *= factor


class Decoder(nn.Module):
    """A post-norm encoder over the pixels of an image, of which a decoder reads by cross attention."""

    def __init__(self, sharp: float) -> None:
        super().__init__()
        self.pixel, self.position = nn.Linear(1, WIDTH), nn.Parameter(torch.randn(64, WIDTH))
        encoder = nn.TransformerEncoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(encoder, 1, enable_nested_tensor=False)
        self.start = nn.Parameter(torch.randn(1, 4, WIDTH))
        decoder = nn.TransformerDecoderLayer(WIDTH, 4, 64, dropout=0.0, batch_first=True)
        self.decoder = nn.TransformerDecoder(decoder, 1)
        self.head = nn.Linear(4 * WIDTH, 10)
        for module in self.modules():
            if isinstance(module, nn.MultiheadAttention):
                _sharpen(module, sharp)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape ``[n, 1, 8, 8]``."""
        memory = self.encoder(self.pixel(x.flatten(2).transpose(1, 2)) + self.position)
        return self.head(self.decoder(self.start.expand(len(x), -1, -1), memory).flatten(1))


class Attention(nn.Module):
    """Attention of four heads, written by hand as einsums; given no query of its own, every position asks."""

    def __init__(self, sharp: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Parameter(torch.randn(WIDTH, 4, 8) / WIDTH**0.5) for _ in range(3))
        self.join = nn.Parameter(torch.randn(4, 8, WIDTH) / WIDTH**0.5)
        self.sharp = sharp

    def forward(self, x: torch.Tensor, asking: torch.Tensor | None = None) -> torch.Tensor:
        """Read the positions of ``[n, positions, width]``."""
        query = torch.einsum("nqc,chd->nhqd", x if asking is None else asking, self.query)
        key, value = (torch.einsum("nkc,chd->nhkd", x, each) for each in (self.key, self.value))
        weights = (torch.einsum("nhqd,nhkd->nhqk", query, key) * (self.sharp / 8**0.5)).softmax(-1)
        return torch.einsum("nhqd,hdc->nqc", weights @ value, self.join)


class Patches(nn.Module):
    """ViT-like: patches of an image, blocks beside skips, and a class token that reads the patches."""

    def __init__(self, sharp: float, depth: int = 2) -> None:
        super().__init__()
        self.patch, self.position = nn.Conv2d(1, WIDTH, 2, stride=2), nn.Parameter(torch.randn(16, WIDTH))
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.blocks = nn.Sequential(
            *(Residual(nn.Sequential(nn.LayerNorm(WIDTH), Attention(sharp))) for _ in range(depth))
        )
        self.norm, self.last = nn.LayerNorm(WIDTH), Attention(sharp)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 64), nn.GELU(), nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape ``[n, 1, 8, 8]``."""
        patches = self.norm(self.blocks(self.patch(x).flatten(2).transpose(1, 2) + self.position))
        token = self.token.expand(len(x), -1, -1)
        return self.head((token + self.last(patches, token)).squeeze(1))


class Copying(nn.Module):
    """Attention beside skips, and an answer for each token."""

    def __init__(self, sharp: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, WIDTH)  # 17 gray levels and three special tokens
        self.position = nn.Parameter(torch.randn(32, WIDTH))
        blocks = (Residual(nn.Sequential(nn.LayerNorm(WIDTH), Attention(sharp))) for _ in range(2))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(WIDTH, 20)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Answer ``[n, positions]`` with logits ``[n * positions, tokens]``."""
        return self.head(self.blocks(self.embedding(ids) + self.position)).flatten(0, 1)


def _reading(network: type[nn.Module], sharp: float, _seed: int) -> Built:
    return network(sharp), images(64), "cross_entropy"


def _copying(sharp: float, _seed: int) -> Built:
    ids = sequences()
    return Copying(sharp), (ids, ids.flatten()), "cross_entropy"


SHELF.healthy("copy-sharp", "near miss: attention that has chosen, beside skips that do the copying")(
    functools.partial(_copying, 3000.0)
)
SHELF.sick("decoder-sharp", "JR603", "a post-norm encoder and cross attention whose queries are scaled by 3,000")(
    functools.partial(_reading, Decoder, 3000.0)
)
SHELF.healthy("decoder", "near miss: the same with queries scaled by 3")(functools.partial(_reading, Decoder, 3.0))
SHELF.sick("patches-sharp", "JR603", "ViT-like, attention written by hand with logits scaled by 3,000")(
    functools.partial(_reading, Patches, 3000.0)
)
SHELF.healthy("patches", "near miss: the same with logits scaled by 3")(functools.partial(_reading, Patches, 3.0))

"""Transformers out of PyTorch's own layers, over the rows of digits."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, images, prepared

SHELF = Shelf("attention", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]


class Rows(nn.Module):
    """An encoder over the rows of an image, and a head at their mean."""

    def __init__(self, encoder: nn.Module, *, causal: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 32)
        self.position = nn.Parameter(0.02 * torch.randn(8, 32))
        self.encoder = encoder
        self.head = nn.Linear(32, 10)
        self.register_buffer("mask", torch.full((8, 8), float("-inf")).triu(1) if causal else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8]."""
        rows = self.embedding(x.squeeze(1)) + self.position
        found = self.encoder(rows) if self.mask is None else self.encoder(rows, mask=self.mask)
        return self.head(found.mean(1))


def _encoder(*, first: bool, layers: int = 3) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, norm_first=first, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


@SHELF.healthy("pre-norm", "normalization before every branch")
def _pre(_seed: int) -> Built:
    return Rows(_encoder(first=True)), images(64), "cross_entropy"


@SHELF.healthy("post-norm", "normalization after every sum")
def _post(_seed: int) -> Built:
    return Rows(_encoder(first=False)), images(64), "cross_entropy"


@SHELF.healthy("masked", "a causal mask of minus infinity")
def _masked(_seed: int) -> Built:
    return Rows(_encoder(first=True, layers=2), causal=True), images(64), "cross_entropy"


class Mixer(nn.Module):
    """Turns positions into channels around a function."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the function along positions."""
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


@SHELF.healthy("mixer", "multilayer perceptrons along positions and along channels")
def _mixer(_seed: int) -> Built:
    def block() -> list[nn.Module]:
        tokens = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
        channels = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        return [Residual(nn.Sequential(nn.LayerNorm(32), Mixer(tokens))), Residual(channels)]

    layers = [part for _ in range(3) for part in block()]
    return Rows(nn.Sequential(*layers)), images(64), "cross_entropy"


def _sick(weight: Any, _seed: int) -> Built:  # noqa: ANN401
    blocks = [part for _ in range(12) for part in (nn.Linear(32, 32), nn.ReLU())]
    model = Rows(nn.Sequential(*blocks))
    for module in model.encoder.modules():
        if isinstance(module, nn.Linear):
            weight(module.weight)
            nn.init.zeros_(module.bias)
    return model, images(64), "cross_entropy"


SHELF.sick("tokens-tiny", "JR101", "twelve layers of weights of standard deviation 0.02 over tokens, unnormalized")(
    functools.partial(_sick, functools.partial(nn.init.normal_, std=0.02))
)
SHELF.sick("tokens-constant", "JR301", "constant weights in every layer over tokens")(
    functools.partial(_sick, functools.partial(nn.init.constant_, val=0.05))
)


class Attention(nn.Module):
    """Attention of one head, with a softmax of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(32, 96)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attend where the mask is zero."""
        query, key, value = self.projection(x).chunk(3, -1)
        return x + (query @ key.transpose(1, 2) / 32**0.5 + mask).softmax(-1) @ value


def _own(_seed: int) -> Built:
    return Rows(Attention(), causal=True), images(64), "cross_entropy"


SHELF.healthy("masked-own", "near miss: minus infinity in a softmax of one's own, a position left in every row")(_own)


@SHELF.sick("masked-row", "JR401", "a mask that leaves a row without any position: a softmax of minus infinities")
def _masked_row(seed: int) -> Built:
    model, batch, loss = _own(seed)
    model.mask[3] = float("-inf")  # type: ignore[index, operator]
    return model, batch, loss

"""Networks that start well, with optimizers whose steps are too large, too small, or lost to rounding."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, flat, images, initialized, mlp, prepared, scaled

SHELF = Shelf("steps", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]
Make = Callable[[Any], torch.optim.Optimizer]

LOSS = "cross_entropy"


def _sgd(rate: float, momentum: float = 0.0) -> Make:
    return functools.partial(torch.optim.SGD, lr=rate, momentum=momentum)


def _adam(rate: float) -> Make:
    return functools.partial(torch.optim.Adam, lr=rate)


def _adamw(rate: float) -> Make:
    return functools.partial(torch.optim.AdamW, lr=rate)


def _plain(_seed: int) -> Built:
    return initialized(mlp(4, nn.ReLU), scaled(2**0.5)), flat(), LOSS


def _deep(_seed: int) -> Built:
    return initialized(mlp(10, nn.Tanh), nn.init.xavier_normal_), flat(), LOSS


def _convolutional(_seed: int) -> Built:
    layers = [
        part
        for ins, outs in ((1, 8), (8, 16), (16, 16))
        for part in (nn.Conv2d(ins, outs, 3, padding=1), nn.BatchNorm2d(outs), nn.ReLU())
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)), images(64), LOSS


class Rows(nn.Module):
    """Pre-norm attention over the rows of an image, and a head at their mean."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, norm_first=True, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8]."""
        return self.head(self.encoder(self.embedding(x.squeeze(1))).mean(1))


def _attention(layers: int, _seed: int) -> Built:
    return Rows(layers), images(64), LOSS


class Scaled(nn.Module):
    """A linear layer whose weights have standard deviation 1 and whose result is scaled instead."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outs, ins))
        self.gain = (2 / ins) ** 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        return self.gain * nn.functional.linear(x, self.weight)


def _unit_weights(_seed: int) -> Built:
    sizes = (64, 256, 256, 256)
    layers = [part for ins, outs in itertools.pairwise(sizes) for part in (Scaled(ins, outs), nn.ReLU())]
    return nn.Sequential(*layers, Scaled(256, 10)), flat(), LOSS


def _perceptrons(_seed: int) -> Built:
    blocks = [Residual(nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64))) for _ in "123"]
    return nn.Sequential(*blocks, nn.Linear(64, 10)), flat(), LOSS


def _halved(build: Callable[[int], Built], seed: int) -> Built:
    """Keep model and inputs in bfloat16."""
    model, (inputs, target), loss = build(seed)
    return model.to(torch.bfloat16), (inputs.to(torch.bfloat16), target), loss


_three = functools.partial(_attention, 3)
_one = functools.partial(_attention, 1)

SHELF.sick("large-mlp-sgd", "JR901", "plain SGD at 3 where 0.1 trains", optimizer=_sgd(3.0))(_plain)
SHELF.sick("large-mlp-adam", "JR901", "Adam at 1: a first step of six times the weights", optimizer=_adam(1.0))(_plain)
SHELF.sick("large-deep-momentum", "JR901", "momentum at 1 over ten layers of tanh", optimizer=_sgd(1.0, 0.9))(_deep)
SHELF.sick("large-attention", "JR901", "plain SGD at 3 on three blocks of attention", optimizer=_sgd(3.0))(_three)
SHELF.sick("large-convolution", "JR901", "momentum at 30 through batch normalization", optimizer=_sgd(30.0, 0.9))(
    _convolutional
)
SHELF.healthy("edge-mlp-sgd", "near miss: the first step is ten times the stable one", optimizer=_sgd(0.1))(_plain)
SHELF.healthy("edge-attention", "near miss: Adam's first step raises the loss", optimizer=_adam(0.03))(_three)
SHELF.healthy("edge-convolution", "near miss: SGD at 1, from which batch normalization recovers", optimizer=_sgd(1.0))(
    _convolutional
)

SHELF.sick("small-mlp", "JR902", "plain SGD at 1e-8", optimizer=_sgd(1e-8))(_plain)
SHELF.sick("small-attention", "JR902", "AdamW at 1e-9", optimizer=_adamw(1e-9))(_three)
SHELF.sick("small-convolution", "JR902", "momentum at 1e-9", optimizer=_sgd(1e-9, 0.9))(_convolutional)
SHELF.sick("zero-rate", "JR902", "a learning rate of zero", optimizer=_adam(0.0))(_perceptrons)
SHELF.healthy("slow-mlp", "near miss: plain SGD at 0.01, slow and sure", optimizer=_sgd(0.01))(_plain)
SHELF.healthy("slow-attention", "near miss: AdamW at 5e-4", optimizer=_adamw(5e-4))(_three)


@SHELF.healthy("small-from-zero", "near miss: a model of zeros has no ratio of step to weight", optimizer=_sgd(0.1))
def _zeros(_seed: int) -> Built:
    model = nn.Linear(64, 10)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model, flat(), LOSS


SHELF.sick("lost-unit-weights", "JR503", "bfloat16 weights of size 1 under Adam at 3e-4", optimizer=_adam(3e-4))(
    functools.partial(_halved, _unit_weights)
)
SHELF.sick("lost-mlp", "JR503", "bfloat16 weights under Adam at 1e-4", optimizer=_adam(1e-4))(
    functools.partial(_halved, _plain)
)
SHELF.sick("lost-attention", "JR503", "bfloat16 attention under AdamW at 2e-5", optimizer=_adamw(2e-5))(
    functools.partial(_halved, _one)
)
SHELF.sick("lost-convolution", "JR503", "bfloat16 convolutions under SGD at 1e-4", optimizer=_sgd(1e-4))(
    functools.partial(_halved, _convolutional)
)
SHELF.healthy("kept-unit-weights", "near miss: the same weights in float32", optimizer=_adam(3e-4))(_unit_weights)
SHELF.healthy("kept-mlp", "near miss: bfloat16 weights under Adam at 1e-3", optimizer=_adam(1e-3))(
    functools.partial(_halved, _plain)
)
SHELF.healthy("kept-attention", "near miss: bfloat16 attention under AdamW at 1e-3", optimizer=_adamw(1e-3))(
    functools.partial(_halved, _one)
)

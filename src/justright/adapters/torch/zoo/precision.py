"""Networks that train in float32 and not in float16: numbers beyond its range, or below it."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import flat, images, initialized, mlp, prepared, scaled

SHELF = Shelf("precision", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]

HE = scaled(2**0.5)


class Spectrum(nn.Module):
    """Powers of the Fourier components of each image, times a calibration, and a network over their logarithms."""

    def __init__(self, calibration: float) -> None:
        super().__init__()
        angles = 2 * math.pi * torch.outer(torch.arange(64.0), torch.arange(1.0, 33.0)) / 64
        self.register_buffer("waves", torch.cat([angles.cos(), angles.sin()], 1) * calibration)
        self.body = nn.Sequential(nn.LayerNorm(64), initialized(mlp(3, nn.ReLU), HE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 64]."""
        components = x @ self.waves  # type: ignore[operator]
        signs = components.sign()
        return self.body(signs * (components * components + 1.0).log())


def _spectrum(calibration: float, _seed: int) -> Built:
    return Spectrum(calibration), flat(), "cross_entropy"


SHELF.sick("spectrum", "JR501", "powers of Fourier components of a few hundred", dtype="float16")(
    functools.partial(_spectrum, 40.0)
)
SHELF.healthy("spectrum-scaled", "near miss: the same with orthonormal waves")(functools.partial(_spectrum, 0.125))


class Polynomial(nn.Module):
    """Products of standardized features with themselves, normalized before they are used."""

    def __init__(self, power: int) -> None:
        super().__init__()
        self.power = power
        self.lift = initialized(nn.Linear(64, 128), scaled(2.0))
        self.norm = nn.BatchNorm1d(128)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 64]."""
        features = self.lift(x)
        raised = features
        for _ in range(self.power - 1):
            raised = raised * features
        return self.head(self.norm(raised))


def _polynomial(power: int, _seed: int) -> Built:
    return Polynomial(power), flat(), "cross_entropy"


SHELF.sick("polynomial-9", "JR501", "ninth powers of features in front of batch normalization", dtype="float16")(
    functools.partial(_polynomial, 9)
)
SHELF.healthy("polynomial-3", "near miss: third powers")(functools.partial(_polynomial, 3))


class LinearAttention(nn.Module):
    """Attention without softmax: keys and values are summed over all positions before the queries see them."""

    def __init__(self, width: int, divided: bool) -> None:
        super().__init__()
        self.embedding = nn.Linear(1, width)
        self.projection = nn.Linear(width, 3 * width)
        self.position = nn.Parameter(torch.randn(256, width))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)
        self.divided = divided

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8], every pixel four times a position."""
        pixels = x.flatten(1).repeat_interleave(4, 1).unsqueeze(-1)
        query, key, value = self.projection(self.embedding(pixels) + self.position).chunk(3, -1)
        query, key, value = 4 * nn.functional.relu(query), 4 * nn.functional.relu(key), 4 * value + 4
        if self.divided:
            query, key = query / query.shape[-1], key / key.shape[1]
        summed = key.transpose(1, 2) @ value
        return self.head(self.norm(query @ summed).mean(1))


def _linear_attention(divided: bool, _seed: int) -> Built:
    return LinearAttention(48, divided), images(32), "cross_entropy"


SHELF.sick("linear-attention", "JR501", "attention without softmax, summed over 256 positions", dtype="float16")(
    functools.partial(_linear_attention, False)
)
SHELF.healthy("linear-attention-mean", "near miss: the same, averaged over positions and features")(
    functools.partial(_linear_attention, True)
)


class Charges(nn.Module):
    """Charges in coulomb out of an image, one layer of potentials, and a network over them in other units."""

    def __init__(self, charge: float) -> None:
        super().__init__()
        self.charges = initialized(nn.Linear(64, 64, bias=False), scaled(1.0))
        self.potential = initialized(nn.Linear(64, 64, bias=False), scaled(1.0))
        self.body = initialized(mlp(3, nn.ReLU), HE)
        self.charge = charge

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 64]."""
        return self.body(self.potential(self.charges(x) * self.charge) * (1 / self.charge))


def _charges(charge: float, _seed: int) -> Built:
    return Charges(charge), flat(), "cross_entropy"


SHELF.sick("charges", "JR502", "charges of 1e-9 in between, as in SI units", dtype="float16")(
    functools.partial(_charges, 1e-9)
)
SHELF.healthy("charges-small", "near miss: the same with charges of 1e-4")(functools.partial(_charges, 1e-4))


class OwnNorm(nn.Module):
    """A normalization by the root mean square, written by hand."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize the last axis."""
        return x / ((x * x).mean(-1, keepdim=True) + self.epsilon).sqrt()


def _own_norm(size: float, _seed: int) -> Built:
    model = nn.Sequential(nn.Linear(64, 64), OwnNorm(1e-20), initialized(mlp(3, nn.ReLU), HE))
    first = model[0]
    nn.init.normal_(first.weight, std=size)  # type: ignore[arg-type]
    nn.init.zeros_(first.bias)  # type: ignore[arg-type]
    return model, flat(), "cross_entropy"


SHELF.sick("own-norm", "JR502", "a norm by hand over features of 1e-5, whose squares vanish", dtype="float16")(
    functools.partial(_own_norm, 1e-6)
)
SHELF.healthy("own-norm-unit", "near miss: the same over features of order one")(functools.partial(_own_norm, 0.125))


class Probabilities(nn.Module):
    """A product of probabilities, one for each part of an image, and a classifier over their logarithms."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Conv2d(1, 16, 3, padding=1) for _ in range(6)])
        self.head = nn.Linear(16 * 16, 10)
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8]."""
        product = torch.sigmoid(self.parts[0](x) - self.offset)
        for part in list(self.parts)[1:]:
            product = product * torch.sigmoid(part(x) - self.offset)
        return self.head(nn.functional.avg_pool2d(product.log(), 2).flatten(1))


def _probabilities(offset: float, _seed: int) -> Built:
    return Probabilities(offset), images(32), "cross_entropy"


SHELF.sick("probabilities", "JR502", "a product of six probabilities of 2 %, and its logarithm", dtype="float16")(
    functools.partial(_probabilities, 4.0)
)
SHELF.healthy("probabilities-even", "near miss: the same with probabilities of one half")(
    functools.partial(_probabilities, 0.0)
)


class Apart(nn.Module):
    """A tiny and a huge quantity in a row, each in front of batch normalization."""

    def __init__(self, small: float, large: float) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64, bias=False)
        self.second = initialized(nn.Linear(64, 64, bias=False), HE)
        self.norms = nn.ModuleList([nn.BatchNorm1d(64, eps=1e-30) for _ in range(2)])
        self.head = nn.Linear(64, 10)
        nn.init.normal_(self.first.weight, std=small)
        self.large = large

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 64]."""
        x = torch.relu(self.norms[0](self.first(x)))
        return self.head(torch.relu(self.norms[1](self.second(x) * self.large)))


def _apart(small: float, large: float, _seed: int) -> Built:
    return Apart(small, large), flat(), "cross_entropy"


SHELF.sick("apart", "JR502", "gradients twelve decades apart: no loss scale suits both", dtype="float16")(
    functools.partial(_apart, 2e-8, 5e3)
)
SHELF.healthy("apart-less", "near miss: gradients four decades apart")(functools.partial(_apart, 1e-3, 1e1))

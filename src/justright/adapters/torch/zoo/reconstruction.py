"""Networks whose target is an image: autoencoders, a U-Net, a sinusoidal network, a variational autoencoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import drawn, flat, images, prepared

SHELF = Shelf("reconstruction", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]


@SHELF.healthy("autoencoder", "64 pixels through 8 numbers and back")
def _autoencoder(_seed: int) -> Built:
    sizes = (64, 48, 24, 8, 24, 48, 64)
    layers = [part for into, out in pairwise(sizes) for part in (nn.Linear(into, out), nn.ReLU())]
    pixels, _ = flat()
    return nn.Sequential(*layers[:-1]), (pixels, pixels), "mse"


class UNet(nn.Module):
    """Two levels down, two up, joined at each level."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_double(1, 8), _double(8, 16), _double(16, 32)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ConvTranspose2d(16, 8, 2, stride=2)])
        self.merge = nn.ModuleList([_double(32, 16), _double(16, 8)])
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map an image to an image."""
        first = self.down[0](x)
        second = self.down[1](nn.functional.max_pool2d(first, 2))
        deep = self.down[2](nn.functional.max_pool2d(second, 2))
        deep = self.merge[0](torch.cat([self.up[0](deep), second], 1))
        return self.head(self.merge[1](torch.cat([self.up[1](deep), first], 1)))


def _double(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(),
        nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(),
    )  # fmt: skip


@SHELF.healthy("unet", "takes the noise out of an image")
def _unet(_seed: int) -> Built:
    pixels, _ = images(64)
    return UNet(), (pixels + 0.5 * torch.randn_like(pixels), pixels), "mse"


class Sine(nn.Module):
    """sin(30 (W x + b)) under the initialization of sinusoidal representation networks."""

    def __init__(self, into: int, out: int, *, first: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(into, out)
        bound = 1 / into if first else (6 / into) ** 0.5 / 30
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        return torch.sin(30 * self.linear(x))


@SHELF.healthy("siren", "one image as a function of its coordinates")
def _siren(_seed: int) -> Built:
    axis = torch.linspace(-1, 1, 8)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    image = drawn(1)[0].reshape(-1, 1) / 16.0
    hidden = [Sine(64, 64, first=False) for _ in range(2)]
    model = nn.Sequential(Sine(2, 64, first=True), *hidden, nn.Linear(64, 1))
    return model, (grid, image), "mse"


class VariationalAutoencoder(nn.Module):
    """Draws its code, so that every forward differs."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16))
        self.decoder = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 64))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return reconstruction, mean and log variance."""
        mean, logarithm = self.encoder(x).chunk(2, -1)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * logarithm)
        return self.decoder(code), mean, logarithm


def negative_bound(output: tuple[torch.Tensor, ...], target: torch.Tensor) -> torch.Tensor:
    """Squared error and a small Kullback-Leibler term."""
    made, mean, logarithm = output
    divergence = 0.5 * (mean.square() + logarithm.exp() - 1 - logarithm).mean()
    return nn.functional.mse_loss(made, target) + 0.01 * divergence


@SHELF.healthy("vae", "a code drawn at random, and a loss of its own")
def _vae(_seed: int) -> Built:
    pixels, _ = flat()
    return VariationalAutoencoder(), (pixels, pixels), negative_bound

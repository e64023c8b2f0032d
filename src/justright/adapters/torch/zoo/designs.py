"""Designs that keep a deep network trainable in ways of their own: each shows a symptom that is meant."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, flat, images, initialized, prepared, scaled

SHELF = Shelf("designs", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]


class ChannelsLast(nn.Module):
    """Applies a function of channels at every pixel."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Move the channels to the end and back."""
        return self.inner(x.movedim(1, -1)).movedim(-1, 1)


class LayerScale(nn.Module):
    """A scale for every channel that starts at a small number."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale the channels."""
        return self.scale * x


@SHELF.healthy("convnext", "ConvNeXt-like: large depthwise kernels, GELU, layer scale that starts at 1e-6")
def _convnext(_seed: int) -> Built:
    def branch() -> nn.Sequential:
        pointwise = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))
        return nn.Sequential(nn.Conv2d(16, 16, 7, padding=3, groups=16), ChannelsLast(pointwise), LayerScale(16, 1e-6))

    blocks = [Residual(branch()) for _ in range(6)]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 10)]
    stem = nn.Sequential(nn.Conv2d(1, 16, 2, stride=2), ChannelsLast(nn.LayerNorm(16)))
    for module in (*stem.modules(), *nn.Sequential(*blocks, *head).modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
    return nn.Sequential(stem, *blocks, *head), images(64), "cross_entropy"


class StandardizedConv(nn.Conv2d):
    """A convolution whose weights have mean 0 and variance 1/fan_in for every output, times a learned gain."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__(into, out, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(out, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with the standardized weight."""
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        scale = (centred.pow(2).mean((1, 2, 3), keepdim=True) * self.weight[0].numel() + 1e-4).rsqrt()
        return nn.functional.conv2d(x, self.gain * centred * scale, self.bias, padding=1)


class ScaledReLU(nn.Module):
    """ReLU times the gain that gives a Gaussian input a variance of 1: sqrt(2 / (1 - 1/pi))."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply it."""
        return torch.relu(x) * 1.7139588594436646


class Downscaled(nn.Module):
    """x / beta before a branch, with beta the standard deviation expected at this block."""

    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Divide."""
        return x / self.beta


@SHELF.healthy("nfnet", "NFNet-like: standardized weights, no normalization, branches that start at zero")
def _nfnet(_seed: int) -> Built:
    def branch(index: int) -> nn.Sequential:
        beta = (1 + 0.04 * index) ** 0.5  # every branch adds alpha^2 = 0.2^2 to the variance
        return nn.Sequential(
            Downscaled(beta), ScaledReLU(), StandardizedConv(16, 16), ScaledReLU(), StandardizedConv(16, 16)
        )

    blocks = [Residual(branch(index), scale=0.0) for index in range(6)]
    head = [ScaledReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(StandardizedConv(1, 16), *blocks, *head), images(64), "cross_entropy"


class DeepNorm(nn.Module):
    """LayerNorm(alpha x + branch(x)) with alpha = (2 N)^(1/4) for N layers."""

    def __init__(self, branch: nn.Module, layers: int) -> None:
        super().__init__()
        self.branch, self.norm, self.alpha = branch, nn.LayerNorm(32), (2 * layers) ** 0.25

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the branch to an enlarged stream."""
        return self.norm(self.alpha * x + self.branch(x))


class SelfAttention(nn.Module):
    """Attention of rows to rows, with four heads."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend."""
        return self.attend(x, x, x, need_weights=False)[0]


@SHELF.healthy("deepnorm", "post-norm with DeepNorm's scales, 18 layers")
def _deepnorm(_seed: int) -> Built:
    layers: list[nn.Module] = []
    beta = (8 * 18) ** -0.25
    for _ in range(18):
        attention = SelfAttention()
        feed = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))
        for module in (feed[0], feed[2], attention.attend.out_proj):
            nn.init.xavier_normal_(module.weight, gain=beta)  # type: ignore[arg-type]
        nn.init.xavier_normal_(attention.attend.in_proj_weight[64:], gain=beta)  # the values
        layers += [DeepNorm(attention, 18), DeepNorm(feed, 18)]
    model = nn.Sequential(nn.Flatten(1, 2), nn.Linear(8, 32), *layers, nn.Flatten(), nn.Linear(256, 10))
    return model, images(64), "cross_entropy"


class GraphConvolution(nn.Module):
    """Two rounds of D^-1/2 A D^-1/2 x W over one graph of nodes."""

    def __init__(self, adjacency: torch.Tensor) -> None:
        super().__init__()
        degree = adjacency.sum(1).rsqrt()
        self.register_buffer("mixing", degree[:, None] * adjacency * degree)
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)
        for layer in (self.first, self.second):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify every node."""
        return self.mixing @ self.second(torch.relu(self.mixing @ self.first(x)))


@SHELF.healthy("graph", "graph convolutions over digits, each joined to its five nearest")
def _graph(_seed: int) -> Built:
    pixels, classes = flat()
    near = torch.cdist(pixels, pixels).topk(6, largest=False).indices  # a digit is its own nearest
    adjacency = torch.zeros(len(pixels), len(pixels)).scatter_(1, near, 1.0)
    return GraphConvolution(adjacency.maximum(adjacency.T)), (pixels, classes), "cross_entropy"


def _leaky(*sizes: int) -> nn.Sequential:
    layers = [part for into, out in pairwise(sizes[:-1]) for part in (nn.Linear(into, out), nn.LeakyReLU(0.2))]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


@SHELF.healthy("gan-generator", "a generator behind a frozen discriminator that starts undecided")
def _generator(_seed: int) -> Built:
    generator = nn.Sequential(_leaky(16, 64, 64, 64), nn.Tanh())
    discriminator = initialized(_leaky(64, 64, 32, 1), scaled(2**0.5)).requires_grad_(requires_grad=False)
    return nn.Sequential(generator, discriminator), (torch.randn(64, 16), torch.ones(64, 1)), "bce_with_logits"


@SHELF.healthy("gan-discriminator", "a discriminator between digits and what an untrained generator makes")
def _discriminator(_seed: int) -> Built:
    with torch.no_grad():
        made = nn.Sequential(_leaky(16, 64, 64, 64), nn.Tanh())(torch.randn(64, 16))
    labels = torch.cat([torch.ones(64, 1), torch.zeros(64, 1)])
    return _leaky(64, 64, 32, 1), (torch.cat([flat(64)[0], made]), labels), "bce_with_logits"


@SHELF.healthy("logistic-regression", "all weights zero, where symmetry breaks by itself")
def _logistic(_seed: int) -> Built:
    pixels, classes = flat()
    model = nn.Linear(64, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model, (pixels, (classes == 0).float()[:, None]), "bce_with_logits"

"""What the networks of several families are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Build

__all__ = [
    "Residual",
    "drawn",
    "flat",
    "images",
    "initialized",
    "mlp",
    "prepared",
    "scaled",
    "sequences",
]

BATCH = 128
"""Examples: enough that a unit which is off for all of them is dead."""

Tensors = tuple[torch.Tensor, torch.Tensor]


def prepared(build: Build) -> Build:
    """Seed PyTorch for one build and leave its random state as it was."""

    @functools.wraps(build)
    def seeded(seed: int) -> tuple[Any, Any, Any]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(seed)

    return seeded


@functools.cache
def _digits() -> Tensors:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    data = load_digits()
    return torch.tensor(data.images, dtype=torch.float32), torch.tensor(data.target)


def drawn(count: int) -> Tensors:
    """Draw digits of 8 x 8 pixels, gray levels from 0 to 16, and their classes: ``[n, 8, 8]`` and ``[n]``."""
    pixels, classes = _digits()
    chosen = torch.randperm(len(classes))[:count]
    return pixels[chosen], classes[chosen]


def flat(count: int = BATCH) -> Tensors:
    """Draw digits as standardized vectors; shapes ``[n, 64]`` and ``[n]``."""
    pixels, classes = images(count)
    return pixels.flatten(1), classes


def images(count: int = BATCH) -> Tensors:
    """Draw digits as standardized images; shapes ``[n, 1, 8, 8]`` and ``[n]``."""
    pixels, classes = drawn(count)
    mean, std = _digits()[0].mean(), _digits()[0].std()
    return ((pixels - mean) / std).unsqueeze(1), classes


def sequences(count: int = 16) -> torch.Tensor:
    """Draw digits as sequences of 32 tokens out of 20, the lower half of the image: ``[n, 32]``."""
    return drawn(count)[0].flatten(1)[:, 32:].long() + 3


def initialized(model: nn.Module, weight: Callable[[torch.Tensor], Any], bias: float = 0.0) -> nn.Module:
    """Initialize the weights of all linear, convolutional and recurrent layers, and set all their biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.RNNBase):
            for name, parameter in module.named_parameters(recurse=False):
                if "bias" in name:
                    nn.init.constant_(parameter, bias)
                else:
                    weight(parameter)
    return model


def scaled(gain: float) -> Callable[[torch.Tensor], Any]:
    """Return an initializer with standard deviation gain / sqrt(fan_in)."""
    return lambda weight: nn.init.normal_(weight, std=gain / weight[0].numel() ** 0.5)


def mlp(
    depth: int,
    activation: Callable[[], nn.Module],
    *,
    width: int = 64,
    norm: Callable[[int], nn.Module] | None = None,
    last: Iterable[nn.Module] = (),
) -> nn.Sequential:
    """Return a network of `depth` linear layers from 64 pixels to 10 classes, under PyTorch's default weights."""
    layers: list[nn.Module] = []
    for index in range(depth - 1):
        layers.append(nn.Linear(64 if index == 0 else width, width))
        layers += [norm(width)] if norm else []
        layers.append(activation())
    return nn.Sequential(*layers, nn.Linear(width, 10), *last)


class Residual(nn.Module):
    """x + scale * branch(x); the scale is a parameter if it starts at a number, and absent by default."""

    def __init__(self, branch: nn.Module, scale: float | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.scale = None if scale is None else nn.Parameter(torch.tensor([scale]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the branch."""
        change = self.branch(x)
        return x + (change if self.scale is None else self.scale * change)

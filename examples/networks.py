"""A sick network and its healthy twin, on scikit-learn's digits.

Check either from the command line:

    justright check examples/networks.py:sigmoid_mlp
    justright check examples/networks.py:relu_mlp
"""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

DEPTH, WIDTH, CLASSES = 20, 64, 10


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return scikit-learn's handwritten digits: 1797 images of 8x8, standardized, and their classes."""
    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32)
    return (x - x.mean()) / x.std(), torch.tensor(classes)


def stack(nonlinearity: type[nn.Module]) -> nn.Sequential:
    """Build 20 hidden layers of 64 units with this nonlinearity, as PyTorch initializes them."""
    torch.manual_seed(0)
    layers = [layer for _ in range(DEPTH) for layer in (nn.Linear(WIDTH, WIDTH), nonlinearity())]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))


def sigmoid_mlp() -> dict[str, Any]:
    """Return the sick one: sigmoids, and PyTorch's default weights."""
    return {"model": stack(nn.Sigmoid), "batch": _batch(), "loss": "cross_entropy"}


def relu_mlp() -> dict[str, Any]:
    """Return its twin: ReLUs, and the weights that the report on the sick one suggests."""
    model = stack(nn.ReLU)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return {"model": model, "batch": _batch(), "loss": "cross_entropy"}


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    x, y = digits()
    return x[:128], y[:128]

"""Networks whose units are stuck on a flat part, off, or copies of each other; and some that only look so."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import drawn, flat, images, initialized, mlp, prepared, scaled

SHELF = Shelf("units", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]


def _cnn(activation: type[nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), activation(), nn.Conv2d(16, 16, 3, padding=1), activation(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


@SHELF.sick("tanh-std-10", "JR201", "weights of standard deviation 10 into tanh")
def _tanh(_seed: int) -> Built:
    return initialized(mlp(5, nn.Tanh), lambda weight: nn.init.normal_(weight, std=10.0)), flat(), "cross_entropy"


@SHELF.sick("tanh-std-1-deep", "JR201", "weights of standard deviation 1 into tanh, 16 layers")
def _tanh_deep(_seed: int) -> Built:
    return initialized(mlp(16, nn.Tanh, width=128), nn.init.normal_), flat(), "cross_entropy"


@SHELF.sick("sigmoid-bias", "JR201", "sigmoids behind a bias of 12")
def _sigmoid(_seed: int) -> Built:
    return initialized(mlp(4, nn.Sigmoid), scaled(1.0), bias=12.0), flat(), "cross_entropy"


@SHELF.sick("tanh-cnn", "JR201", "convolutions with weights of standard deviation 20 into tanh")
def _tanh_cnn(_seed: int) -> Built:
    return initialized(_cnn(nn.Tanh), lambda weight: nn.init.normal_(weight, std=20.0)), images(), "cross_entropy"


@SHELF.sick("sure-output", "JR201", "a probability that starts at 1 and a squared error, which does not answer to it")
def _sure(_seed: int) -> Built:
    model = mlp(3, nn.ReLU, last=[nn.Sigmoid()])
    nn.init.constant_(model[-2].bias, 20.0)  # type: ignore[union-attr, arg-type]
    pixels, classes = flat()
    return model, (pixels, nn.functional.one_hot(classes, 10).float()), "mse"


@SHELF.healthy("rare-output", "a probability that starts near 0 under its own cross-entropy, as detectors do")
def _rare(_seed: int) -> Built:
    model = mlp(3, nn.ReLU, last=[nn.Sigmoid()])
    nn.init.constant_(model[-2].bias, -4.6)  # type: ignore[union-attr, arg-type]
    pixels, classes = flat()
    return model, (pixels, nn.functional.one_hot(classes, 10).float()), "bce"


@SHELF.sick("relu-bias", "JR202", "ReLU behind a bias of -10")
def _relu(_seed: int) -> Built:
    return initialized(mlp(5, nn.ReLU), scaled(2**0.5), bias=-10.0), flat(), "cross_entropy"


@SHELF.sick("relu-cnn-bias", "JR202", "convolutions with a bias of -10 into ReLU")
def _relu_cnn(_seed: int) -> Built:
    return initialized(_cnn(nn.ReLU), scaled(2**0.5), bias=-10.0), images(), "cross_entropy"


@SHELF.sick("negative-weights", "JR202", "negative weights on gray levels, which are positive")
def _negative(_seed: int) -> Built:
    model = mlp(4, nn.ReLU)
    nn.init.uniform_(model[0].weight, -0.2, 0.0)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(model[0].bias)  # type: ignore[union-attr, arg-type]
    pixels, classes = drawn(128)
    return model, (pixels.flatten(1) / 16.0, classes), "cross_entropy"


@SHELF.sick("gelu-bias", "JR202", "GELU behind a bias of -10")
def _gelu(_seed: int) -> Built:
    return initialized(mlp(4, nn.GELU), scaled(2**0.5), bias=-10.0), flat(), "cross_entropy"


def _constant(value: float) -> Any:  # noqa: ANN401
    return lambda weight: nn.init.constant_(weight, value)


@SHELF.sick("constant-mlp", "JR301", "all weights 0.1: every hidden unit is the same")
def _constant_mlp(_seed: int) -> Built:
    return initialized(mlp(4, nn.ReLU), _constant(0.1)), flat(), "cross_entropy"


@SHELF.sick("constant-large-mlp", "JR301", "all weights 1: every hidden unit is the same, and signals explode for it")
def _constant_large(_seed: int) -> Built:
    return initialized(mlp(8, nn.ReLU), _constant(1.0)), flat(), "cross_entropy"


@SHELF.sick("zero-sigmoid", "JR301", "all weights zero: sigmoids of zero are one half, and stay each other's copies")
def _zero_sigmoid(_seed: int) -> Built:
    return initialized(mlp(3, nn.Sigmoid), nn.init.zeros_), flat(), "cross_entropy"


@SHELF.sick("constant-cnn", "JR301", "all weights 0.05: every channel is the same")
def _constant_cnn(_seed: int) -> Built:
    return initialized(_cnn(nn.ReLU), _constant(0.05)), images(), "cross_entropy"


class Reader(nn.Module):
    """A recurrent layer over the rows of an image, and a head at its last state."""

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(cell.hidden_size, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, rows, columns]."""
        return self.head(self.cell(x.squeeze(1))[0][:, -1])


@SHELF.sick("constant-rnn", "JR301", "all weights 0.05: every state is the same")
def _constant_rnn(_seed: int) -> Built:
    return initialized(Reader(nn.RNN(8, 32, batch_first=True)), _constant(0.05)), images(), "cross_entropy"

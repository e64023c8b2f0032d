"""Networks whose probabilities are cut off by a hard edge, and near misses that have a gradient everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the field's usual name for it
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import flat, images, mlp, prepared

SHELF = Shelf("probabilities", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]
Function = Callable[[torch.Tensor], torch.Tensor]

HALF = 4
"""Digits above are half of the ten: a task with one output."""


class Probable(nn.Module):
    """A network whose outputs a function makes probabilities of."""

    def __init__(self, body: nn.Module, function: Function) -> None:
        super().__init__()
        self.body, self.function = body, function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities."""
        return self.function(self.body(x))


def _binary(function: Function, _seed: int) -> Built:
    pixels, classes = flat()
    body = nn.Sequential(mlp(3, nn.ReLU)[:-1], nn.Linear(64, 1))
    return Probable(body, function), (pixels, (classes > HALF).float().unsqueeze(1)), "bce"


def _convolved(function: Function, _seed: int) -> Built:
    pixels, classes = images()
    body = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    return Probable(body, function), (pixels, F.one_hot(classes, 10).float()), "bce"


def by_hand(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of probabilities that are kept away from zero and one."""
    kept = output.clamp(1e-7, 1 - 1e-7)
    return -(target * kept.log() + (1 - target) * (1 - kept).log()).mean()


def _labelled(depth: int, loss: Any, function: Function, _seed: int) -> Built:  # noqa: ANN401
    pixels, classes = flat()
    return Probable(mlp(depth, nn.Tanh), function), (pixels, F.one_hot(classes, 10).float()), loss


def clipped(x: torch.Tensor) -> torch.Tensor:
    """Cut off what lies outside of [0, 1]."""
    return x.clamp(0.0, 1.0)


SHELF.sick("relu-clamped", "JR702", "a ReLU clamped to [0, 1], read as a probability")(
    functools.partial(_binary, lambda x: clipped(torch.relu(x)))
)
SHELF.sick("hardtanh-cnn", "JR702", "convolutions, and a hard tanh from 0 to 1 in place of a sigmoid")(
    functools.partial(_convolved, lambda x: F.hardtanh(x, 0.0, 1.0))
)
SHELF.sick("clamped-deep", "JR702", "scores of six tanh layers, clamped to [0, 1] and read as probabilities")(
    functools.partial(_labelled, 6, "bce", clipped)
)
SHELF.healthy("sigmoid-clamped", "near miss: a sigmoid that is kept away from zero and one")(
    functools.partial(_binary, lambda x: torch.sigmoid(x).clamp(1e-6, 1 - 1e-6))
)
SHELF.healthy("tanh-halved", "near miss: half of one plus a tanh, kept away from zero and one")(
    functools.partial(_binary, lambda x: ((1 + torch.tanh(x)) / 2).clamp(1e-6, 1 - 1e-6))
)
SHELF.healthy("softmax-by-hand", "near miss: a softmax into a cross-entropy that clamps it")(
    functools.partial(_labelled, 4, by_hand, lambda x: x.softmax(-1))
)
SHELF.healthy("hard-sigmoid", "near miss: a hard sigmoid, whose edges are far from the scores at the start")(
    functools.partial(_convolved, F.hardsigmoid)
)

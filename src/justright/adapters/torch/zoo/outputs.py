"""Networks whose last operator does not fit their loss, that start far from chance, or divide by what may be zero."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the field's usual name for it
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import flat, images, mlp, prepared

SHELF = Shelf("outputs", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]
Function = Callable[[torch.Tensor], torch.Tensor]


class Apply(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the function."""
        return self.function(x)


class Mixed(nn.Module):
    """Attention over the rows of an image, whose weights are what a function makes of the scores, over their sum."""

    def __init__(self, weigh: Function, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Linear(8, 32)
        self.projections = nn.ModuleList(nn.Linear(32, 96) for _ in range(layers))
        self.head = nn.Linear(32, 10)
        self.weigh = weigh

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8]."""
        x = self.embedding(x.squeeze(1))
        for projection in self.projections:
            query, key, value = projection(x).chunk(3, -1)
            weights = self.weigh(query @ key.transpose(1, 2) / 32**0.5)
            x = x + weights / weights.sum(-1, keepdim=True) @ value
        return self.head(x.mean(1))


class Ratio(nn.Module):
    """A rational layer: one linear function of the hidden units over another."""

    def __init__(self, below: Function) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.above, self.under = nn.Linear(64, 64), nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)
        self.below = below

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify vectors of shape [n, 64]."""
        hidden = self.body(x)
        return self.head(self.above(hidden) / self.below(self.under(hidden)))


def _cnn(*last: nn.Module, out: int = 10) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(512, out), *last,
    )  # fmt: skip


def _large() -> tuple[torch.Tensor, torch.Tensor]:
    """Draw digits and whether each is 5 or more: a task with one output."""
    pixels, classes = flat()
    return pixels, (classes > 4).float().unsqueeze(1)  # noqa: PLR2004  half of ten digits


def _one_hot() -> tuple[torch.Tensor, torch.Tensor]:
    pixels, classes = flat()
    return pixels, F.one_hot(classes, 10).float()


def _mlp_with(depth: int, last: nn.Module, _seed: int) -> Built:
    return mlp(depth, nn.ReLU, last=[last]), flat(), "cross_entropy"


SHELF.healthy("bare", "near miss: bare scores into a cross-entropy")(functools.partial(_mlp_with, 3, nn.Identity()))
SHELF.healthy("log-softmax-twice", "near miss: a log-softmax before another one is the same as one")(
    functools.partial(_mlp_with, 3, nn.LogSoftmax(-1))
)
SHELF.healthy("tanh-scaled", "near miss: scores confined to [-20, 20] by a scaled tanh")(
    functools.partial(_mlp_with, 3, Apply(lambda x: 20 * torch.tanh(x / 20)))
)
SHELF.sick("softmax-twice", "JR702", "a softmax before a cross-entropy on scores")(
    functools.partial(_mlp_with, 3, nn.Softmax(-1))
)
SHELF.sick("sigmoid-scores", "JR702", "a sigmoid for every class before a cross-entropy on scores")(
    functools.partial(_mlp_with, 4, nn.Sigmoid())
)
SHELF.healthy("tanh-scores", "near miss: scores confined to [-1, 1], where a third of chance stays")(
    functools.partial(_mlp_with, 3, nn.Tanh())
)


@SHELF.sick("softmax-twice-cnn", "JR702", "convolutions, a softmax, and a cross-entropy on scores", twin="outputs/cnn")
def _softmax_cnn(_seed: int) -> Built:
    return _cnn(nn.Softmax(-1)), images(), "cross_entropy"


@SHELF.healthy("cnn", "near miss: the same convolutions without a softmax")
def _plain_cnn(_seed: int) -> Built:
    return _cnn(), images(), "cross_entropy"


@SHELF.sick("softmax-one", "JR702", "a softmax over a single unit, which is always 1")
def _single(_seed: int) -> Built:
    return nn.Sequential(mlp(3, nn.ReLU)[:-1], nn.Linear(64, 1), nn.Softmax(-1)), _large(), "mse"


@SHELF.sick("softmax-one-cnn", "JR702", "convolutions and a softmax over a single unit")
def _single_cnn(_seed: int) -> Built:
    pixels, classes = images()
    return _cnn(nn.Softmax(-1), out=1), (pixels, (classes > 4).float().unsqueeze(1)), "bce"  # noqa: PLR2004


@SHELF.healthy("sigmoid-one", "near miss: a sigmoid over a single unit")
def _sigmoid_one(_seed: int) -> Built:
    return nn.Sequential(mlp(3, nn.ReLU)[:-1], nn.Linear(64, 1), nn.Sigmoid()), _large(), "bce"


@SHELF.sick("sigmoid-twice", "JR702", "a sigmoid before a binary cross-entropy on logits")
def _sigmoid_twice(_seed: int) -> Built:
    return mlp(3, nn.ReLU, last=[nn.Sigmoid()]), _one_hot(), "bce_with_logits"


@SHELF.sick("relu-logits", "JR702", "logits that cannot be negative")
def _relu_logits(_seed: int) -> Built:
    return mlp(4, nn.ReLU, last=[nn.ReLU()]), _one_hot(), "bce_with_logits"


@SHELF.healthy("logits", "near miss: bare logits into a binary cross-entropy")
def _logits(_seed: int) -> Built:
    return mlp(3, nn.ReLU), _one_hot(), "bce_with_logits"


def _autoencoder(last: nn.Module, _seed: int) -> Built:
    pixels = flat()[0]
    layers = [nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 48), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(48, 64), last), (pixels, pixels), "mse"


SHELF.sick("relu-values", "JR702", "standardized pixels from an output that cannot be negative")(
    functools.partial(_autoencoder, nn.ReLU())
)
SHELF.healthy("elu-values", "near miss: standardized pixels, all above -1, from an ELU")(
    functools.partial(_autoencoder, nn.ELU())
)


def written_by_hand(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of probabilities."""
    return -(target * torch.log(output + 1e-8)).sum(1).mean()


def _by_hand(axis: int, _seed: int) -> Built:
    return mlp(3, nn.ReLU, last=[nn.Softmax(axis)]), _one_hot(), written_by_hand


SHELF.healthy("by-hand", "near miss: a softmax over the classes, and a cross-entropy written by hand")(
    functools.partial(_by_hand, 1)
)


def _sure(build: Callable[[], nn.Sequential], bias: float, data: Callable[[], Any], loss: str, _seed: int) -> Built:
    """Make a network sure of something before training, by its last bias."""
    model = build()
    with torch.no_grad():
        model[-1].bias[0] = bias  # type: ignore[index, operator, union-attr]
    return model, data(), loss


def _regressor() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))


def _ink() -> tuple[torch.Tensor, torch.Tensor]:
    """Draw digits and how much ink each has in its upper half, standardized."""
    pixels, _ = flat()
    ink = pixels[:, :32].sum(1, keepdim=True)
    return pixels, (ink - ink.mean()) / ink.std()


_THREE = functools.partial(mlp, 3, nn.ReLU)
SHELF.sick("sure-mlp", "JR701", "a bias that is sure of one class by 10,000 nats")(
    functools.partial(_sure, _THREE, 1e4, flat, "cross_entropy")
)
SHELF.sick("sure-binary", "JR701", "a bias that is sure of one answer by 30,000 nats")(
    functools.partial(_sure, functools.partial(mlp, 4, nn.Tanh), 3e4, _one_hot, "bce_with_logits")
)
SHELF.sick("sure-regression", "JR701", "an output that starts 100 standard deviations away from its targets")(
    functools.partial(_sure, _regressor, 100.0, _ink, "mse")
)
SHELF.sick("sure-deep", "JR701", "six layers behind a bias that is sure of one class by 30,000 nats")(
    functools.partial(_sure, functools.partial(mlp, 6, nn.ReLU), 3e4, flat, "cross_entropy")
)
SHELF.healthy("sure-little", "near miss: a bias that is sure of one class by 100 nats, 40 times chance")(
    functools.partial(_sure, _THREE, 100.0, flat, "cross_entropy")
)
SHELF.healthy("off-little", "near miss: an output that starts 5 standard deviations away from its targets")(
    functools.partial(_sure, _regressor, 5.0, _ink, "mse")
)


def _through(function: Function, _seed: int) -> Built:
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), Apply(function), nn.Linear(64, 10)]
    return nn.Sequential(*layers), flat(), "cross_entropy"


SHELF.sick("reciprocal", "JR703", "one over hidden units of both signs")(functools.partial(_through, torch.reciprocal))
SHELF.sick("by-signed-sum", "JR703", "hidden units divided by their sum, which may be zero")(
    functools.partial(_through, lambda x: x / x.sum(-1, keepdim=True))
)
SHELF.sick("sinh", "JR703", "a hyperbolic sine near overflow")(
    functools.partial(_through, lambda x: torch.sinh(60 * x))
)
SHELF.healthy("reciprocal-softplus", "near miss: one over what cannot be zero")(
    functools.partial(_through, lambda x: 1 / (F.softplus(x) + 0.1))
)
SHELF.healthy("by-absolute-sum", "near miss: hidden units divided by the sum of their magnitudes")(
    functools.partial(_through, lambda x: 64 * x / (x.abs().sum(-1, keepdim=True) + 1e-6))
)


@SHELF.sick("rational", "JR703", "a rational layer whose denominator takes both signs")
def _rational(_seed: int) -> Built:
    return Ratio(lambda x: x), flat(), "cross_entropy"


@SHELF.healthy("rational-safe", "near miss: a rational layer with a denominator of at least one")
def _rational_safe(_seed: int) -> Built:
    return Ratio(lambda x: 1 + x.abs()), flat(), "cross_entropy"


@SHELF.sick("attention-signed", "JR703", "attention weights of both signs over their sum")
def _signed(_seed: int) -> Built:
    return Mixed(lambda scores: scores), images(64), "cross_entropy"


@SHELF.healthy("attention-exp", "near miss: a softmax written by hand, at scores of about one")
def _exponential(_seed: int) -> Built:
    return Mixed(torch.exp), images(64), "cross_entropy"

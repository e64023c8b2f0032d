"""Linear models and heads that start from zero, and what zeros block."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, flat, initialized, mlp, prepared, scaled

SHELF = Shelf("zeros", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]


def _zero(*layers: Any) -> None:  # noqa: ANN401
    for layer in layers:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@SHELF.healthy("linear-regression", "one layer from zero is convex: zero is as good a start as any")
def _regression(_seed: int) -> Built:
    model = nn.Linear(64, 1)
    _zero(model)
    pixels, classes = flat()
    return model, (pixels, classes.float().unsqueeze(1) / 9.0), "mse"


@SHELF.healthy("softmax-regression", "one layer from zero, ten classes")
def _softmax(_seed: int) -> Built:
    model = nn.Linear(64, 10)
    _zero(model)
    return model, flat(), "cross_entropy"


@SHELF.healthy("zero-head", "the gradient of all other layers is exactly zero until the head has made its first step")
def _zero_head(_seed: int) -> Built:
    model = initialized(mlp(4, nn.ReLU), scaled(2**0.5))
    _zero(model[-1])  # type: ignore[index]
    return model, flat(), "cross_entropy"


def _residual(depth: int, branch: Callable[[], nn.Module], scale: float | None = None) -> nn.Sequential:
    blocks = [Residual(branch(), scale) for _ in range(depth)]
    return nn.Sequential(nn.Linear(64, 64), *blocks, nn.Linear(64, 10))


def _pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))


@SHELF.healthy("rezero", "every branch behind a scale of zero")
def _rezero(_seed: int) -> Built:
    return _residual(8, _pair, 0.0), flat(), "cross_entropy"


@SHELF.healthy("fixup", "the last weight of every branch zero, and the head too")
def _fixup(_seed: int) -> Built:
    model = initialized(_residual(8, _pair), scaled(2**0.5))
    _zero(model[-1], *(block.branch[-1] for block in model[1:-1]))  # type: ignore[index, union-attr]
    return model, flat(), "cross_entropy"


class LoRA(nn.Module):
    """A frozen layer with a low-rank change, x A B."""

    def __init__(self, base: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(base.in_features, rank) / base.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(rank, base.out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the change."""
        return self.base(x) + x @ self.A @ self.B


def _lora() -> nn.Sequential:
    frozen = initialized(mlp(4, nn.ReLU), scaled(2**0.5)).children()
    return nn.Sequential(*(LoRA(layer) if isinstance(layer, nn.Linear) else layer for layer in frozen))


@SHELF.healthy("lora", "B = 0 opens with the first step")
def _lora_healthy(_seed: int) -> Built:
    return _lora(), flat(), "cross_entropy"


@SHELF.sick("lora-both", "JR302", "A = 0 and B = 0: neither ever gets a gradient")
def _lora_sick(_seed: int) -> Built:
    model = _lora()
    for layer in model:
        if isinstance(layer, LoRA):
            nn.init.zeros_(layer.A)
    return model, flat(), "cross_entropy"


@SHELF.sick("gamma-projection", "JR302", "a scale of zero before a projection of zero, with nothing else to train")
def _gamma(_seed: int) -> Built:
    model = _residual(3, _pair, 0.0)
    for block in model.children():
        if isinstance(block, Residual):
            _zero(block.branch.get_submodule("2"))
    for layer in (model[0], model[-1]):
        layer.requires_grad_(False)
    return model, flat(), "cross_entropy"


def _all_zero(activation: type[nn.Module], _seed: int) -> Built:
    return initialized(mlp(3, activation), nn.init.zeros_), flat(), "cross_entropy"


for _name, _activation in (("tanh", nn.Tanh), ("relu", nn.ReLU)):
    SHELF.sick(f"zero-{_name}", "JR302", f"a network of {_name} that is zero throughout")(
        functools.partial(_all_zero, _activation)
    )

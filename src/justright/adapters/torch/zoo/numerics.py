"""Networks in which some number leaves the range of floating point."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import drawn, flat, initialized, mlp, prepared, scaled

SHELF = Shelf("numerics", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]


class Apply(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the function."""
        return self.function(x)


def _model(function: Any, *, head: bool = False) -> nn.Module:  # noqa: ANN401
    body = initialized(mlp(3, nn.ReLU), scaled(2**0.5))
    return nn.Sequential(Apply(function), body) if head else nn.Sequential(body, Apply(function))


@SHELF.sick("log-zero", "JR401", "the logarithm of a ReLU")
def _log(_seed: int) -> Built:
    return _model(lambda x: torch.log(torch.relu(x))), flat(), "cross_entropy"


@SHELF.healthy("log-epsilon", "near miss: the logarithm of a softplus and an epsilon")
def _log_epsilon(_seed: int) -> Built:
    return _model(lambda x: torch.log(nn.functional.softplus(x) + 1e-6)), flat(), "cross_entropy"


def _standardized(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(0)) / x.std(0)


@SHELF.sick("zero-by-zero", "JR401", "pixels divided by their standard deviation, which is zero at the border")
def _divide(_seed: int) -> Built:
    pixels, classes = drawn(128)
    return _model(_standardized, head=True), (pixels.flatten(1), classes), "cross_entropy"


def _length(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, torch.sqrt(torch.relu(x).square().sum(-1, keepdim=True) * (x[:, :1] > 0))], -1)


@SHELF.sick("sqrt-slope", "JR401", "a square root at zero: finite forward, infinite slope")
def _sqrt(_seed: int) -> Built:
    return _model(_length), flat(), "cross_entropy"


def _guarded(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x > 0, torch.sqrt(x), 0.0 * x)


@SHELF.sick("where-slope", "JR401", "square roots of negative numbers that torch.where leaves out: NaN backward")
def _where(_seed: int) -> Built:
    return _model(_guarded), flat(), "cross_entropy"


@SHELF.sick("nan-weight", "JR401", "one weight that is NaN")
def _nan(_seed: int) -> Built:
    model = initialized(mlp(4, nn.ReLU), scaled(2**0.5))
    with torch.no_grad():
        model[2].weight[3, 5] = float("nan")  # type: ignore[index, operator, union-attr]
    return model, flat(), "cross_entropy"


def _half(scale: float, _seed: int) -> Built:
    pixels, classes = flat()
    model = initialized(mlp(3, nn.ReLU), scaled(2**0.5)).to(torch.float16)
    return model, (scale * pixels.to(torch.float16), classes), "cross_entropy"


SHELF.sick("half-overflow", "JR801", "inputs of 30000 in float16, which ends at 65504")(functools.partial(_half, 3e4))


@SHELF.sick("exp-overflow", "JR401", "a softmax written without taking the largest score away")
def _exp(_seed: int) -> Built:
    def scores(x: torch.Tensor) -> torch.Tensor:
        raised = torch.exp(100 * x)
        return raised / raised.sum(-1, keepdim=True)

    return _model(scores), flat(), "cross_entropy"

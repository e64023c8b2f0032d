"""Plain multilayer perceptrons on digits."""

from __future__ import annotations

import functools
from typing import Any

from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import flat, initialized, mlp, prepared, scaled

SHELF = Shelf("mlp", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]


@SHELF.healthy("relu-he", "ReLU under He's initialization")
def _relu(_seed: int) -> Built:
    return initialized(mlp(8, nn.ReLU), scaled(2**0.5)), flat(), "cross_entropy"


@SHELF.healthy("tanh-xavier", "tanh under Xavier's initialization")
def _tanh(_seed: int) -> Built:
    return initialized(mlp(8, nn.Tanh), nn.init.xavier_normal_), flat(), "cross_entropy"


@SHELF.healthy("sigmoid-3", "few sigmoids lose little")
def _sigmoid_few(_seed: int) -> Built:
    return mlp(3, nn.Sigmoid), flat(), "cross_entropy"


@SHELF.healthy("default-6", "PyTorch's default weights shrink by 1/sqrt(6) a layer, for which Adam makes up")
def _default_few(_seed: int) -> Built:
    return mlp(6, nn.ReLU), flat(), "cross_entropy"


@SHELF.healthy("default-10", "near miss: ten layers of default weights, where SGD stands still and Adam does not")
def _default_ten(_seed: int) -> Built:
    return mlp(10, nn.ReLU), flat(), "cross_entropy"


@SHELF.healthy("selu-lecun", "SELU under LeCun's initialization")
def _selu(_seed: int) -> Built:
    return initialized(mlp(12, nn.SELU), scaled(1.0)), flat(), "cross_entropy"


@SHELF.healthy("gelu-he", "GELU under He's initialization, which shrinks a little")
def _gelu(_seed: int) -> Built:
    return initialized(mlp(8, nn.GELU), scaled(2**0.5)), flat(), "cross_entropy"


@SHELF.healthy("relu-he-deep", "a quarter of all units off for the whole batch: inputs have become alike")
def _deep(_seed: int) -> Built:
    return initialized(mlp(24, nn.ReLU), scaled(2**0.5)), flat(), "cross_entropy"


@SHELF.healthy("relu-quiet", "60 % silent units by a bias of -0.5")
def _quiet(_seed: int) -> Built:
    return initialized(mlp(4, nn.ReLU, width=128), scaled(2**0.5), bias=-0.5), flat(), "cross_entropy"


@SHELF.healthy("tanh-half", "half-saturated tanh: weights of gain 4 in a shallow network")
def _half(_seed: int) -> Built:
    return initialized(mlp(4, nn.Tanh), scaled(4.0)), flat(), "cross_entropy"


@SHELF.healthy("tanh-chaotic-15", "near miss: chaotic, but too shallow for it to matter")
def _chaotic_few(_seed: int) -> Built:
    return initialized(mlp(15, nn.Tanh), scaled(2.5)), flat(), "cross_entropy"


@SHELF.healthy("wide-head", "a huge initial loss that the first steps repair")
def _wide_head(_seed: int) -> Built:
    model = initialized(mlp(3, nn.ReLU, width=128), scaled(2**0.5))
    nn.init.normal_(model[-1].weight, std=2.0)  # type: ignore[index, union-attr, arg-type]
    return model, flat(), "cross_entropy"


@SHELF.healthy("small-head", "a head that starts at 1e-6: one small layer is no trend")
def _small_head(_seed: int) -> Built:
    model = initialized(mlp(4, nn.ReLU), scaled(2**0.5))
    nn.init.normal_(model[-1].weight, std=1e-6)  # type: ignore[index, union-attr, arg-type]
    return model, flat(), "cross_entropy"


@SHELF.healthy("dropout", "half of all units dropped at random")
def _dropout(_seed: int) -> Built:
    layers = [part for _ in range(3) for part in (nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5))]
    return nn.Sequential(*layers, nn.Linear(64, 10)), flat(), "cross_entropy"


def _sigmoids(depth: int, _seed: int) -> Built:
    return mlp(depth, nn.Sigmoid), flat(), "cross_entropy"


for _depth in (10, 20, 50):
    SHELF.sick(f"sigmoid-{_depth}", "JR103", f"{_depth} layers of sigmoids under default weights")(
        functools.partial(_sigmoids, _depth)
    )


def _defaults(depth: int, _seed: int) -> Built:
    return mlp(depth, nn.ReLU), flat(), "cross_entropy"


for _depth in (30, 60):
    SHELF.sick(f"default-{_depth}", "JR103", f"{_depth} layers of ReLU under PyTorch's default weights")(
        functools.partial(_defaults, _depth)
    )


@SHELF.sick("softsign-small", "JR103", "25 layers of softsign and half of Xavier's scale, kept afloat by their biases")
def _softsign(_seed: int) -> Built:
    return initialized(mlp(25, nn.Softsign), scaled(0.5), bias=0.3), flat(), "cross_entropy"


@SHELF.sick("tiny-8", "JR101", "weights of standard deviation 1e-3")
def _tiny(_seed: int) -> Built:
    return initialized(mlp(8, nn.ReLU), lambda weight: nn.init.normal_(weight, std=1e-3)), flat(), "cross_entropy"


@SHELF.sick("tiny-tanh-20", "JR101", "20 layers of tanh at a fifth of Xavier's scale")
def _tiny_tanh(_seed: int) -> Built:
    return initialized(mlp(20, nn.Tanh), scaled(0.2)), flat(), "cross_entropy"


@SHELF.sick("unit-relu-8", "JR102", "weights of standard deviation 1: the signal grows sixfold a layer")
def _unit(_seed: int) -> Built:
    return initialized(mlp(8, nn.ReLU), nn.init.normal_), flat(), "cross_entropy"


@SHELF.sick("unit-relu-24", "JR102", "24 layers of weights of standard deviation 1")
def _unit_deep(_seed: int) -> Built:
    return initialized(mlp(24, nn.ReLU), nn.init.normal_), flat(), "cross_entropy"


def _chaotic(depth: int, gain: float, _seed: int) -> Built:
    return initialized(mlp(depth, nn.Tanh), scaled(gain)), flat(), "cross_entropy"


for _depth, _gain in ((30, 3.5), (50, 3.0)):
    SHELF.sick(f"tanh-chaotic-{_depth}", "JR104", f"{_depth} layers of tanh at gain {_gain}: chaos")(
        functools.partial(_chaotic, _depth, _gain)
    )

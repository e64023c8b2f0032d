"""Convolutional networks on digits: plain, batch-normalized, residual."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import Residual, images, initialized, mlp, prepared, scaled

SHELF = Shelf("convolution", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]


def _block(into: int, out: int, *, norm: bool, activation: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
    convolution = nn.Conv2d(into, out, 3, padding=1, bias=not norm)
    return [convolution, *([nn.BatchNorm2d(out)] if norm else []), activation()]


def _plain(depth: int, *, norm: bool, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers = [part for i in range(depth) for part in _block(8 if i else 1, 8, norm=norm, activation=activation)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))


@SHELF.healthy("plain-he", "four convolutions under He's initialization")
def _plain_he(_seed: int) -> Built:
    return initialized(_plain(4, norm=False), scaled(2**0.5)), images(64), "cross_entropy"


@SHELF.healthy("plain-bn-12", "twelve convolutions with batch normalization")
def _plain_bn(_seed: int) -> Built:
    return _plain(12, norm=True), images(64), "cross_entropy"


@SHELF.healthy("tiny-bn", "near miss: weights of standard deviation 1e-3, which batch normalization brings back")
def _tiny_bn(_seed: int) -> Built:
    model = _plain(8, norm=True)
    for module in model:
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=1e-3)
    return model, images(64), "cross_entropy"


@SHELF.healthy("lenet", "default weights, tanh and average pooling")
def _lenet(_seed: int) -> Built:
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10),
    )  # fmt: skip
    return model, images(), "cross_entropy"


@SHELF.healthy("vgg-bn", "VGG-like: doubled channels, max pooling, batch normalization, dropout in the head")
def _vgg(_seed: int) -> Built:
    layers: list[nn.Module] = []
    for into, out in ((1, 8), (8, 16), (16, 32)):
        layers += [*_block(into, out, norm=True), *_block(out, out, norm=True), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10)]
    return nn.Sequential(*layers, *head), images(64), "cross_entropy"


def _residual(depth: int) -> nn.Sequential:
    def branch() -> nn.Sequential:
        return nn.Sequential(*_block(8, 8, norm=True), nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))

    blocks = [part for _ in range(depth) for part in (Residual(branch()), nn.ReLU())]
    return nn.Sequential(*_block(1, 8, norm=True), *blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10))


@SHELF.healthy("resnet", "six residual blocks with batch normalization")
def _resnet(_seed: int) -> Built:
    return _residual(6), images(64), "cross_entropy"


@SHELF.healthy("resnet-zero-gamma", "the last scale of every branch zero")
def _zero_gamma(_seed: int) -> Built:
    model = _residual(6)
    for module in model.modules():
        if isinstance(module, Residual):
            nn.init.zeros_(module.branch[-1].weight)  # type: ignore[index]
    return model, images(64), "cross_entropy"


@SHELF.healthy("plain-bn-fresh", "evaluation mode before any batch: what is seen there says nothing about training")
def _fresh(_seed: int) -> Built:
    return _plain(16, norm=True).eval(), images(64), "cross_entropy"


class SqueezeExcite(nn.Module):
    """Channels weighed by a gate that sees their means, through a bottleneck of four ReLUs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Weigh the channels."""
        return x * self.gate(x)


@SHELF.healthy("mobile", "inverted residuals: depthwise convolutions, squeeze and excitation, SiLU")
def _mobile(_seed: int) -> Built:
    def branch() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32), nn.SiLU(),
            nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.BatchNorm2d(32), nn.SiLU(), SqueezeExcite(32),
            nn.Conv2d(32, 8, 1, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip

    blocks = [Residual(branch()) for _ in range(4)]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)]
    return nn.Sequential(*_block(1, 8, norm=True), *blocks, *head), images(64), "cross_entropy"


@SHELF.healthy("mlp-bn", "batch normalization between linear layers")
def _mlp_bn(_seed: int) -> Built:
    return mlp(8, nn.ReLU, norm=nn.BatchNorm1d), images_flat(), "cross_entropy"


@SHELF.healthy("mlp-bn-30", "near miss: 30 layers of batch normalization, where the gradient grows a hundredfold")
def _mlp_bn_30(_seed: int) -> Built:
    return mlp(30, nn.ReLU, norm=nn.BatchNorm1d), images_flat(), "cross_entropy"


@SHELF.healthy("mlp-ln", "layer normalization between linear layers")
def _mlp_ln(_seed: int) -> Built:
    return mlp(8, nn.ReLU, norm=nn.LayerNorm), images_flat(), "cross_entropy"


def images_flat() -> tuple[torch.Tensor, torch.Tensor]:
    """Draw standardized digits as vectors."""
    pixels, classes = images()
    return pixels.flatten(1), classes


@SHELF.sick("mlp-bn-100", "JR104", "100 layers of batch normalization and ReLU explode whatever the weights are")
def _mlp_bn_100(_seed: int) -> Built:
    return mlp(100, nn.ReLU, norm=nn.BatchNorm1d), images_flat(), "cross_entropy"


@SHELF.sick("tiny", "JR101", "eight convolutions with weights of standard deviation 1e-3")
def _tiny(_seed: int) -> Built:
    model = initialized(_plain(8, norm=False), lambda weight: nn.init.normal_(weight, std=1e-3))
    return model, images(64), "cross_entropy"


@SHELF.sick("unit", "JR102", "ten convolutions with weights of standard deviation 1")
def _unit(_seed: int) -> Built:
    return initialized(_plain(10, norm=False), nn.init.normal_), images(64), "cross_entropy"


@SHELF.sick("sigmoid-12", "JR103", "twelve convolutions and sigmoids under default weights")
def _sigmoid(_seed: int) -> Built:
    return _plain(12, norm=False, activation=nn.Sigmoid), images(64), "cross_entropy"


@SHELF.sick("residual-unscaled-60", "JR307", "60 residual blocks of gain 2 without normalization double what they get")
def _unscaled(_seed: int) -> Built:
    blocks = [Residual(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))) for _ in range(60)]
    return initialized(nn.Sequential(*blocks, nn.Linear(64, 10)), scaled(2**0.5)), images_flat(), "cross_entropy"

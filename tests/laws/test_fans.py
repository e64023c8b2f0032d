"""Fans are what they are for: the measured gain of the layer's second moment, forward and backward."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from justright.adapters.torch.layouts import holders
from justright.core.layout import Fans, Kind, WeightLayout
from justright.errors import InputError

SIDE = {1: 96, 2: 40, 3: 24}
"""Length of an image by its number of axes."""

LAYERS = {
    "dense": lambda: nn.Linear(96, 40),
    "convolution 1d": lambda: nn.Conv1d(24, 48, 5, padding=2),
    "convolution 2d": lambda: nn.Conv2d(16, 40, 3, padding=1),
    "convolution 3d": lambda: nn.Conv3d(6, 10, 3, padding=1),
    "grouped": lambda: nn.Conv2d(32, 64, 3, groups=4, padding=1),
    "depthwise": lambda: nn.Conv2d(48, 48, 5, groups=48, padding=2),
    "depthwise with a multiplier": lambda: nn.Conv2d(24, 72, 3, groups=24, padding=1),
    "strided": lambda: nn.Conv2d(16, 32, 4, stride=2, padding=1),
    "strided in one direction": lambda: nn.Conv2d(16, 32, (3, 4), stride=(1, 2), padding=1),
    "dilated": lambda: nn.Conv2d(16, 24, 3, dilation=2, padding=2),
    "transposed": lambda: nn.ConvTranspose2d(24, 16, 3, padding=1),
    "transposed and strided": lambda: nn.ConvTranspose2d(24, 16, 4, stride=2, padding=1),
    "transposed and grouped": lambda: nn.ConvTranspose2d(32, 48, 4, stride=2, groups=4, padding=1),
}


def measured(layer, draws=24):
    """Second moment of the output, and of the gradient of the input, over that of noise, away from the edges."""
    spatial = layer.weight.dim() - 2
    shape = (2, layer.weight.shape[1] * getattr(layer, "groups", 1)) if spatial else (64, layer.weight.shape[1])
    if getattr(layer, "transposed", False):
        shape = (2, layer.weight.shape[0])
    inner = (..., *(slice(8, -8),) * spatial)
    forward, backward = [], []
    for _ in range(draws):
        nn.init.normal_(layer.weight)
        x = torch.randn(*shape, *(SIDE[spatial],) * spatial if spatial else (), dtype=torch.float64, requires_grad=True)
        y = layer(x)
        (gradient,) = torch.autograd.grad(y, x, torch.randn_like(y))
        forward.append(float(y.detach()[inner].square().mean()))
        backward.append(float(gradient[inner].square().mean()))
    return [(np.mean(each), np.std(each) / math.sqrt(draws)) for each in (forward, backward)]


@pytest.mark.parametrize("kind", list(LAYERS))
def test_fans_are_the_measured_gains(kind):
    torch.manual_seed(0)
    layer = LAYERS[kind]().double()
    nn.init.zeros_(layer.bias)
    (target, *_), _ = (holder for _, holder in holders(layer))
    fans = target.layout.fans
    for (mean, error), fan in zip(measured(layer), (fans.fan_in, fans.fan_out), strict=True):
        assert abs(mean - fan) < 5 * error + 1e-9 * fan, (kind, mean, error, fan)
        assert error < 0.05 * fan


def test_a_packed_matrix_is_several_of_its_parts():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(32, 4)
    packed = dict(holders(attention))["in_proj_weight"][0].layout
    apart = WeightLayout.dense((32, 32))
    assert packed.fans == apart.fans == Fans(32.0, 32.0)
    cell = dict(holders(nn.LSTM(12, 20)))
    assert cell["weight_ih_l0"][0].layout.fans == Fans(12.0, 20.0)
    assert cell["weight_hh_l0"][0].layout.fans == Fans(20.0, 20.0)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize(
    "layout",
    [
        WeightLayout.dense((5, 7)),
        WeightLayout.dense((5, 7), order="in_out"),
        WeightLayout.convolution((8, 3, 2, 3), groups=4),
        WeightLayout.convolution((8, 3, 2, 3), groups=4, transposed=True),
        WeightLayout.convolution((2, 3, 5, 8), order="keras"),
        WeightLayout((4, 6, 5), (2,), (1,), copies=(0,)),
        WeightLayout((6, 4, 5), (0, 2), (1,)),
    ],
)
def test_the_canonical_order_loses_nothing(layout, dtype):
    values = np.arange(math.prod(layout.shape)).astype(dtype).reshape(layout.shape)
    canonical = layout.canonical(values)
    assert canonical.ndim == 5
    assert np.array_equal(layout.restored(canonical), values)


def test_both_storage_orders_are_one_matrix():
    values = np.arange(35.0).reshape(5, 7)
    there = WeightLayout.dense((5, 7)).canonical(values)
    assert np.array_equal(there, WeightLayout.dense((7, 5), order="in_out").canonical(values.T))
    kernel = np.arange(8 * 3 * 2 * 2.0).reshape(8, 3, 2, 2)
    keras = np.transpose(kernel, (2, 3, 1, 0))
    one = WeightLayout.convolution(kernel.shape).canonical(kernel)
    assert np.array_equal(one, WeightLayout.convolution(keras.shape, order="keras").canonical(keras))


def test_what_sums_over_nothing_has_fans_of_one():
    for kind in (Kind.LOOKUP, Kind.SCALE, Kind.SHIFT, Kind.OTHER):
        assert WeightLayout((6,), (0,), kind=kind).fans == Fans(1.0, 1.0)


@pytest.mark.parametrize("make", [WeightLayout.dense, WeightLayout.convolution, WeightLayout.embedding])
def test_a_shape_of_another_rank_is_refused(make):
    with pytest.raises(InputError, match="axes"):
        make((3,))

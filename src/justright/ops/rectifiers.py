"""Rectifiers: one slope for positive inputs, another for negative ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.ops.base import activation, pointwise

__all__: list[str] = []

CEILING = 6.0  # Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10"
SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al. 2017, arXiv:1706.02515, equation 14
SELU_SCALE = 1.0507009873554804934193349852946  # the same


def _elu(x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    return scale * np.where(x > 0, x, alpha * np.expm1(input_scale * np.minimum(x, 0.0)))


def _elu_slope(x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    return scale * np.where(x > 0, 1.0, alpha * input_scale * np.exp(input_scale * np.minimum(x, 0.0)))


def _elu_kinks(alpha: float = 1, input_scale: float = 1) -> tuple[float, ...]:
    return () if alpha * input_scale == 1 else (0.0,)


def _at_zero_unless_one(slope: Any) -> tuple[float, ...]:
    return () if np.ndim(slope) == 0 and slope == 1 else (0.0,)


activation("relu", lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0), kinks=(0.0,))
activation(
    "relu6",
    lambda x: np.clip(x, 0.0, CEILING),
    lambda x: np.where((x > 0) & (x < CEILING), 1.0, 0.0),
    kinks=(0.0, CEILING),
)
activation(
    "leaky_relu",
    lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
    lambda x, negative_slope=0.01: np.where(x > 0, 1.0, negative_slope),
    kinks=lambda negative_slope=0.01: _at_zero_unless_one(negative_slope),
)
pointwise(
    "prelu",
    lambda input, weight: np.where(input > 0, input, weight * input),
    input=lambda input, weight: np.where(input > 0, 1.0, weight),
    weight=lambda input: np.minimum(input, 0.0),
    kinks=lambda weight: _at_zero_unless_one(slope=weight),
)
activation("elu", _elu, _elu_slope, kinks=_elu_kinks)
activation(
    "celu",
    lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    lambda x, alpha=1.0: _elu_slope(x, alpha, 1.0, 1.0 / alpha),
)
activation(
    "selu",
    lambda x: _elu(x, SELU_ALPHA, SELU_SCALE),
    lambda x: _elu_slope(x, SELU_ALPHA, SELU_SCALE),
    kinks=(0.0,),
)
activation(
    "threshold",
    lambda x, threshold, value: np.where(x > threshold, x, value),
    lambda x, threshold: np.where(x > threshold, 1.0, 0.0),
    kinks=lambda threshold: (float(threshold),),
)

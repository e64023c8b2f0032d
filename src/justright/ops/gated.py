"""Smooth relatives of the rectifier: the input times a gate that it opens itself, and integrals of such gates."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, ndtr

from justright.ops.base import activation

__all__: list[str] = []

EDGE = 3.0  # Howard et al. 2019, arXiv:1905.02244, section 5.2: x ReLU6(x + 3) / 6
CUBIC = 0.044715  # Hendrycks and Gimpel 2016, arXiv:1606.08415: the cubic term of the argument of the tanh


def _gelu(x: Any, approximate: str = "none") -> Any:
    return x * (expit(_twice_argument(x)) if approximate == "tanh" else ndtr(x))


def _gelu_slope(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        opening = 2.0 * np.sqrt(2.0 / np.pi) * (1.0 + 3.0 * CUBIC * np.square(x))
        return _gate_slope(x, _twice_argument(x), opening)
    return ndtr(x) + x * np.exp(-0.5 * np.square(x)) / np.sqrt(2.0 * np.pi)


def _twice_argument(x: Any) -> Any:
    """Turn (1 + tanh u) / 2 into sigmoid(2u), which loses no digits in the left tail."""
    return 2.0 * np.sqrt(2.0 / np.pi) * (x + CUBIC * np.power(x, 3))


def _gate_slope(x: Any, z: Any, dz: Any) -> Any:
    """Differentiate x sigmoid(z(x))."""
    return expit(z) + x * expit(z) * expit(-z) * dz


def _mish_slope(x: Any) -> Any:
    gate = np.logaddexp(0.0, x)
    return np.tanh(gate) + x * expit(x) / np.square(np.cosh(gate))


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    return np.where(beta * x > threshold, x, np.logaddexp(0.0, beta * x) / beta)


def _softplus_slope(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    return np.where(beta * x > threshold, 1.0, expit(beta * x))


def _hardswish_slope(x: Any) -> Any:
    return np.where(x <= -EDGE, 0.0, np.where(x < EDGE, x / EDGE + 0.5, 1.0))


activation("gelu", _gelu, _gelu_slope)
activation("silu", lambda x: x * expit(x), lambda x: _gate_slope(x, x, 1.0))
activation("mish", lambda x: x * np.tanh(np.logaddexp(0.0, x)), _mish_slope)
activation("softplus", _softplus, _softplus_slope, kinks=lambda beta=1, threshold=20: (threshold / beta,))
activation("log_sigmoid", lambda x: -np.logaddexp(0.0, -x), lambda x: expit(-x))
activation(
    "hardswish", lambda x: x * np.clip(x + EDGE, 0.0, 2.0 * EDGE) / (2.0 * EDGE), _hardswish_slope, kinks=(-EDGE, EDGE)
)

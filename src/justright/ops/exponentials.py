"""Exponentials and logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, xlogy

from justright.ops.base import activation, pointwise

__all__: list[str] = []


def _odds(x: Any, eps: float | None = None) -> Any:
    p = x if eps is None else np.clip(x, eps, 1.0 - eps)
    return np.log(np.divide(p, 1.0 - p))


def _odds_slope(x: Any, eps: float | None = None) -> Any:
    low, outside = (0.0, np.nan) if eps is None else (eps, 0.0)
    return np.where((x < low) | (x > 1.0 - low), outside, np.divide(1.0, x * (1.0 - x)))


def _log_slope(input: Any, other: Any) -> Any:
    return np.where(np.equal(input, 0) & np.less_equal(other, 0), 0.0, np.log(other))


activation("exp", np.exp, np.exp)
activation("expm1", np.expm1, np.exp)
activation("exp2", np.exp2, lambda x: np.log(2.0) * np.exp2(x))
activation("log", np.log, lambda x: np.divide(1.0, np.where(x < 0, np.nan, x)), kinks=(0.0,))
activation("log1p", np.log1p, lambda x: np.divide(1.0, np.where(x < -1, np.nan, 1.0 + x)), kinks=(-1.0,))
activation("log2", np.log2, lambda x: np.divide(1.0 / np.log(2.0), np.where(x < 0, np.nan, x)), kinks=(0.0,))
activation("log10", np.log10, lambda x: np.divide(1.0 / np.log(10.0), np.where(x < 0, np.nan, x)), kinks=(0.0,))
activation("logit", _odds, _odds_slope, kinks=lambda eps=None: (eps or 0.0, 1.0 - (eps or 0.0)))
pointwise(
    "logaddexp",
    np.logaddexp,
    input=lambda input, other: expit(input - other),
    other=lambda input, other: expit(other - input),
)
pointwise(
    "xlogy",
    xlogy,
    input=_log_slope,
    other=np.divide,
)

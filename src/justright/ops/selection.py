"""One of several values, chosen by a condition or by comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.ops.base import activation, pointwise

__all__: list[str] = []


def _where(condition: Any, input: Any, other: Any) -> Any:
    return np.where(condition, input, other)


def _clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    raised = input if min is None else np.maximum(input, min)
    return raised if max is None else np.minimum(raised, max)


def _inside(input: Any, min: Any = None, max: Any = None) -> Any:
    above = True if min is None else np.greater_equal(input, min)
    below = True if max is None else np.less_equal(input, max)
    return np.where(np.logical_and(above, below), 1.0, 0.0)


def _at_min(input: Any, min: Any = None, max: Any = None) -> Any:
    if min is None:
        return 0.0
    effective = True if max is None else np.less(min, max)
    return np.where(np.less(input, min) & effective, 1.0, 0.0)


def _at_max(input: Any, max: Any = None, min: Any = None) -> Any:
    if max is None:
        return 0.0
    overruled = False if min is None else np.less(max, min)
    return np.where(np.greater(input, max) | overruled, 1.0, 0.0)


def _bounds(min: Any = None, max: Any = None) -> tuple[float, ...]:
    bounds = tuple(bound for bound in (min, max) if bound is not None)
    empty = len(bounds) > 1 and np.ndim(min) == np.ndim(max) == 0 and min >= max
    return () if empty else bounds


pointwise("clamp", _clamp, input=_inside, min=_at_min, max=_at_max, kinks=_bounds)
pointwise("clamp_min", lambda input, min: _clamp(input, min=min), input=_inside, min=_at_min, kinks=lambda min: (min,))
pointwise("clamp_max", lambda input, max: _clamp(input, max=max), input=_inside, max=_at_max, kinks=lambda max: (max,))
pointwise(
    "maximum",
    np.maximum,
    input=lambda input, other: np.heaviside(np.subtract(input, other), 0.5),
    other=lambda input, other: np.heaviside(np.subtract(other, input), 0.5),
    kinks=lambda other: (other,),
)
pointwise(
    "minimum",
    np.minimum,
    input=lambda input, other: np.heaviside(np.subtract(other, input), 0.5),
    other=lambda input, other: np.heaviside(np.subtract(input, other), 0.5),
    kinks=lambda other: (other,),
)
pointwise(
    "where",
    _where,
    input=lambda condition: np.where(condition, 1.0, 0.0),
    other=lambda condition: np.where(condition, 0.0, 1.0),
    affine=("input other",),
)
pointwise(
    "masked_fill",
    lambda input, mask, value: np.where(mask, value, input),
    input=lambda mask: np.where(mask, 0.0, 1.0),
    value=lambda mask: np.where(mask, 1.0, 0.0),
    affine=("input value",),
)
activation(
    "nan_to_num",
    lambda x, nan=None, posinf=None, neginf=None: np.nan_to_num(x, nan=nan or 0.0, posinf=posinf, neginf=neginf),
    lambda x: np.where(np.isfinite(x), 1.0, 0.0),
)

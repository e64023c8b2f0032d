"""Sums, products, quotients, and what is made of two or three of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.ops.base import lattice, pointwise

__all__: list[str] = []


def _quotient(input: Any, other: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return np.floor_divide(input, other)
    quotient = np.divide(input, other)
    return np.trunc(quotient) if rounding_mode == "trunc" else quotient


def _quotient_kinks(other: Any, rounding_mode: str | None = None) -> tuple[float, ...]:
    if rounding_mode is None:
        return ()
    return tuple(point for point in lattice(other) if point or rounding_mode == "floor")


pointwise(
    "add",
    lambda input, other, alpha=1: input + alpha * other,
    input=lambda: 1.0,
    other=lambda alpha=1: alpha,
    affine=("input other",),
)
pointwise(
    "subtract",
    lambda input, other, alpha=1: input - alpha * other,
    input=lambda: 1.0,
    other=lambda alpha=1: -alpha,
    affine=("input other",),
)
pointwise(
    "reverse_subtract",
    lambda input, other, alpha=1: other - alpha * input,
    input=lambda alpha=1: -alpha,
    other=lambda: 1.0,
    affine=("input other",),
)
pointwise(
    "multiply",
    lambda input, other: input * other,
    input=lambda other: other,
    other=lambda input: input,
    affine=("input", "other"),
)
pointwise(
    "divide",
    _quotient,
    input=lambda other, rounding_mode=None: 0.0 if rounding_mode else np.divide(1.0, other),
    other=lambda input, other, rounding_mode=None: 0.0 if rounding_mode else -np.divide(input, np.square(other)),
    kinks=_quotient_kinks,
    affine=("input",),
)
pointwise(
    "floor_divide",
    np.floor_divide,
    input=lambda: 0.0,
    other=lambda: 0.0,
    kinks=lambda other: lattice(spacing=other),
)
pointwise(
    "remainder",
    np.remainder,
    input=lambda: 1.0,
    other=lambda input, other: -np.floor_divide(input, other),
    kinks=lambda other: lattice(spacing=other),
)
pointwise("negative", lambda input: -input, input=lambda: -1.0, affine=("input",))
pointwise(
    "square_difference",
    lambda input, other: np.square(input - other),
    input=lambda input, other: 2.0 * (input - other),
    other=lambda input, other: 2.0 * (other - input),
)
pointwise(
    "lerp",
    lambda input, end, weight: input + weight * (end - input),
    input=lambda weight: 1.0 - weight,
    end=lambda weight: weight,
    weight=lambda input, end: end - input,
    affine=("input end", "weight"),
)
pointwise(
    "addcmul",
    lambda input, tensor1, tensor2, value=1: input + value * tensor1 * tensor2,
    input=lambda: 1.0,
    tensor1=lambda tensor2, value=1: value * tensor2,
    tensor2=lambda tensor1, value=1: value * tensor1,
    affine=("input tensor1", "input tensor2"),
)
pointwise(
    "addcdiv",
    lambda input, tensor1, tensor2, value=1: input + value * np.divide(tensor1, tensor2),
    input=lambda: 1.0,
    tensor1=lambda tensor2, value=1: np.divide(value, tensor2),
    tensor2=lambda tensor1, tensor2, value=1: -value * np.divide(tensor1, np.square(tensor2)),
    affine=("input tensor1",),
)

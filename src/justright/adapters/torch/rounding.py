"""What rounding leaves of an optimizer's step, element by element."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from justright.adapters.torch.calls import dtype_name
from justright.adapters.torch.statistics import dense
from justright.core.step import ParameterStep

__all__ = ["HALVES", "parameter_step", "sampled", "share_unmoved"]

HALVES = (torch.float16, torch.bfloat16)
"""Dtypes in which ordinary steps are lost."""

SAMPLE = 2**13
"""Elements of a parameter that are looked at one by one: the standard error of a share is at most 0.6 %."""


def parameter_step(
    name: str,
    before: torch.Tensor,
    after: torch.Tensor,
    change: torch.Tensor | None,
    gradient: torch.Tensor,
    *,
    update: float,
    size: float,
) -> ParameterStep:
    """Describe a step of one parameter; shares are those of at most 8192 elements, evenly spread.

    Parameters
    ----------
    name
        Name of the parameter.
    before, after
        Its values before and after, in its own dtype.
    change
        The step as the optimizer means it, where that is not the difference of the two.
    gradient
        The gradient, which says together with the step what is meant to change.
    update, size
        RMS of the step as it is meant, and RMS before.
    """
    old, new, slope = (sampled(each) for each in (before, after, gradient))
    step = new - old if change is None else sampled(change)
    pushed = (slope != 0) | (step != 0)
    return ParameterStep(
        name,
        dtype_name(before),
        before.numel(),
        update,
        size,
        _share(pushed),
        _share((old == new)[pushed]),
        *(_share(_stays(old, step, dtype)[pushed]) for dtype in HALVES),
    )


def share_unmoved(
    gradients: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor], now: Mapping[str, torch.Tensor]
) -> float:
    """Return the share of the elements with a gradient whose value is what it was before."""
    same = [(sampled(each) == sampled(now[name]))[sampled(gradients[name]) != 0] * 1.0 for name, each in before.items()]
    weights = [each.numel() for each in before.values()]
    shares = [(weight, _share(each)) for weight, each in zip(weights, same, strict=True) if each.numel()]
    total = sum(weight for weight, _ in shares)
    return sum(weight * share for weight, share in shares) / total if total else math.nan


def _stays(old: torch.Tensor, step: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Say of every element whether it would keep its value if it were stored in this dtype."""
    if old.is_complex():
        old, step = torch.view_as_real(old).flatten(), torch.view_as_real(step).flatten()
        return (_stays(old, step, dtype)).view(-1, 2).all(1)
    stored = old.to(dtype)
    return (stored.to(step.dtype) + step).to(dtype) == stored


def sampled(tensor: torch.Tensor) -> torch.Tensor:
    """Return elements at even distances that share no factor with the size, so that no axis is favoured."""
    flat = dense(tensor.detach()).reshape(-1)
    stride = max(1, -(-flat.numel() // SAMPLE))
    while math.gcd(stride, flat.numel()) > 1:
        stride += 1
    return flat[::stride]


def _share(which: torch.Tensor) -> float:
    return float(which.float().mean()) if which.numel() else math.nan

"""A step that nobody asked for: parameters stand elsewhere meanwhile, so that nothing is copied or put back."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from itertools import pairwise

import torch

from justright.adapters.torch.curvature import dot
from justright.adapters.torch.rounding import HALVES, parameter_step, sampled
from justright.adapters.torch.statistics import dense
from justright.adapters.torch.travelled import PIECE, length
from justright.adapters.torch.usual import Usual
from justright.core.step import ParameterStep

__all__ = ["moved", "overlapping"]

NAMES = 2
"""References to a tensor that one variable holds, as `sys.getrefcount` counts them: its own argument is the second."""

HOLDERS = 2
"""Holders of the memory of a tensor that nobody else has: the tensor, and the storage object that is asked."""

_holders_of_storage = getattr(torch._C, "_storage_Use_Count", lambda _memory: math.inf)


@contextmanager
def moved(
    optimizer: Usual,
    parameters: Mapping[str, torch.nn.Parameter],
    gradients: MutableMapping[str, torch.Tensor],
    sizes: Mapping[str, float],
) -> Iterator[tuple[float, tuple[ParameterStep, ...]]]:
    """Open a context in which parameters are where one step leads; afterwards they are what they were, at their place.

    The new values are written to the memory of the gradients where nobody else holds it: to touch fresh memory of a
    model's size for the first time takes longer than to compute the step.

    Parameters
    ----------
    optimizer
        Whose first step.
    parameters
        Those that have a gradient.
    gradients
        By name; those of `parameters` are taken out of it, and are overwritten.
    sizes
        RMS before, by name.

    Yields
    ------
    tuple
        Change of the loss to first order, and what the step does to each parameter.
    """
    kept = {name: parameter.data for name, parameter in parameters.items()}
    promised, steps = 0.0, []
    try:
        for name, parameter in parameters.items():
            gradient = gradients.pop(name)
            alone = sys.getrefcount(gradient) == NAMES
            room = _room(gradient) if alone else None
            slope = dense(gradient.detach())
            seen = sampled(slope).clone()
            values, product, size = _values(optimizer, kept[name], slope, room)
            meant = _meant(optimizer, sampled(kept[name]), seen) if slope.dtype in HALVES else None
            promised += product
            update = size / math.sqrt(max(values.numel(), 1))
            steps.append(parameter_step(name, kept[name], values, meant, seen, update=update, size=sizes[name]))
            parameter.data = values
        yield promised, tuple(steps)
    finally:
        for name, parameter in parameters.items():
            parameter.data = kept[name]


def _room(gradient: torch.Tensor) -> torch.Tensor | None:
    """Return a gradient's memory if nobody else holds it, neither in a graph nor through a view."""
    alone = getattr(gradient, "_use_count", lambda: math.inf)() == 1
    if not alone or gradient.layout is not torch.strided or not gradient.is_contiguous():
        return None
    memory = gradient.untyped_storage()
    return gradient.detach() if _holders_of_storage(memory._cdata) == HOLDERS else None


def _values(
    optimizer: Usual, old: torch.Tensor, slope: torch.Tensor, room: torch.Tensor | None
) -> tuple[torch.Tensor, float, float]:
    """Return the values after a step, the slope along it, and its length, computed piece by piece."""
    room = torch.empty_like(old, memory_format=torch.contiguous_format) if room is None else room
    products, lengths = [], []
    pieces = (_row(each).split(PIECE) for each in (old, slope, room))
    scratch = _wide(_row(old.new_empty(min(old.numel(), PIECE))))
    for first, along, out in zip(*pieces, strict=True):
        change = optimizer.change(_wide(first), _wide(along), scratch[: first.numel()])
        lengths.append(length(change))
        products.append(dot(change, along))
        torch.add(first, change, out=out)
    return room, sum(products), math.hypot(*lengths)


def _row(tensor: torch.Tensor) -> torch.Tensor:
    """Return the elements in a row; a complex one counts as two, as optimizers of PyTorch take it."""
    return torch.view_as_real(tensor.resolve_conj()).reshape(-1) if tensor.is_complex() else tensor.reshape(-1)


def _meant(optimizer: Usual, old: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Return the step before its rounding to 16 bits."""
    wide = _wide(old)
    return optimizer.change(wide, _wide(slope), torch.empty_like(wide))


def _wide(values: torch.Tensor) -> torch.Tensor:
    """Return values in a dtype that an ordinary step is not lost in."""
    return values.float() if values.dtype in HALVES else values


def overlapping(parameters: Iterable[torch.Tensor]) -> bool:
    """Say whether two tensors lie over each other in memory, so that to move one is to move the other."""
    ranges = sorted((each.data_ptr(), each.data_ptr() + _span(each)) for each in parameters if each.numel())
    return any(end > start for (_, end), (start, _) in pairwise(ranges))


def _span(tensor: torch.Tensor) -> int:
    """Return how many bytes lie between the first and the end of the last element."""
    steps = ((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (sum(steps) + 1) * tensor.element_size()

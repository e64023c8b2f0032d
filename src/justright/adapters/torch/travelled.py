"""How far a step goes, parameter by parameter, and what the slope promises for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from justright.adapters.torch.curvature import Vectors, dot
from justright.adapters.torch.rounding import HALVES, parameter_step
from justright.adapters.torch.statistics import dense
from justright.core.step import ParameterStep

__all__ = ["PIECE", "length", "travelled"]

PIECE = 2**18
"""Elements that are looked at at once: 1 MiB of float32, so that a difference is still in a second-level cache, of 1 to
2 MiB a core, when its length and its slope are taken; and it needs no fresh memory of a whole parameter's size."""


def travelled(
    before: Vectors, after: Vectors, meant: Vectors, gradients: Vectors, sizes: Mapping[str, float]
) -> tuple[float, tuple[ParameterStep, ...]]:
    """Return the change of the loss to first order, and what the step does to each parameter.

    Parameters
    ----------
    before, after
        The parameters that were moved, in their own dtypes.
    meant
        The step as the optimizer means it, of those whose own dtype rounds it.
    gradients
        Of all of them; a sparse one counts with its zeros.
    sizes
        RMS before.
    """
    predicted, parameters = 0.0, []
    for name, old in before.items():
        new, slope = after[name].detach(), dense(gradients[name].detach())
        change = meant.get(name)
        lengths, products = [], []
        for piece, along in _pieces(old, new, change, slope):
            lengths.append(length(piece))
            products.append(dot(piece, along))
        predicted += sum(products)
        update = math.hypot(*lengths) / math.sqrt(max(old.numel(), 1))
        parameters.append(parameter_step(name, old, new, change, slope, update=update, size=sizes[name]))
    return predicted, tuple(parameters)


def _pieces(
    old: torch.Tensor, new: torch.Tensor, change: torch.Tensor | None, slope: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the step and its slope piece by piece; a step that nobody has computed lies in memory that serves again."""
    slopes = slope.reshape(-1).split(PIECE)
    if change is not None:
        yield from zip(change.reshape(-1).split(PIECE), slopes, strict=True)
        return
    scratch = old.new_empty(min(old.numel(), PIECE))
    olds, news = old.reshape(-1).split(PIECE), new.reshape(-1).split(PIECE)
    for first, second, along in zip(olds, news, slopes, strict=True):
        yield torch.sub(second, first, out=scratch[: first.numel()]), along


def length(piece: torch.Tensor) -> float:
    """Return the Euclidean norm, in at least float32."""
    wide = torch.float32 if piece.dtype in HALVES else None
    return float(torch.linalg.vector_norm(piece, dtype=wide))

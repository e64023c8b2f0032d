"""From a PyTorch tensor to how its examples, positions, units, rows and experts differ, by a subsample on the host.

At most `EXAMPLES` x `POSITIONS` rows of `UNITS` units are read, evenly spaced, whatever the tensor's size: the cost of
a site does not grow with it. Copies that lie at other distances than the spacing of the units are seen in part.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from justright.adapters.base import Places
from justright.adapters.torch.statistics import host_array
from justright.statistics.pairs import copies
from justright.statistics.relations import (
    AttentionSums,
    RelationSums,
    RoutingSums,
    attention_sums,
    magnitude,
    relation_sums,
    routing_sums,
)

__all__ = ["attention_of", "copies_of", "relation_of", "routing_of"]

EXAMPLES: Final = 32
"""Examples compared: 496 pairs, whose mean cosine is known to 0.05 even if they are independent."""

POSITIONS: Final = 16
"""Positions of each example."""

UNITS: Final = 256
"""Units of each position."""

ROWS: Final = 512
"""Rows of attention, and rows of tokens for units."""


def relation_of(tensor: torch.Tensor, places: Places) -> RelationSums | None:
    """Compare examples, positions and units of a tensor; `None` if a value is not finite or it is no plain tensor."""
    if tensor.layout is not torch.strided or tensor.is_complex() or not tensor.is_floating_point():
        return None
    values, sizes = _drawn(tensor, places)
    return relation_sums(values, sizes, torch.finfo(tensor.dtype).eps)


def copies_of(gradient: torch.Tensor, places: Places) -> tuple[int, int]:
    """Count the units whose gradient varies, and the different ones among them; none if a value is not finite."""
    values, _ = _drawn(gradient, places)
    largest = magnitude(values)
    return copies(values / largest, torch.finfo(gradient.dtype).eps) if 0 < largest < np.inf else (0, 0)


def _drawn(tensor: torch.Tensor, places: Places) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Return a subsample of shape ``[examples, positions, units]``, and how many of each there are."""
    with torch.no_grad():
        ordered = _ordered(tensor.detach(), places)
        sizes = (ordered.shape[0], math.prod(ordered.shape[1:-1]), ordered.shape[-1])
        drawn = ordered[_spaced(sizes[0], EXAMPLES)][..., _strided(sizes[2], UNITS)]
        drawn = drawn.reshape(drawn.shape[0], -1, drawn.shape[-1])[:, _spaced(sizes[1], POSITIONS)]
        return _float64(drawn), sizes


def attention_of(logits: torch.Tensor, probabilities: torch.Tensor, axis: int) -> AttentionSums:
    """Summarize an even subsample of the rows of a softmax along one axis."""
    with torch.no_grad():
        pair = [each.detach().movedim(axis, -1).flatten(0, -2) for each in (logits, probabilities)]
        chosen = _coprime(pair[0].shape[0], ROWS)
        return attention_sums(*(_float64(each[chosen]) for each in pair))


def routing_of(scores: torch.Tensor, chosen: int) -> RoutingSums | None:
    """Count the experts that an even subsample of tokens is sent to, by scores of shape ``[..., experts]``."""
    with torch.no_grad():
        rows = scores.detach().flatten(0, -2)
        values = _float64(rows[_coprime(rows.shape[0], ROWS)])
    return routing_sums(values, chosen) if np.isfinite(values).all() else None


def _ordered(tensor: torch.Tensor, places: Places) -> torch.Tensor:
    """View a tensor as ``[examples, ..., units]``."""
    axis = places.examples - (places.units < places.examples)
    tensor = tensor.movedim(places.units, -1)
    folded = (places.outer, tensor.shape[axis] // (places.outer * places.inner), places.inner)
    return tensor.unflatten(axis, folded).movedim(axis + 1, 0)


def _spaced(length: int, most: int) -> torch.Tensor:
    """Evenly spaced indices, the first and the last among them."""
    return torch.linspace(0, length - 1, min(length, most), dtype=torch.float64).round().long()


def _strided(length: int, most: int) -> slice:
    return slice(0, None, -(-length // most))


def _coprime(length: int, most: int) -> torch.Tensor:
    """At most so many different indices with a stride that shares no factor with the length: no axis is left out."""
    stride = max(length // most, 1)
    while math.gcd(stride, length) > 1:
        stride += 1
    return (torch.arange(min(length, most)) * stride) % length


def _float64(tensor: torch.Tensor) -> NDArray[np.float64]:
    return host_array(tensor).astype(np.float64)

"""Whether two views of one memory have an element in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

__all__ = ["Place", "apart", "place_of"]


class Place(NamedTuple):
    """Where the elements of a tensor lie in its memory: size and stride of every dimension, largest stride first."""

    offset: int
    dims: tuple[tuple[int, int], ...]


def place_of(tensor: torch.Tensor) -> Place:
    """Return where a strided tensor's elements lie; dimensions of length one say nothing."""
    dims = [(abs(stride), size) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size != 1]
    return Place(int(tensor.storage_offset()), tuple(sorted(dims, reverse=True)))


def apart(first: Place, second: Place) -> bool:
    """Say whether two views of one memory surely have no element in common.

    Examples
    --------
    >>> whole = torch.empty(4, 6)
    >>> left, right = (place_of(each) for each in whole.chunk(2, dim=1))
    >>> apart(left, right), apart(left, place_of(whole)), apart(left, place_of(whole[2]))
    (True, False, False)
    """
    if _end(first) <= second.offset or _end(second) <= first.offset:
        return True
    if first.dims != second.dims or not _nested(first.dims):
        return False
    return not _reachable(second.offset - first.offset, first.dims)


def _end(place: Place) -> int:
    return place.offset + 1 + sum(stride * (size - 1) for stride, size in place.dims)


def _nested(dims: Sequence[tuple[int, int]]) -> bool:
    """Say whether every stride is beyond all that lies within it, as in any slice of a contiguous tensor."""
    return all(
        stride > sum(inner * (size - 1) for inner, size in dims[position + 1 :])
        for position, (stride, _) in enumerate(dims)
    )


def _reachable(distance: int, dims: Sequence[tuple[int, int]]) -> bool:
    """Say whether a distance is a sum of differences of places along the dimensions."""
    if not dims:
        return distance == 0
    stride, size = dims[0]
    below = math.floor(distance / stride)
    return any(abs(steps) < size and _reachable(distance - steps * stride, dims[1:]) for steps in (below, below + 1))

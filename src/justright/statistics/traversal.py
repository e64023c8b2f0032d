"""Walk an array of any memory layout as dense stretches, in the order of memory, without copying what is dense."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["PIECE", "Piece", "collapse", "pieces"]

Array = NDArray[Any]

PIECE = 1 << 20
"""Most elements that are copied at once: 4 MiB of float32, which stays in the last-level cache of one core."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A dense stretch of an array.

    Parameters
    ----------
    flat
        Its elements: one axis, C-contiguous, aligned, native byte order; may be the memory of the array.
    first, units
        The slice of indices that it covers of the axis of units.
    inner
        Number of adjacent elements with the same index on that axis.
    """

    flat: Array
    first: int
    units: int
    inner: int


def collapse(values: Array) -> tuple[Array, int]:
    """Shrink broadcast axes (stride 0) to one index; return the array and how often each element occurred."""
    if values.flags.c_contiguous:
        return values, 1
    repeated = [
        size if stride == 0 and size > 1 else 1 for size, stride in zip(values.shape, values.strides, strict=True)
    ]
    index = tuple(slice(0, 1) if times > 1 else slice(None) for times in repeated)
    return values[index], math.prod(repeated)


def pieces(values: Array, axis: int | None = None) -> Iterator[Piece]:
    """Yield dense stretches that together hold every element once, in any order.

    Parameters
    ----------
    values
        Any array with at least one axis and one element.
    axis
        The axis of units; its indices are numbered in the order of the array, whatever the order of memory. Without
        one, the whole array is one unit.
    """
    if _is_dense(values):
        yield _piece(values, [*range(values.ndim)], axis, 0, copy=False)
        return
    forward = [slice(None, None, -1 if step < 0 and i != axis else 1) for i, step in enumerate(values.strides)]
    yield from _split(values[tuple(forward)], axis, 0)


def _split(values: Array, axis: int | None, first: int) -> Iterator[Piece]:
    order = _memory_order(values)
    dense = _is_dense(values.transpose(order))
    if dense or values.size <= PIECE:
        yield _piece(values, order, axis, first, copy=not dense)
        return
    widest = next(i for i in order if values.shape[i] > 1)
    half = values.shape[widest] // 2
    yield from _split(_take(values, widest, slice(None, half)), axis, first)
    yield from _split(_take(values, widest, slice(half, None)), axis, first + half * (widest == axis))


def _memory_order(values: Array) -> list[int]:
    """Axes from the largest step in memory to the smallest; axes of one index first, as their step means nothing."""
    return sorted(range(values.ndim), key=lambda i: (values.shape[i] > 1, -abs(values.strides[i])))


def _is_dense(values: Array) -> bool:
    return values.flags.c_contiguous and values.flags.aligned and values.dtype.isnative


def _take(values: Array, axis: int, part: slice) -> Array:
    return values[(slice(None),) * axis + (part,)]


def _piece(values: Array, order: list[int], axis: int | None, first: int, *, copy: bool) -> Piece:
    ordered = values.transpose(order)
    if copy:
        ordered = ordered.astype(values.dtype.newbyteorder("="), order="C")
    flat = ordered.reshape(-1)
    if axis is None:
        return Piece(flat, 0, 1, flat.size)
    return Piece(flat, first, values.shape[axis], math.prod(ordered.shape[order.index(axis) + 1 :]))

"""Matrices that average or interpolate along an axis: pooling windows, resampling, and padding by reflection.

Each has one row an output position and one column an input position.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array
from justright.core.links import Links, mixing, windows

__all__ = ["adaptive", "averaging", "interpolation", "padding"]


@lru_cache(256)
def averaging(
    size: int, kernel: int, stride: int, pad: int, out: int, dilation: int = 1, *, whole: bool = True
) -> Links:
    """Return the links of the average over a sliding window.

    Parameters
    ----------
    size, kernel, stride, pad, out, dilation
        As of `justright.core.links.windows`.
    whole
        Whether zeros of the padding count as elements of the window.
    """
    found = windows(size, kernel, stride, pad, dilation, out)
    matrix = np.zeros((out, size))
    np.add.at(matrix, (found.places["o"], found.places["i"]), 1.0)
    if not whole:
        return mixing(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0))
    start = np.arange(out) * stride - pad
    return mixing(matrix / (np.minimum(start + kernel, size + pad) - start)[:, None])


@lru_cache(256)
def adaptive(size: int, out: int) -> Links:
    """Return the links of the average over windows that cut an axis into as many parts as there are outputs."""
    matrix = np.zeros((out, size))
    for row in range(out):
        start, end = row * size // out, -(-(row + 1) * size // out)
        matrix[row, start:end] = 1.0 / (end - start)
    return mixing(matrix)


@lru_cache(256)
def padding(size: int, before: int, after: int, mode: str) -> Links:
    """Return the links of a padding of a mode of `numpy.pad`, such as ``"reflect"``; negative numbers cut off."""
    places = np.pad(np.arange(size), (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]
    inside = np.pad(np.ones(size), (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]
    matrix = np.zeros((len(places), size))
    matrix[np.arange(len(places)), places] = inside
    return mixing(matrix[max(-before, 0) : len(places) - max(-after, 0)])


@lru_cache(256)
def interpolation(
    size: int, out: int, kind: str, *, align: bool = False, scale: float = 0.0, smooth: bool = False
) -> Links:
    """Return the links of resampling along one axis.

    Parameters
    ----------
    size, out
        Number of positions before and after.
    kind
        ``"nearest"``, ``"nearest-exact"``, ``"linear"`` or ``"cubic"``.
    align
        Whether the first and the last positions of both are the same.
    scale
        Positions after to positions before, where that is not the ratio of the sizes.
    smooth
        Whether the kernel is widened when there are fewer positions after than before.
    """
    step = 1.0 / scale if scale > 0 else size / out
    if kind.startswith("nearest"):
        offset = 0.5 if kind == "nearest-exact" else 0.0
        near = np.minimum(np.floor((np.arange(out) + offset) * step), size - 1).astype(np.intp)
        return mixing(np.eye(size)[near])
    if align:
        step = (size - 1) / (out - 1) if out > 1 else 0.0
        place = np.arange(out) * step
    else:
        place = (np.arange(out) + 0.5) * step - 0.5
    return mixing(_weighted(place, size, kind, max(step, 1.0) if smooth else 0.0, align=align))


def _weighted(place: NDArray[Any], size: int, kind: str, wide: float, *, align: bool) -> Array:
    """Weights of the inputs around each place; beyond the ends the last input counts."""
    if kind == "linear" and not wide and not align:
        place = np.maximum(place, 0.0)
    reach = math.ceil((2 if kind == "cubic" else 1) * max(wide, 1.0))
    shape = -0.5 if wide else KEYS  # with a wide kernel PyTorch follows the convention of Pillow
    matrix = np.zeros((len(place), size))
    for offset in range(-reach, reach + 2):
        source = np.floor(place).astype(np.intp) + offset
        weight = _kernel((source - place) / max(wide, 1.0), kind, shape)
        inside = (source >= 0) & (source < size)
        rows = np.flatnonzero(inside | (not wide))
        np.add.at(matrix, (rows, np.clip(source, 0, size - 1)[rows]), weight[rows])
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


KEYS: Final = -0.75
"""Parameter of the cubic convolution kernel of Keys 1981 that PyTorch uses."""

REACH: Final = 2.0
"""Distance at which that kernel ends."""


def _kernel(distance: Array, kind: str, a: float) -> Array:
    x = np.abs(distance)
    if kind == "linear":
        return np.maximum(1.0 - x, 0.0)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a  # zero at 2, where the kernel ends
    return np.where(x <= 1.0, near, np.where(x < REACH, far, 0.0))

"""Which axis of a weight is what, and its fans: they come from a layout, and never from a bare shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from justright.errors import InputError

__all__ = ["Fans", "Kind", "WeightLayout"]


class Kind(Enum):
    """What a parameter does to a signal."""

    MATRIX = "matrix"  # sums over its inputs
    LOOKUP = "lookup"  # its rows are looked up, as those of an embedding
    SCALE = "scale"  # multiplies every unit, as the gain of a normalization
    SHIFT = "shift"  # is added to every unit
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Fans:
    """Over how many terms a weight sums, forward and backward.

    Parameters
    ----------
    fan_in
        Second moment of an output over that of an input, for weights of unit variance.
    fan_out
        The same backward, from the gradient of an output to that of an input, which all parts of a packed weight share
        out: each part is counted as a matrix of its own.
    """

    fan_in: float
    fan_out: float


@dataclass(frozen=True)
class WeightLayout:
    """Axes of a parameter, in its own storage order; an axis is in at most one of the lists.

    Parameters
    ----------
    shape
        As it is stored.
    outputs, inputs
        Axes along which one index is one output unit, one input unit.
    spatial
        Axes of a receptive field.
    copies
        Axes of independent matrices: experts, heads.
    groups
        Groups of a convolution. The axis of the units that are looped over (outputs; inputs where it is transposed)
        holds all of them, the other one those of a single group.
    parts
        Sizes of the matrices that are packed along the outputs, as queries, keys and values; empty for a single one.
    kind
        What the parameter does.
    stride
        Steps of a convolution along the axes in `spatial`; empty where they are all one.
    transposed
        Whether the convolution is a transposed one.

    Examples
    --------
    >>> WeightLayout.dense((64, 256), order="in_out").fans
    Fans(fan_in=64.0, fan_out=256.0)
    >>> WeightLayout.convolution((64, 1, 3, 3), groups=64).fans  # depthwise
    Fans(fan_in=9.0, fan_out=9.0)
    """

    shape: tuple[int, ...]
    outputs: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    spatial: tuple[int, ...] = ()
    copies: tuple[int, ...] = ()
    groups: int = 1
    parts: tuple[int, ...] = ()
    kind: Kind = Kind.MATRIX
    stride: tuple[int, ...] = ()
    transposed: bool = False

    @classmethod
    def dense(cls, shape: Sequence[int], order: Literal["out_in", "in_out"] = "out_in") -> WeightLayout:
        """Return the layout of a matrix that is stored by outputs or by inputs first."""
        _check_rank(shape, (2,), "a dense weight")
        outputs, inputs = (0, 1) if order == "out_in" else (1, 0)
        return cls(tuple(shape), (outputs,), (inputs,))

    @classmethod
    def convolution(
        cls,
        shape: Sequence[int],
        groups: int = 1,
        stride: int | Sequence[int] = 1,
        *,
        transposed: bool = False,
        order: Literal["torch", "keras"] = "torch",
    ) -> WeightLayout:
        """Return the layout of a convolution kernel.

        Parameters
        ----------
        shape
            As stored: ``[out, in/groups, *k]`` of PyTorch and MXNet, transposed ``[in, out/groups, *k]``;
            ``[*k, in/groups, out]`` of Keras and Flax, transposed ``[*k, out, in]``.
        groups, stride
            Of the convolution.
        transposed
            Whether it is a transposed one.
        order
            Whose storage order it is.
        """
        rank = len(shape)
        _check_rank(shape, (3, 4, 5), "a convolution kernel")
        first, second = (0, 1) if order == "torch" else (rank - 1, rank - 2)
        outputs, inputs = (second, first) if transposed else (first, second)
        spatial = tuple(range(2, rank)) if order == "torch" else tuple(range(rank - 2))
        steps = (stride,) * len(spatial) if isinstance(stride, int) else tuple(stride)
        steps = () if all(step == 1 for step in steps) else steps
        return cls(tuple(shape), (outputs,), (inputs,), spatial, groups=groups, stride=steps, transposed=transposed)

    @classmethod
    def embedding(cls, shape: Sequence[int]) -> WeightLayout:
        """Return the layout of a table of rows, one for each token."""
        _check_rank(shape, (2,), "an embedding")
        return cls(tuple(shape), (1,), (0,), kind=Kind.LOOKUP)

    @property
    def fans(self) -> Fans:
        """Fan in and fan out; one each for what passes every unit by itself, as a row that is looked up.

        Of a strided convolution a gradient meets only one tap in ``stride`` along each axis, and of a transposed one a
        signal does.
        """
        if self.kind is not Kind.MATRIX:
            return Fans(1.0, 1.0)
        taps = self._count(self.spatial)
        inputs = self._count(self.inputs) / (self.groups if self.transposed else 1)
        outputs = self._count(self.outputs) / (1 if self.transposed else self.groups) / max(len(self.parts), 1)
        met = taps / math.prod(self.stride)
        return Fans(inputs * (met if self.transposed else taps), outputs * (taps if self.transposed else met))

    @property
    def order(self) -> tuple[int, ...]:
        """Axes as `canonical` puts them: copies, outputs, inputs, receptive field."""
        return (*self.copies, *self.outputs, *self.inputs, *self.spatial)

    def canonical(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a weight as an array ``[copies, groups, outputs, inputs, taps]``, whichever way it is stored.

        Parameters
        ----------
        values
            In the shape that is stored.

        Returns
        -------
        numpy.ndarray
            Outputs and inputs of one group each.
        """
        rows, columns = self._count(self.outputs), self._count(self.inputs)
        taps = self._count(self.spatial)
        ordered = np.transpose(values, self.order)
        if self.transposed:
            split = ordered.reshape(-1, rows, self.groups, columns // self.groups, taps)
            return np.moveaxis(split, 2, 1)
        return ordered.reshape(-1, self.groups, rows // self.groups, columns, taps)

    def restored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return an array as `canonical` gives it in the shape that is stored."""
        if self.transposed:
            values = np.moveaxis(values, 1, 2)
        ordered = values.reshape([self.shape[axis] for axis in self.order])
        return np.transpose(ordered, np.argsort(self.order))

    def _count(self, axes: Sequence[int]) -> int:
        return math.prod(self.shape[axis] for axis in axes)


def _check_rank(shape: Sequence[int], ranks: Sequence[int], what: str) -> None:
    if len(shape) not in ranks:
        expected = f"{what} of {' or '.join(map(str, ranks))} axes"
        raise InputError(f"the shape {list(shape)}", where="layout", expected=expected)

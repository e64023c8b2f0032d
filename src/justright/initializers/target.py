"""What is to be filled: a parameter, its layout, and what the network says of its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from justright.core.layout import Kind, WeightLayout
from justright.core.place import NOWHERE, Place
from justright.core.streams import Stream, elements
from justright.errors import JustRightError

__all__ = ["NOWHERE", "Part", "Place", "SchemeError", "Target"]

Part = tuple[slice, ...]
"""A slice of every axis of a parameter as it is stored."""


class SchemeError(JustRightError, ValueError):
    """A scheme cannot serve this parameter, or its own parameters are wrong."""


@dataclass(frozen=True)
class Target:
    """A parameter to be filled.

    Parameters
    ----------
    name
        In its model; with the seed it decides the numbers.
    layout
        Which axis is what.
    dtype
        Name of the type that the numbers are stored in; they are drawn in float32 and rounded to the nearest.
    place
        What the network says.
    """

    name: str
    layout: WeightLayout
    dtype: str = "float32"
    place: Place = NOWHERE

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as it is stored."""
        return self.layout.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def order(self) -> tuple[int, ...]:
        """Axes in the order in which elements are numbered: copies, outputs, inputs, positions, and any others.

        So the same weights stored as ``[out, in]`` and as ``[in, out]`` get the same numbers. What is no matrix is
        numbered as it is stored.
        """
        layout = self.layout
        known = (*layout.copies, *layout.outputs, *layout.inputs, *layout.spatial)
        rest = tuple(axis for axis in range(len(self.shape)) if axis not in known)
        return (*known, *rest) if layout.kind is Kind.MATRIX else tuple(range(len(self.shape)))

    @property
    def pieces(self) -> tuple[tuple[slice, Target], ...]:
        """Matrices of unlike sizes that are packed along the outputs, with their places there; else the whole.

        Queries that share keys and values are more of them: each part has a fan of its own.
        """
        parts, ends = self.layout.parts, np.cumsum(self.layout.parts)
        if self.layout.kind is not Kind.MATRIX or len(set(parts)) < 2:  # noqa: PLR2004  unlike ones
            return ((slice(None), self),)
        (axis,) = self.layout.outputs
        found = []
        for size, end in zip(parts, ends.tolist(), strict=True):
            shape = tuple(size if at == axis else length for at, length in enumerate(self.shape))
            piece = replace(self, layout=replace(self.layout, shape=shape, parts=()))
            found.append((slice(end - size, end), piece))
        return tuple(found)

    def words(self, stream: Stream, part: Part | None = None) -> Any:  # noqa: ANN401  an array of uint32
        """Return one word of the stream for each element of a part, in the shape that is stored."""
        if part is None and self.order == tuple(range(len(self.shape))):
            return stream.words(0, self.size).reshape(self.shape)
        return stream.words_at(elements(self.shape, self.order, part))

    def __str__(self) -> str:
        """Return the name and the shape."""
        return f"{self.name} of shape {list(self.shape)}"

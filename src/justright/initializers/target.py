"""What is to be filled: a parameter, its layout, and what the network says of its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream, elements
from justright.errors import JustRightError

__all__ = ["NOWHERE", "Part", "Place", "SchemeError", "Target"]

Part = tuple[slice, ...]
"""A slice of every axis of a parameter as it is stored."""


class SchemeError(JustRightError, ValueError):
    """A scheme cannot serve this parameter, or its own parameters are wrong."""


@dataclass(frozen=True)
class Place:
    """Where a parameter stands in its network; ``None`` is what is not known.

    Parameters
    ----------
    activation
        Name of the nonlinearity that the layer's output passes, or a function; ``"linear"`` if there is none.
    attributes
        Of the nonlinearity, such as its negative slope.
    role
        ``"hidden"``, ``"input"``, ``"output"`` (the head), ``"embedding"``, ``"recurrent"``, ``"normalization"``,
        ``"lora_a"`` or ``"lora_b"``.
    depth, layers
        Index of the layer among the network's layers, from zero, and their number.
    branch, branches
        Index of the residual branch that the layer lies in, from zero, and their number.
    in_branch, branch_layers
        Index of the layer in its branch, from zero, and the number of layers in the branch.
    ends_branch
        Whether the output of the layer is added to a residual stream.
    dropout
        Rate of the dropout that the layer's input has passed.
    gates
        Names of the packed gates of a recurrent cell in order: ``("i", "f", "g", "o")``.
    hidden
        Units of a recurrent cell.
    width, base_width
        Units of the network, and of the network whose step size was tuned.
    weight
        Layout of the weight that a bias belongs to.

    Examples
    --------
    >>> Place(activation="relu", dropout=0.1).activation
    'relu'
    """

    activation: str | Callable[..., Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    role: str | None = None
    depth: int | None = None
    layers: int | None = None
    branch: int | None = None
    branches: int | None = None
    in_branch: int | None = None
    branch_layers: int | None = None
    ends_branch: bool | None = None
    dropout: float | None = None
    gates: tuple[str, ...] | None = None
    hidden: int | None = None
    width: int | None = None
    base_width: int | None = None
    weight: WeightLayout | None = None


NOWHERE: Final = Place()
"""Nothing is known of the network."""


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

    def words(self, stream: Stream, part: Part | None = None) -> Any:  # noqa: ANN401  an array of uint32
        """Return one word of the stream for each element of a part, in the shape that is stored."""
        if part is None and self.order == tuple(range(len(self.shape))):
            return stream.words(0, self.size).reshape(self.shape)
        return stream.words_at(elements(self.shape, self.order, part))

    def __str__(self) -> str:
        """Return the name and the shape."""
        return f"{self.name} of shape {list(self.shape)}"

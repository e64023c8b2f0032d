"""Where a parameter stands in its network: what an initializer may have to know of it beside its own shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from justright.core.layout import WeightLayout

__all__ = ["NOWHERE", "Place"]


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
    also
        Layouts of other uses than the one that counts, as of a table that is the output layer too.

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
    also: tuple[WeightLayout, ...] = ()


NOWHERE: Final = Place()
"""Nothing is known of the network."""

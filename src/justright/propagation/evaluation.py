"""One node with the values of its operands, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from justright.core.graph import Node

__all__ = ["Evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """One node with the values of its operands.

    Parameters
    ----------
    node
        The node.
    operands
        Names and values of the operands, in order.
    shape
        Shape of the output that is asked for.
    output
        Which output that is.
    """

    node: Node
    operands: tuple[tuple[str, Any], ...]
    shape: tuple[int, ...]
    output: int = 0

    @property
    def x(self) -> Any:  # noqa: ANN401
        """Value of the first operand."""
        return self.operands[0][1]

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        """Value of an operand or attribute; `KeyError` if there is none."""
        for each, value in self.operands:
            if each == name:
                return value
        return self.node.attributes[name]

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        """Value of an operand or attribute, or a default."""
        try:
            return self[name]
        except KeyError:
            return default

    @property
    def native(self) -> str:
        """Base name of the native operator, without underscores around it."""
        return self.node.native.split(".")[1].strip("_") if "." in self.node.native else ""

    @property
    def dims(self) -> tuple[int, ...] | None:
        """Dimensions that an attribute names; ``None`` for all."""
        given = self.get("dim")
        if given is None or given == ():
            return None
        return tuple(given) if isinstance(given, list | tuple) else (int(given),)

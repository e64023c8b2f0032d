"""What schemes share that change weights by what the network does or holds; `justright.calibrate` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

from justright.core.streams import Stream
from justright.initializers.base import Declared, Floats, Initializer, Part, Target

__all__ = ["DataDriven"]


@dataclass(frozen=True)
class DataDriven(Initializer):
    """A scheme that cannot say what a weight becomes before it has seen the network at work."""

    start: ClassVar[str] = ""
    """Scheme that the weights have before; empty to begin with those that are there."""

    reads_batches: ClassVar[bool] = True
    """Whether it runs the network; otherwise it reads the weights alone."""

    def declared(self, target: Target) -> Declared:
        """Raise `SchemeError`: from the shape alone nothing can be said."""
        self._fail(target)

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:  # noqa: ARG002
        """Raise `SchemeError`: from the shape alone nothing can be said."""
        self._fail(target)

    def _fail(self, target: Target) -> NoReturn:
        needed, given = ("batches", "batches") if self.reads_batches else ("the weights of a model", "[]")
        raise self.refused(target, needed, f"jr.calibrate(model, {given}, {self.name!r})")

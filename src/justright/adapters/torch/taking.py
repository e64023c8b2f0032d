"""Steps of an optimizer on one batch, taken and undone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from justright.adapters.torch.curvature import Run, Vectors
from justright.adapters.torch.gradients import gradients
from justright.adapters.torch.guard import Guarding
from justright.adapters.torch.optimizers import needs_closure, undone
from justright.adapters.torch.rounding import HALVES
from justright.core.step import runs_away
from justright.errors import JustRightError

__all__ = ["Subject", "Take", "Taker"]

Take = Callable[[Vectors], None]
"""Takes one step with these gradients."""


@dataclass(frozen=True)
class Subject:
    """What a step is taken on.

    Parameters
    ----------
    model
        The model.
    batch
        Tensors of the batch, which a forward may overwrite.
    run
        Opens one forward with the parameters as they are, always on the same random numbers.
    loss, gradients
        What one forward and backward gave.
    finite
        Whether all of these gradients are finite.
    sizes
        RMS of the parameters by name.
    """

    model: torch.nn.Module
    batch: Iterable[torch.Tensor]
    run: Run
    loss: float
    gradients: dict[str, torch.Tensor]
    finite: bool
    sizes: Mapping[str, float]

    def loss_now(self) -> float:
        """Return the loss with the parameters as they are."""
        try:
            with self.run(differentiable=False) as loss:
                return float(loss)
        except JustRightError:  # a forward may take gradients itself
            with self.run() as loss:
                return float(loss.detach())


class Taker:
    """Takes steps of one optimizer on one subject.

    Parameters
    ----------
    subject
        What to take them on.
    optimizer
        Whose steps.
    moved
        The parameters that it moves, by name.
    """

    def __init__(
        self, subject: Subject, optimizer: torch.optim.Optimizer, moved: Mapping[str, torch.nn.Parameter]
    ) -> None:
        self.subject = subject
        self.optimizer = optimizer
        self.moved = moved

    @contextmanager
    def undone(self, factor: float = 1.0) -> Iterator[tuple[Take, Vectors]]:
        """Open steps that are undone at the end; give what takes one, and the parameters' values before.

        Parameters
        ----------
        factor
            On every learning rate.
        """
        with undone(self.subject.model, self.optimizer, self.subject.batch) as guard:
            before = {name: guard.before(each.detach()) for name, each in self.moved.items()}
            for group in self.optimizer.param_groups if factor != 1.0 else ():
                if "lr" in group:
                    group["lr"] = group["lr"] * factor

            def take(found: Vectors) -> None:
                self._put(found)
                with Guarding(guard), torch.enable_grad():
                    self.optimizer.step(*([self._closure] if needs_closure(self.optimizer) else []))

            yield take, before

    def further(self, step: Take, steps: int, most: int = 0, start: float = math.inf) -> tuple[list[float], Vectors]:
        """Take more steps; return the losses after them and the last gradients.

        Parameters
        ----------
        step
            Takes one.
        steps
            How many, as long as the loss is finite.
        most
            How many at most until the loss has come down to `start`.
        start
            The loss at the start.
        """
        losses: list[float] = []
        loss, found = self._evaluated()
        while math.isfinite(loss) and (len(losses) < steps or (len(losses) < most and runs_away(losses, start))):
            step(found)
            loss, found = self._evaluated()
            losses.append(loss)
        return losses, found

    def meant(self) -> dict[str, torch.Tensor]:
        """Return the step that the optimizer would take on float32 copies of parameters in 16 bits.

        Empty where there are none: the parameters then move as they are meant to, but for a rounding.
        """
        if not any(each.dtype in HALVES for each in self.moved.values()):
            return {}
        with self.undone() as (step, before):
            for name, each in self.moved.items():
                if each.dtype in HALVES:
                    each.grad = None
                    each.data = before[name].float()
            step(
                {name: each.float() if each.dtype in HALVES else each for name, each in self.subject.gradients.items()}
            )
            return {name: each.detach() - before[name].to(each.dtype) for name, each in self.moved.items()}

    def _closure(self) -> float:
        loss, found = self._evaluated()
        self._put(found)
        return loss

    def _put(self, found: Vectors) -> None:
        """Give every parameter of the optimizer its gradient, and those without one none."""
        gradients = {id(self.moved[name]): each for name, each in found.items() if name in self.moved}
        keeps = type(self.optimizer).__module__.startswith(("torch.optim", "justright."))  # others may write to it
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                gradient = gradients.get(id(parameter))
                parameter.grad = gradient if keeps or gradient is None else gradient.clone()

    def _evaluated(self) -> tuple[float, Vectors]:
        with self.subject.run() as loss:
            return float(loss.detach()), gradients(self.moved, loss)

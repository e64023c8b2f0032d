"""Networks on whose way back to the weights the gradient is lost."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import flat, initialized, mlp, prepared, scaled

SHELF = Shelf("paths", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]


class Split(nn.Module):
    """Two parts with something in between."""

    def __init__(self, body: nn.Module, head: nn.Module, between: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.body = body
        self.head = head
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply body, what is in between, and head."""
        return self.head(self.between(self.body(x)))


def _body() -> nn.Module:
    return initialized(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16)), scaled(2**0.5))


def _split(between: Any) -> Built:  # noqa: ANN401
    return Split(_body(), nn.Linear(16, 10), between), flat(), "cross_entropy"


@SHELF.sick("detach", "JR303", "detached halfway: the first half stays random")
def _detach(_seed: int) -> Built:
    return _split(lambda x: x.detach()[:, :2].repeat(1, 8))


def _winners(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(x.argmax(-1), 16).float()


@SHELF.sick("argmax", "JR303", "an argmax halfway")
def _argmax(_seed: int) -> Built:
    return _split(_winners)


@SHELF.sick("round", "JR303", "rounded halfway: the slope is zero everywhere")
def _round(_seed: int) -> Built:
    return _split(lambda x: torch.round(torch.sigmoid(x[:, :3])).repeat(1, 6)[:, :16])


def _straight_through(x: torch.Tensor) -> torch.Tensor:
    return x + (torch.round(x) - x).detach()


@SHELF.healthy("straight-through", "near miss: rounded halfway, with a straight-through estimator")
def _estimator(_seed: int) -> Built:
    return _split(_straight_through)


def accuracy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the accuracy, which has no derivative."""
    return (output.argmax(-1) != target).float().mean()


@SHELF.sick("accuracy-loss", "JR303", "the accuracy as a loss")
def _accuracy(_seed: int) -> Built:
    return initialized(mlp(3, nn.ReLU), scaled(2**0.5)), flat(), accuracy


class Frozen(nn.Module):
    """A model whose forward runs under no_grad."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run without gradients."""
        with torch.no_grad():
            return self.inner(x)


@SHELF.sick("no-grad", "JR303", "everything under no_grad")
def _no_grad(_seed: int) -> Built:
    return Frozen(mlp(3, nn.ReLU)), flat(), "cross_entropy"


@SHELF.healthy("frozen-body", "a frozen body under no_grad and a trained head")
def _frozen(_seed: int) -> Built:
    body = Frozen(nn.Sequential(nn.Linear(64, 64), nn.ReLU())).requires_grad_(False)
    return nn.Sequential(body, nn.Linear(64, 10)), flat(), "cross_entropy"


class Spare(nn.Module):
    """A model with a head that its forward does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.used = mlp(3, nn.ReLU)
        self.spare = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Leave the spare head alone."""
        return self.used(x)


@SHELF.healthy("spare-head", "a head that the forward does not use is worth a note")
def _spare(_seed: int) -> Built:
    return Spare(), flat(), "cross_entropy"


class Student(nn.Module):
    """A student beside a teacher whose output is detached."""

    def __init__(self) -> None:
        super().__init__()
        self.student = mlp(3, nn.ReLU)
        self.teacher = mlp(3, nn.ReLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the student's scores, drawn a little towards the teacher's."""
        return 0.9 * self.student(x) + 0.1 * self.teacher(x).detach()


@SHELF.healthy("teacher", "a detached teacher that nobody froze is worth a note")
def _teacher(_seed: int) -> Built:
    return Student(), flat(), "cross_entropy"

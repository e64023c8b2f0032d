"""Initialization that learns: the norms of weights (MetaInit), or factors on all parameters (GradInit)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from justright.adapters.base import Job
from justright.errors import ForwardError

__all__ = ["GradInit", "MetaInit", "gradient_quotient"]

Row = tuple[str, float, float]

SMALLEST: Final = 0.01  # of GradInit's factors: Zhu et al. 2021, algorithm 1


class MetaInit:
    """Moves the norm of every weight by a signed step."""

    def __init__(self, model: nn.Module, jobs: Sequence[Job], scheme: Any) -> None:  # noqa: ANN401
        self.jobs, self.scheme, self.total = jobs, scheme, int(scheme.steps)
        self.moved = {n: p for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1}
        before = {name: _norm(each) for name, each in self.moved.items()}
        self.memory: dict[str, Any] = {"velocity": dict.fromkeys(self.moved, 0.0), "before": before}

    @property
    def rows(self) -> list[Row]:
        """Norms before and now."""
        return [(name, self.memory["before"][name], _norm(each)) for name, each in self.moved.items()]

    def step(self, index: int) -> None:
        """Use the next batch."""
        job = self.jobs[index % len(self.jobs)]
        quotient = gradient_quotient(job, self.scheme.eps)
        gradients = torch.autograd.grad(quotient, list(self.moved.values()), allow_unused=True)
        velocity = self.memory["velocity"]
        for (name, each), gradient in zip(self.moved.items(), gradients, strict=True):
            norm = _norm(each)
            if gradient is None or norm == 0.0:
                continue
            sign = float(torch.sign((each.detach() * gradient).sum()))
            velocity[name] = self.scheme.momentum * velocity[name] - self.scheme.rate * sign
            each.data.mul_(max(norm + velocity[name], 0.1 * norm) / norm)  # a norm stays above zero


class GradInit:
    """Takes one step of Adam on the factors of all parameters."""

    def __init__(self, model: nn.Module, jobs: Sequence[Job], scheme: Any) -> None:  # noqa: ANN401
        self.jobs, self.scheme, self.total = jobs, scheme, int(scheme.steps)
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        factors = {name: torch.ones((), dtype=each.dtype) for name, each in self.parameters.items()}
        origin = {name: each.detach().clone() for name, each in self.parameters.items()}
        self.memory: dict[str, Any] = {"factors": factors, "origin": origin, "optimizer": None}

    @property
    def rows(self) -> list[Row]:
        """Factors at first and now."""
        return [(name, 1.0, float(factor)) for name, factor in self.memory["factors"].items()]

    def step(self, index: int) -> None:
        """Use the next two batches."""
        factors = {name: each.detach().clone().requires_grad_() for name, each in self.memory["factors"].items()}
        optimizer = torch.optim.Adam(list(factors.values()), lr=self.scheme.learning_rate)
        if self.memory["optimizer"] is not None:
            optimizer.load_state_dict(self.memory["optimizer"])
        gradients = torch.autograd.grad(self._objective(index, factors), list(factors.values()), allow_unused=True)
        for each, gradient in zip(factors.values(), gradients, strict=True):
            each.grad = torch.zeros_like(each) if gradient is None else gradient
        optimizer.step()
        self.memory["optimizer"] = optimizer.state_dict()
        self.memory["factors"] = {name: each.detach().clamp(min=SMALLEST) for name, each in factors.items()}
        for name, each in self.parameters.items():
            each.data.copy_(self.memory["origin"][name] * self.memory["factors"][name])

    def _objective(self, index: int, factors: Mapping[str, Tensor]) -> Tensor:
        scaled = {name: self.memory["origin"][name] * factor for name, factor in factors.items()}
        first, second = (self.jobs[(index + ahead) % len(self.jobs)] for ahead in (0, 1))
        gradients = torch.autograd.grad(
            _loss(first, scaled), list(scaled.values()), create_graph=True, allow_unused=True
        )
        pairs = [(name, g) for name, g in zip(scaled, gradients, strict=True) if g is not None]
        norm = torch.stack([g.square().sum() for _, g in pairs]).sum().sqrt()
        if float(norm.detach()) > self.scheme.bound:
            return norm
        return _loss(second, scaled | {name: scaled[name] - self.scheme.rate * g for name, g in pairs})


def gradient_quotient(job: Job, eps: float) -> Tensor:
    """Return by how much one step along the gradient changes it: the mean of ``|(g - H g) / (g + eps sign g) - 1|``."""
    parameters = [each for each in job.model.parameters() if each.requires_grad]
    found = torch.autograd.grad(_loss(job), parameters, create_graph=True, allow_unused=True)
    used = [(p, g) for p, g in zip(parameters, found, strict=True) if g is not None and g.requires_grad]
    if not used:
        raise ForwardError("no gradient has a gradient of its own", where="gradient quotient",
                           expected="a smooth network", try_="lsuv")  # fmt: skip
    half = torch.stack([g.square().sum() for _, g in used]).sum() / 2.0
    products = torch.autograd.grad(half, [p for p, _ in used], create_graph=True, allow_unused=True)
    total = sum(
        ((g - (0.0 if h is None else h)) / (g + eps * torch.where(g.detach() >= 0.0, 1.0, -1.0)) - 1.0).abs().sum()
        for (_, g), h in zip(used, products, strict=True)
    )
    return torch.as_tensor(total / sum(p.numel() for p, _ in used))


def _loss(job: Job, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
    if parameters is None:
        return torch.as_tensor(job.score(job.model(*job.args, **job.kwargs)))
    output = torch.func.functional_call(job.model, dict(parameters), job.args, dict(job.kwargs))
    return torch.as_tensor(job.score(output))


def _norm(parameter: Tensor) -> float:
    return float(parameter.detach().norm())

"""Gradients of the parameters, without touching `.grad`, and which of them open after a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.func import functional_call

from justright.adapters.base import Job
from justright.errors import ForwardError

__all__ = ["gradients", "opening"]

STEP = 1e-3
"""Size of the trial step of a parameter that is exactly zero; only whether others then get a gradient is read."""


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradient of every trainable parameter that gets one, by name.

    Empty when the loss does not depend on any trainable parameter.
    """
    return _gradients(dict(model.named_parameters()), loss)


def _gradients(parameters: Mapping[str, torch.Tensor], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    trainable = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    if not loss.requires_grad or not trainable:
        return {}
    try:
        found = torch.autograd.grad(loss, list(trainable.values()), allow_unused=True)
    except RuntimeError as error:
        raise ForwardError(
            f"{type(error).__name__}: {error}",
            where="backward",
            expected="a backward that runs",
            try_="use_reentrant=False, if the model checkpoints activations" if "use_reentrant" in str(error) else "",
        ) from error
    return {name: each for name, each in zip(trainable, found, strict=True) if each is not None}


def opening(job: Job, names: Sequence[str], steps: int) -> dict[str, int]:
    """See `justright.adapters.base.Adapter.opening`.

    Parameters that are exactly zero and have a gradient are moved against it, on copies; whatever then gets a gradient
    was only waiting for them.
    """
    parameters = dict(job.model.named_parameters())
    trial: dict[str, torch.Tensor] = {}
    waiting = set(names)
    opened: dict[str, int] = {}
    for step in range(steps):
        current = {**parameters, **trial}
        found = _at(job, current)
        for name in sorted(waiting):
            if step and name in found and found[name].count_nonzero():
                opened[name] = step
                waiting.discard(name)
        moved = {
            name: (current[name].detach() - STEP * gradient.sign()).requires_grad_()
            for name, gradient in found.items()
            if name not in trial and not current[name].count_nonzero() and gradient.count_nonzero()
        }
        if not waiting or not moved:
            break
        trial.update(moved)
    return opened


def _at(job: Job, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gradients with these parameters in place of the model's own."""
    output = functional_call(job.model, dict(parameters), job.args, dict(job.kwargs))
    return _gradients(parameters, job.score(output))

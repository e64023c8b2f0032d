"""Gradients of the parameters, without touching `.grad`, and which of them open after a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from justright.adapters.torch.place import line_of_traceback
from justright.adapters.torch.statistics import dense
from justright.errors import ForwardError, JustRightError

__all__ = ["gradients", "opening"]

STEP = 1e-3
"""Size of the trial step of a parameter that is exactly zero; only whether others then get a gradient is read."""

NOT_REENTRANT = "checkpoint(..., use_reentrant=False)"
"""The form of checkpoints that passes gradients to parameters, not to `.grad` alone."""


def gradients(parameters: Mapping[str, torch.Tensor], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the gradient of every trainable parameter that gets one, by name.

    Empty when the loss does not depend on any trainable parameter.

    Raises
    ------
    ForwardError
        If the backward raises, or would have to go through a checkpoint that only `torch.Tensor.backward` passes.
    """
    trainable = {name: parameter for name, parameter in parameters.items() if parameter.requires_grad}
    if not loss.requires_grad or not trainable:
        return {}
    try:
        found = torch.autograd.grad(loss, list(trainable.values()), allow_unused=True)
    except JustRightError:
        raise
    except Exception as error:
        line = line_of_traceback(error.__traceback__)
        raise ForwardError(
            f"{type(error).__name__}: {error}",
            where=f"backward ({line})" if line else "backward",
            expected="a backward that runs",
            try_=NOT_REENTRANT if "use_reentrant" in str(error) else "",
        ) from error
    if any(each is None for each in found) and _reentrant(loss):
        raise ForwardError(
            "a reentrant checkpoint", where="backward", expected="checkpoints that gradients pass", try_=NOT_REENTRANT
        )
    return {name: each for name, each in zip(trainable, found, strict=True) if each is not None}


def _reentrant(loss: torch.Tensor) -> bool:
    """Say whether the loss was computed through a checkpoint whose parameters autograd does not see."""
    pending, seen = [loss.grad_fn], set()
    while pending:
        function = pending.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        if function.name().startswith("CheckpointFunctionBackward"):
            return True
        pending += [following for following, _ in function.next_functions]
    return False


def opening(
    trial: Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor]],
    parameters: Mapping[str, torch.Tensor],
    names: Sequence[str],
    steps: int,
) -> dict[str, int]:
    """See `justright.adapters.base.Adapter.opening`.

    Parameters that are exactly zero and have a gradient are moved against it, on copies; whatever then gets a gradient
    was only waiting for them.

    Parameters
    ----------
    trial
        From parameters to their gradients.
    parameters
        The model's own.
    names
        Those that are waiting for a gradient.
    steps
        How many are tried.
    """
    moved: dict[str, torch.Tensor] = {}
    waiting = set(names)
    opened: dict[str, int] = {}
    for step in range(steps):
        current = {**parameters, **moved}
        found = {name: dense(gradient) for name, gradient in trial(current).items()}
        found = {name: gradient for name, gradient in found.items() if gradient.count_nonzero()}
        if step:
            opened.update(dict.fromkeys(sorted(waiting & found.keys()), step))
        waiting -= opened.keys()
        following = {
            name: (current[name].detach() - STEP * gradient.sign()).requires_grad_()
            for name, gradient in found.items()
            if name not in moved and not current[name].count_nonzero()
        }
        if not waiting or not following:
            break
        moved.update(following)
    return opened

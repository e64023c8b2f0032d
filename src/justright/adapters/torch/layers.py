"""The layers of a model with a weight, and what each makes of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from justright.adapters.base import Job
from justright.adapters.torch.layouts import holders
from justright.core.layout import Kind
from justright.errors import ForwardError

__all__ = ["TRANSPOSED", "along", "channels_of", "divisor", "layers_of", "output_of"]

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class _Reached(Exception):  # noqa: N818  it ends a forward pass, and is no error
    """The layer that was waited for has run."""


def output_of(job: Job, name: str, layer: nn.Module, *, differentiable: bool = False) -> Tensor:
    """Return what one layer makes of the batch at its first call."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:  # noqa: ANN401
        found.append(output)
        raise _Reached

    with torch.set_grad_enabled(differentiable):
        handle = layer.register_forward_hook(keep)
        try:
            job.model(*job.args, **job.kwargs)
        except _Reached:
            return found[0]
        finally:
            handle.remove()
    raise ForwardError(
        "the layer did not run", where=name, expected="the same forward pass every time", try_="eval mode"
    )


def layers_of(job: Job) -> list[tuple[str, Any]]:
    """Return the modules with a weight that joins inputs and outputs, in the order of their first call."""
    kinds = {name: target for name, (target, _, _) in holders(job.model)}
    order: dict[str, nn.Module] = {}
    handles = []
    for name, module in job.model.named_modules():
        target = kinds.get(f"{name}.weight".lstrip("."))
        if target is not None and target.layout.kind is Kind.MATRIX and module.weight.requires_grad:
            handles.append(module.register_forward_hook(lambda *_, n=name, m=module: order.setdefault(n, m) and None))
    try:
        with torch.no_grad():
            job.model(*job.args, **job.kwargs)
    finally:
        for handle in handles:
            handle.remove()
    if not order:
        raise ForwardError("no layer with a weight ran", where=type(job.model).__name__,
                           expected="linear or convolutional layers", try_="jr.initialize")  # fmt: skip
    return list(order.items())


def channels_of(layer: nn.Module, output: Tensor) -> int:
    """Return the axis of the channels in the output of a layer."""
    taps = layer.weight.ndim - 2  # type: ignore[union-attr,operator]
    return output.ndim - 1 - int(taps)


def along(values: Tensor, axis: int, weight: Tensor, groups: int) -> Tensor:
    """Return a number for each output channel in a shape that a weight can be divided by."""
    if groups == 1:
        return values.to(weight.dtype).reshape([-1 if at == axis else 1 for at in range(weight.ndim)])
    inputs = weight.shape[0] // groups
    grouped = values.to(weight.dtype).reshape(groups, 1, -1).expand(groups, inputs, -1).reshape(weight.shape[0], -1)
    return grouped.reshape(*grouped.shape, *(1,) * (weight.ndim - 2))


def divisor(std: float, name: str) -> float:
    """Return a standard deviation, or raise `ForwardError` if nothing can be divided by it."""
    if not 0.0 < std < float("inf"):
        found, expected = f"an output of standard deviation {std:.3g}", "an output that varies, and is finite"
        raise ForwardError(found, where=name, expected=expected, try_="jr.check, which shows where it ends")
    return std

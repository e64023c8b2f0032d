"""A model of shapes alone: every weight and every signal becomes a tensor on the meta device, without a copy."""

from __future__ import annotations

from typing import Any

import torch

from justright.errors import ModelError

__all__ = ["check_values", "shapes_only", "signal_to_meta"]


def signal_to_meta(tensor: torch.Tensor) -> torch.Tensor:
    """Return the shape of a signal; integers and booleans stay, since they may decide control flow."""
    if tensor.device.type == "meta" or not (tensor.is_floating_point() or tensor.is_complex()):
        return tensor
    shape = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")
    return torch.nn.Parameter(shape, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else shape


def shapes_only(model: torch.nn.Module) -> None:
    """Put shapes in place of a model's parameters and buffers, tied ones once; undone by `preserved` around it."""
    twins: dict[int, Any] = {id(tensor): signal_to_meta(tensor) for tensor in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        for owned in (module._parameters, module._buffers):
            for name, tensor in owned.items():
                if tensor is not None:
                    owned[name] = twins[id(tensor)]
        for value in vars(module).values():
            if isinstance(value, list):  # such as the flat weights of a recurrent layer
                value[:] = [twins.get(id(each), each) for each in value]


def check_values(model: torch.nn.Module) -> None:
    """Make sure that a model has values to compute with.

    Raises
    ------
    ModelError
        If a parameter or buffer is on the meta device.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.device.type == "meta":
            raise ModelError(
                "a tensor on the meta device, which holds no values", where=name, expected="weights to measure with",
                try_='model.to_empty(device="cpu"), and initialize it',
            )  # fmt: skip

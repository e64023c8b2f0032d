"""Writing to parameters: which cannot be written, and how what was there comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

__all__ = ["keep", "unfit"]


def keep(parameters: Sequence[torch.Tensor]) -> Callable[[], None]:
    """Copy parameters, and return a function that puts their values back, bit for bit."""
    kept = [(each, each.detach().clone()) for each in parameters]

    def restore() -> None:
        with torch.no_grad():
            for parameter, values in kept:
                parameter.copy_(values)

    return restore


def unfit(model: nn.Module, name: str) -> str:
    """Say why a parameter cannot be filled: it is sharded, quantized, or one of those that another is made from.

    Parameters
    ----------
    model
        The model.
    name
        Of the parameter.
    """
    parameter: Any = model.get_parameter(name)
    if hasattr(parameter, "placements"):
        return "it is sharded over devices: prescribe before sharding"
    if not parameter.dtype.is_floating_point:
        return f"it holds {str(parameter.dtype).removeprefix('torch.')}: quantized or whole numbers are not drawn"
    parts = name.split(".")
    if "parametrizations" in parts or parts[-1].endswith(("_orig", "_g", "_v")):
        return _made_from(model, parts)
    return ""


def _made_from(model: nn.Module, parts: list[str]) -> str:
    """Say that a parameter is one of those that a parametrization makes a weight from; empty if it is not."""
    if "parametrizations" in parts:
        at = parts.index("parametrizations")
        return f"a parametrization makes {'.'.join([*parts[:at], parts[at + 1]])} from it: remove it first"
    owner, weight = model.get_submodule(".".join(parts[:-1])), parts[-1].rpartition("_")[0]
    made = hasattr(owner, weight) and weight not in dict(owner.named_parameters(recurse=False))
    return f"a hook makes {weight} from it: remove the normalization first" if made else ""

"""Building a model without values: parameters have a shape alone, buffers are what they are.

Buffers stay, since positions, masks and rotary tables in them decide what a network does. What fills a parameter is
still called, on a tensor without memory, so that its initializer can be recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from justright.adapters.torch.calls import Func

__all__ = ["weightless"]

Made = TypeVar("Made")

LARGE: Final = 1 << 20
"""Elements from which on a floating-point tensor is made without memory: tables in buffers are smaller."""

MAKERS: Final = frozenset({"empty", "empty_strided", "randn", "rand", "zeros", "ones", "full"})
"""Calls that make a tensor of a given shape, by base name."""

META: Final = torch.device("meta")


def weightless(make: Callable[[], Made]) -> Made:
    """Call a function that builds a model, so that its parameters are on the meta device.

    Where the function computes with the values of parameters or large tables, everything is put on the meta device,
    buffers as well.

    Parameters
    ----------
    make
        Builds a model.
    """
    try:
        with _parameters_on_meta(), _Large():
            return make()
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        with META:
            return make()


class _Large(TorchDispatchMode):
    """Makes large floating-point tensors on the meta device."""

    def __torch_dispatch__(
        self,
        func: Func,
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        if func._schema.name.partition("::")[2] in MAKERS and _large(args, kwargs):
            kwargs = {**kwargs, "device": META, "pin_memory": None}
        return func(*args, **kwargs)


def _large(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    return dtype.is_floating_point and bool(args) and math.prod(args[0]) >= LARGE


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Turn every parameter that is registered while the context is open into a shape."""
    register = torch.nn.Module.register_parameter

    def registering(module: torch.nn.Module, name: str, param: torch.nn.Parameter | None) -> None:
        if param is not None and type(param) is torch.nn.Parameter and param.device != META:
            param = torch.nn.Parameter(param.detach().to(META), param.requires_grad)
        register(module, name, param)

    torch.nn.Module.register_parameter = registering  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        torch.nn.Module.register_parameter = register  # type: ignore[method-assign]

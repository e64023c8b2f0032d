"""The model leaves as it came: parameters, buffers, gradients, modes, hooks, attributes and random states."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, MutableMapping, MutableSequence, MutableSet
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["Guard", "preserved"]


class Guard:
    """Copies memory just before its first write, so that it can be put back bit for bit.

    Parameters
    ----------
    tensors
        Tensors to protect; nothing is copied until `before_write` names one of their storages.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._protected = {_pointer(tensor): tensor.untyped_storage() for tensor in tensors if _real(tensor)}
        self._copies: dict[int, torch.UntypedStorage] = {}

    def before_write(self, tensors: Iterable[torch.Tensor]) -> None:
        """Copy what is protected among these and not copied yet."""
        for tensor in tensors:
            if _real(tensor):
                pointer = _pointer(tensor)
                if pointer in self._protected and pointer not in self._copies:
                    self._copies[pointer] = self._protected[pointer].clone()

    def restore(self) -> None:
        """Put every copy back."""
        for pointer, copy in self._copies.items():
            self._protected[pointer].copy_(copy)
        self._copies.clear()


@contextmanager
def preserved(model: torch.nn.Module, batch: Iterable[torch.Tensor]) -> Iterator[Guard]:
    """Open a context after which model, batch and random states are what they were, also after an error.

    Parameters
    ----------
    model
        Its parameters, gradients, buffers, modes, hooks and plain attributes come back.
    batch
        Tensors of the batch, which a forward may overwrite.
    """
    parameters = list(model.parameters())
    flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in parameters]
    modules = [(module, dict(vars(module)), _contents(module)) for module in model.modules()]
    guard = Guard([*parameters, *model.buffers(), *batch, *_attributes(modules)])
    states = _random_states()
    try:
        yield guard
    finally:
        for module, attributes, contents in modules:
            _restore(module, attributes, contents)
        for parameter, flag, gradient in flags:
            if parameter.requires_grad is not flag:
                parameter.requires_grad_(flag)
            if parameter.grad is not gradient:
                parameter.grad = gradient
        guard.restore()
        _restore_random(states)


def _pointer(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _real(tensor: torch.Tensor) -> bool:
    return tensor.device.type != "meta" and tensor.layout is torch.strided


Contents = list[tuple[Any, Any]]


def _contents(module: torch.nn.Module) -> Contents:
    """Copy the containers among a module's attributes, one level deep."""
    kinds = MutableMapping | MutableSequence | MutableSet
    return [
        (value, dict(value) if isinstance(value, MutableMapping) else list(value))
        for value in vars(module).values()
        if isinstance(value, kinds) and not isinstance(value, torch.nn.Module)
    ]


def _attributes(modules: list[tuple[torch.nn.Module, dict[str, Any], Contents]]) -> Iterator[torch.Tensor]:
    """Tensors that hang on modules without being parameters or buffers, in containers too."""
    for _, attributes, contents in modules:
        yield from (value for value in attributes.values() if isinstance(value, torch.Tensor))
        for _, copy in contents:
            values = copy.values() if isinstance(copy, dict) else copy
            yield from (value for value in values if isinstance(value, torch.Tensor))


def _restore(module: torch.nn.Module, attributes: dict[str, Any], contents: Contents) -> None:
    now = vars(module)
    if now.keys() != attributes.keys() or any(now[name] is not value for name, value in attributes.items()):
        now.clear()
        now.update(attributes)
    for container, copy in contents:
        if not _same(container, copy):
            _refill(container, copy)


def _same(container: Any, copy: Any) -> bool:  # noqa: ANN401
    if isinstance(copy, dict):
        return list(container) == list(copy) and all(container[key] is value for key, value in copy.items())
    return len(container) == len(copy) and all(a is b for a, b in zip(container, copy, strict=True))


def _refill(container: Any, copy: Any) -> None:  # noqa: ANN401
    container.clear()
    if isinstance(copy, dict) or isinstance(container, MutableSet):
        for value in copy:
            container.add(value) if isinstance(container, MutableSet) else container.__setitem__(value, copy[value])
    else:
        container.extend(copy)


def _random_states() -> dict[str, Any]:
    states: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if "numpy" in sys.modules:
        states["numpy"] = sys.modules["numpy"].random.get_state()
    return states


def _restore_random(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])
    if "numpy" in states:
        sys.modules["numpy"].random.set_state(states["numpy"])

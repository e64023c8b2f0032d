"""The model leaves as it came: parameters, buffers, gradients, modes, hooks, attributes and random states."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, MutableSet
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from typing import Any

import numpy as np
import torch

from justright.adapters.torch.guard import Guard, memory_of, real

__all__ = ["preserved"]


@contextmanager
def preserved(model: torch.nn.Module, batch: Iterable[torch.Tensor]) -> Iterator[Guard]:
    """Open a context after which model, batch and random states are what they were, also after an error.

    Parameters
    ----------
    model
        Its parameters, gradients, buffers, modes, hooks, plain attributes and generators come back; attributes of
        objects that hang on it are not looked into.
    batch
        Tensors of the batch, which a forward may overwrite.
    """
    modules = [(module, dict(vars(module))) for module in model.modules()]
    kept, contents = _reached(attributes for _, attributes in modules)
    own = [value for value in kept if isinstance(value, torch.Tensor)]
    tensors = [_TensorState(tensor) for tensor in own]
    gradients = [state.grad for state in tensors if state.grad is not None]
    guard = Guard([*own, *gradients, *batch])
    rewinds = [rewind for value in kept if (rewind := _rewind(value)) is not None]
    states = _random_states()
    try:
        yield guard
    finally:
        _all(
            *(partial(_restore_attributes, vars(module), attributes) for module, attributes in modules),
            *(partial(_restore_container, container, copy) for container, copy in contents),
            *(state.restore for state in tensors),
            guard.restore,
            *rewinds,
            partial(_restore_random, states),
        )


def _all(*steps: Callable[[], None]) -> None:
    """Take every step, even if another one cannot be taken; then raise the first error."""
    errors = []
    for step in steps:
        try:
            step()
        except Exception as error:  # whatever it is, the others come first
            errors.append(error)
    if errors:
        raise errors[0]


class _TensorState:
    """What a tensor object is beside the values in its memory."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        self.grad = tensor.grad if tensor.is_leaf else None
        self._leaf = tensor.is_leaf
        self._flag = tensor.requires_grad
        self._alias = tensor.detach()
        self._attributes = dict(vars(tensor))
        self._hooks = [(name, hooks, dict(hooks or {})) for name in HOOKS for hooks in [getattr(tensor, name)]]

    def restore(self) -> None:
        """Give it back its memory, flag, gradient and hooks."""
        tensor = self.tensor
        if self._leaf and not tensor.is_leaf and not tensor._is_view():
            tensor.detach_()  # a call overwrote it with something that carries a gradient
        if real(tensor) and _form(tensor) != _form(self._alias):
            tensor.data = self._alias
        if tensor.is_leaf and tensor.requires_grad is not self._flag:
            tensor.requires_grad_(self._flag)
        if tensor.is_leaf and tensor.grad is not self.grad:
            tensor.grad = self.grad
        _restore_attributes(vars(tensor), self._attributes)
        for name, hooks, copy in self._hooks:
            if getattr(tensor, name) is not hooks:
                setattr(tensor, name, hooks)
            if hooks is not None:
                _restore_container(hooks, copy)


HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
"""Where a tensor keeps the hooks that are registered on it."""


def _form(tensor: torch.Tensor) -> tuple[Any, ...]:
    return memory_of(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


Contents = list[tuple[Any, Any]]


def _reached(attributes: Iterable[Mapping[str, Any]]) -> tuple[list[Any], Contents]:
    """Return tensors and generators among some attributes and in the containers there, and a copy of each container.

    Containers in containers count, at any level; modules do not, since each has its own turn.
    """
    kept: list[Any] = []
    contents: Contents = []
    kinds: dict[type, _Kind] = {}
    pending = [value for each in attributes for value in each.values()]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        kind = kinds.get(type(value)) or kinds.setdefault(type(value), _kind(type(value)))
        if kind is _Kind.OTHER or id(value) in seen:
            continue
        seen.add(id(value))
        if kind is _Kind.KEPT:
            kept.append(value)
        else:
            copy: Any = dict(value) if kind is _Kind.MAPPING else list(value)
            pending += copy.values() if kind is _Kind.MAPPING else copy
            contents += [] if kind is _Kind.TUPLE else [(value, copy)]
    return kept, contents


class _Kind(Enum):
    """What a value is to us."""

    OTHER = auto()
    KEPT = auto()
    TUPLE = auto()
    MAPPING = auto()
    CONTAINER = auto()


def _kind(kind: type) -> _Kind:
    """Sort a type; done once each, since asking an abstract base class is slow."""
    if issubclass(kind, torch.Tensor | torch.Generator | random.Random | np.random.Generator | np.random.RandomState):
        return _Kind.KEPT
    if issubclass(kind, tuple):
        return _Kind.TUPLE
    if issubclass(kind, torch.nn.Module):
        return _Kind.OTHER
    if issubclass(kind, MutableMapping):
        return _Kind.MAPPING
    return _Kind.CONTAINER if issubclass(kind, MutableSequence | MutableSet) else _Kind.OTHER


def _restore_attributes(now: dict[str, Any], attributes: dict[str, Any]) -> None:
    if now.keys() != attributes.keys() or any(now[name] is not value for name, value in attributes.items()):
        now.clear()
        now.update(attributes)


def _restore_container(container: Any, copy: Any) -> None:  # noqa: ANN401
    if _same(container, copy):
        return
    container.clear()
    if isinstance(container, MutableMapping):
        container.update(copy)
    elif isinstance(container, MutableSet):
        for value in copy:
            container.add(value)
    else:
        container.extend(copy)


def _same(container: Any, copy: Any) -> bool:  # noqa: ANN401
    if isinstance(copy, dict):
        return list(container) == list(copy) and all(container[key] is value for key, value in copy.items())
    return len(container) == len(copy) and all(a is b for a, b in zip(container, copy, strict=True))


def _rewind(value: Any) -> Callable[[], None] | None:  # noqa: ANN401
    """Return what sets a random generator back to its present state; ``None`` for anything else."""
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, np.random.Generator):
        return partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    return None if isinstance(value, torch.Tensor) else partial(value.set_state, value.get_state())


def _random_states() -> dict[str, Any]:
    states: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002  the generator that a user's code may have seeded
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _restore_random(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])
    np.random.set_state(states["numpy"])  # noqa: NPY002  the generator that a user's code may have seeded

"""Memory that a run overwrites is copied just before, and put back bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from justright.adapters.torch.calls import Func, schema_of, tensors_written
from justright.adapters.torch.data import in_range
from justright.adapters.torch.mode import EagerMode

__all__ = ["Guard", "Guarding", "memory_of", "real"]


class Guard:
    """Copies memory just before its first write, so that it can be put back bit for bit.

    Parameters
    ----------
    tensors
        Tensors to protect; nothing is copied until `before_write` names one of their storages.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._protected = {memory_of(tensor): tensor.untyped_storage() for tensor in tensors if real(tensor)}
        self._copies: dict[int, torch.UntypedStorage] = {}

    def before_write(self, tensors: Iterable[torch.Tensor]) -> None:
        """Copy what is protected among these and not copied yet."""
        for tensor in tensors:
            if real(tensor):
                memory = memory_of(tensor)
                if memory in self._protected and memory not in self._copies:
                    self._copies[memory] = _copy(self._protected[memory])

    def before(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what a protected tensor held at first, on the copy itself, which is made now if it was not before."""
        self.before_write([tensor])
        copy = tensor.new_empty(0)
        return copy.set_(self._copies[memory_of(tensor)], tensor.storage_offset(), tensor.shape, tensor.stride())

    def restore(self) -> None:
        """Put every copy back."""
        for memory, copy in self._copies.items():
            self._protected[memory].copy_(copy)
        self._copies.clear()


def _copy(memory: torch.UntypedStorage) -> torch.UntypedStorage:
    """Copy memory, on the host into an array's.

    NumPy asks for huge pages where an array is large, PyTorch does not; and what it takes to touch every small page of
    fresh memory for the first time is several times what it takes to copy.
    """
    if memory.device.type != "cpu":
        return memory.clone()
    return torch.from_numpy(np.empty(memory.nbytes(), np.uint8)).untyped_storage().copy_(memory)


class Guarding(EagerMode):
    """Tells a guard of every write, and keeps indices in range, while it is the active dispatch mode."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def __torch_dispatch__(
        self,
        func: Func,
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run one call."""
        self._guard.before_write(tensors_written(schema_of(func), args, kwargs or {}))
        return func(*in_range(func, args), **(kwargs or {}))


def memory_of(tensor: torch.Tensor) -> int:
    """Return the identity of a tensor's memory."""
    return tensor.untyped_storage()._cdata


def real(tensor: torch.Tensor) -> bool:
    """Say whether a tensor has memory of its own kind: not on meta, not sparse."""
    return tensor.device.type != "meta" and tensor.layout is torch.strided

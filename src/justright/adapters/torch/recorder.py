"""The recorder: every call of a forward becomes a node of the operator graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from justright.adapters.torch.calls import Func, Schema, attributes, dtype_name, schema_of, tensors_in, tensors_made
from justright.adapters.torch.mode import EagerMode
from justright.adapters.torch.overlap import Place, apart, place_of
from justright.adapters.torch.place import ModuleStack, user_line
from justright.adapters.torch.statistics import host_array
from justright.adapters.torch.vocabulary import RENAMED, canonical
from justright.core.graph import GraphBuilder, Role

__all__ = ["UNCOUNTED", "Recorder"]

TAG = "_justright_site"
"""Attribute by which a tensor made during the recording remembers its site; it lives and dies with the tensor."""

FEW = 1 << 20
"""Elements of a leaf up to which its values are kept: masks and token ids, no images."""

DETACH = torch.ops.aten.detach.default
LIFT = torch.ops.aten.lift_fresh.default
UNREGISTERED = "a tensor of shape {shape} in {where} requires gradients but is no parameter: it was not examined"
UNCOUNTED = frozenset((DETACH, LIFT))
"""Calls without a number: autograd detaches what it saves, or not, as it is set up; constants are lifted, or not."""


class Executor(Protocol):
    """How the calls of a recording are run."""

    def run(self, func: Func, schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Run one call: for real, or for its shape."""
        ...

    def invisible(self, func: Func, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Say whether a real run would not make this call at all, so that it hands on its input."""
        ...


class _Write(NamedTuple):
    """A write to memory: node and site that hold what was written, and where it lies."""

    node: int
    site: int
    place: Place
    storage: StorageWeakRef


class Recorder(EagerMode):
    """Records calls while it is the active dispatch mode.

    Parameters
    ----------
    stack
        Tells the module that is running.
    executor
        Runs the calls: for real, or for their shapes.
    before_write
        Told of every tensor that a call is about to overwrite.
    """

    def __init__(
        self,
        stack: ModuleStack,
        executor: Executor,
        before_write: Callable[[Iterable[torch.Tensor]], None],
    ) -> None:
        super().__init__()
        self.builder = GraphBuilder()
        self._stack = stack
        self._executor = executor
        self._before_write = before_write
        self._leaves: dict[int, tuple[torch.Tensor, int]] = {}
        self._owners: dict[int, int] = {}
        # A storage that is only weakly referred to keeps its address, so that no later one is taken for it.
        self._written: dict[int, list[_Write]] = {}
        self._fresh: list[tuple[torch.Tensor, int]] = []
        self.calls = 0
        self.notes: list[str] = []
        self.known: dict[int, Any] = {}

    def add_leaf(self, tensor: torch.Tensor, name: str, role: Role) -> int:
        """Make a tensor known as a parameter, buffer, input or constant; return its site."""
        if id(tensor) in self._leaves:
            return self._leaves[id(tensor)][1]
        differentiable = tensor.requires_grad and role is Role.PARAMETER
        site = self.builder.leaf(name, tensor.shape, dtype_name(tensor), role, differentiable=differentiable)
        self._leaves[id(tensor)] = (tensor, site)
        self._owners.setdefault(_storage(tensor), site)
        if role is not Role.PARAMETER and 0 < tensor.numel() <= FEW and not tensor.is_meta:
            self.known[site] = host_array(tensor).copy()  # as it is before the forward, which may write to it
        return site

    def site_of(self, tensor: torch.Tensor) -> int | None:
        """Return the site of a tensor the recording has seen, with all that was written to its memory."""
        self._settle()
        tag = getattr(tensor, TAG, None)
        seen = id(tensor) in self._leaves or (tag is not None and tag[0] is self)
        return self._read(tensor, 0) if seen else None

    def __torch_dispatch__(
        self,
        func: Func,
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Record one call."""
        self._settle()
        kwargs = kwargs or {}
        if func is LIFT or self._executor.invisible(func, args, kwargs):
            return args[0]
        schema = schema_of(func)
        reads = tensors_in(schema, args, kwargs)
        sites = [self._read(tensor, position) for position, (_, tensor) in enumerate(reads)]
        if schema.written:
            self._before_write(tensor for name, tensor in reads if name in schema.written)
        result = self._executor.run(func, schema, args, kwargs)
        self._add(schema, args, kwargs, [(name, site) for (name, _), site in zip(reads, sites, strict=True)], result)
        if schema.written:
            self._note_writes(schema, reads, tensors_made(schema, args, kwargs, result))
        self.calls += func is not DETACH
        return result

    def _add(
        self,
        schema: Schema,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        operands: list[tuple[str, int]],
        result: Any,  # noqa: ANN401
    ) -> None:
        made = tensors_made(schema, args, kwargs, result)
        plain = attributes(schema, args, kwargs)
        op = canonical(schema.native, plain)
        renamed = RENAMED.get(op, {})
        sites = self.builder.node(
            op,
            schema.native,
            [(renamed.get(name, name), site) for name, site in operands],
            [(tensor.shape, dtype_name(tensor), False) for tensor in made],
            attributes=plain,
            module=self._stack.path,
            module_type=self._stack.type,
            source=user_line(),
            call=-1 if op == "detach" else self.calls,
        )
        for tensor, site in zip(made, sites, strict=True):
            if id(tensor) in self._leaves:  # a leaf was overwritten: from here on it is this site
                self._leaves[id(tensor)] = (tensor, site)
            else:
                setattr(tensor, TAG, (self, site))
            self._fresh.append((tensor, site))

    def _settle(self) -> None:
        """Ask the last call's outputs whether they carry a gradient; autograd tells only after the call."""
        for tensor, site in self._fresh:
            if tensor.requires_grad:
                self.builder.mark_differentiable(site)
        self._fresh.clear()

    def _read(self, tensor: torch.Tensor, position: int) -> int:
        site = self._known(tensor)
        writes = self._written.get(_storage(tensor)) if self._written else None
        made = self.builder.producer_index(site)
        if not writes or writes[-1].node <= made:
            return site
        place = place_of(tensor)
        for write in tuple(writes):
            if write.site != site and write.node > made and not apart(place, write.place):
                site = self._updated(tensor, site, write.site, position)
        return site

    def _updated(self, tensor: torch.Tensor, site: int, written: int, position: int) -> int:
        """Make it an explicit dependency that another view of this memory was written since a tensor was made."""
        (updated,) = self.builder.node(
            "written_through_view",
            "",
            [("input", site), ("written", written)],
            [(tensor.shape, dtype_name(tensor), tensor.requires_grad)],
            attributes={"operand": position},
            module=self._stack.path,
            module_type=self._stack.type,
            source=user_line(),
            call=self.calls,
        )
        self._tag(tensor, updated)
        return updated

    def _tag(self, tensor: torch.Tensor, site: int) -> None:
        if id(tensor) in self._leaves:
            self._leaves[id(tensor)] = (tensor, site)
        else:
            setattr(tensor, TAG, (self, site))

    def _known(self, tensor: torch.Tensor) -> int:
        tag = getattr(tensor, TAG, None)
        if tag is not None and tag[0] is self:
            return tag[1]
        leaf = self._leaves.get(id(tensor))
        if leaf is not None:
            return leaf[1]
        owner = self._owners.get(_storage(tensor))
        if owner is None:
            where = self._stack.path
            if tensor.requires_grad:
                self.notes.append(UNREGISTERED.format(shape=tuple(tensor.shape), where=where or "the model"))
            return self.add_leaf(tensor, f"{where}/constant" if where else "constant", Role.CONSTANT)
        # The same memory under another tensor object, such as `weight.data`.
        (site,) = self.builder.node(
            "alias",
            "",
            [("input", owner)],
            [(tensor.shape, dtype_name(tensor), False)],
            module=self._stack.path,
            module_type=self._stack.type,
            source=user_line(),
        )
        self._leaves[id(tensor)] = (tensor, site)  # the user's object, which must not be tagged
        return site

    def _note_writes(self, schema: Schema, reads: list[tuple[str, torch.Tensor]], made: list[torch.Tensor]) -> None:
        for tensor in made:
            if any(tensor is read for name, read in reads if name in schema.written):
                site = self._known(tensor)
                write = _Write(
                    self.builder.producer_index(site), site, place_of(tensor), StorageWeakRef(tensor.untyped_storage())
                )
                earlier = self._written.get(_storage(tensor), [])
                self._written[_storage(tensor)] = [*(each for each in earlier if each.place != write.place), write]


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata

"""Running one call without data: signals keep only their shape, small known values are really computed.

Integers, booleans and small tables that follow from shapes alone (positions, masks, routing indices) are ordinary CPU
tensors and are computed, so that Python control flow, indexing and ``.item()`` on them work. Everything that depends on
weights or on the input's values is a tensor on the meta device: a shape and a dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from justright.adapters.torch.calls import Func, Schema, tensors_in, tensors_out
from justright.adapters.torch.data import in_range
from justright.adapters.torch.place import user_line
from justright.errors import DataDependentError, TraceError

__all__ = ["RealExecutor", "ShapeExecutor"]

LARGEST_KNOWN = {"integer": 1 << 20, "floating": 1 << 16}
"""Elements up to which a value that follows from shapes is computed; larger ones keep their shape only."""

META = torch.device("meta")

ROUTERS = ("aten.topk.default", "aten.argmax.default", "aten.sort.default", "aten.sort.stable", "aten.argsort.default")
"""Calls that turn unknown scores into indices a program may branch on."""


def _grouped(rows: torch.Tensor, stack: torch.Tensor, *_rest: Any) -> torch.Tensor:  # noqa: ANN401
    """[M, K] or [E, M, K] times [E, K, N], group by group."""
    return rows.new_empty((*rows.shape[:-1], stack.shape[-1]))


SHAPES = {"aten._grouped_mm.default": _grouped}
"""Shape rules of calls whose own rule for the meta device refuses what their kernels take (float32, here)."""

BALANCED = (
    "the choice among scores (top-k, argmax, sort) was taken to be balanced, since the scores need data; "
    "at initialization routing is nearly uniform"
)


class ShapeExecutor:
    """Executes calls by the rule above; remembers which real tensors were overwritten with unknown values."""

    def __init__(self) -> None:
        self._unknown: set[int] = set()
        self._held: list[torch.Tensor] = []
        self.notes: list[str] = []

    def run(self, func: Func, schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Execute one call and return its result, real or on meta."""
        reads = [tensor for _, tensor in tensors_in(schema, args, kwargs)]
        if not schema.random and all(map(self.known, reads)):
            result = self._really(func, args, kwargs, factory=not reads)
            if result is not None:
                return result
        if func is torch.ops.aten._local_scalar_dense.default:
            raise _needs_data("a single value (.item(), bool(), int() or float()) of a tensor")
        return self._on_meta(func, schema, args, kwargs)

    def invisible(self, func: Func, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Say whether this moves a real tensor to the meta device, where a real run would find both on one device."""
        if func is not torch.ops.aten._to_copy.default or args[0].device.type == "meta" or args[0].requires_grad:
            return False
        return str(kwargs.get("device")) == "meta" and kwargs.get("dtype") in {None, args[0].dtype}

    def known(self, tensor: torch.Tensor) -> bool:
        """Say whether this tensor's values follow from shapes alone."""
        return tensor.device.type != "meta" and _storage(tensor) not in self._unknown

    def forget(self, tensor: torch.Tensor) -> None:
        """From now on this tensor's values are unknown."""
        self._unknown.add(_storage(tensor))
        self._held.append(tensor)

    def _really(self, func: Func, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, factory: bool) -> Any:  # noqa: ANN401
        on_meta = str(kwargs.get("device")) == "meta"
        if factory:
            shape = func(*args, **{**kwargs, "device": META})
            # What is made next to a signal, such as a first hidden state, is on the signal's device.
            if not _small(shape) or (on_meta and any(each.is_floating_point() for each in tensors_out(shape))):
                return None
        if on_meta:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        try:
            result = func(*args, **kwargs)
        except NotImplementedError:  # no kernel for this dtype on the CPU
            return None
        return result if factory or _small(result) else None

    def _on_meta(self, func: Func, schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        written = [tensor for name, tensor in tensors_in(schema, args, kwargs) if name in schema.written]
        meta_args = tuple(map(_to_meta, args))
        meta_kwargs = {name: _to_meta(value) for name, value in kwargs.items()}
        if "device" in meta_kwargs or not tensors_in(schema, args, kwargs):
            meta_kwargs["device"] = META
        if "generator" in meta_kwargs:
            meta_kwargs["generator"] = None
        if schema.native in SHAPES:
            return SHAPES[schema.native](*meta_args)
        try:
            result = func(*meta_args, **meta_kwargs)
        except NotImplementedError as error:
            raise _unshaped(schema.native, error) from error
        for tensor in written:
            if tensor.device.type != "meta":
                self.forget(tensor)
        if schema.native in ROUTERS:
            result = self._routed(schema, result, args, kwargs)
        # In-place calls must give back the very tensor that they were given.
        return written[0] if written and isinstance(result, torch.Tensor) and len(written) == 1 else result

    def _routed(self, schema: Schema, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Give concrete, balanced indices in place of those that only data could tell."""
        scores = tensors_in(schema, args, kwargs)[0][1]
        values = dict(zip(schema.names, args, strict=False)) | dict(kwargs)
        axis = values.get("dim", -1)
        choices = scores.numel() if axis is None or not scores.shape else scores.shape[axis]
        parts = list(tensors_out(result))
        indices = parts[-1]
        if indices.numel() > LARGEST_KNOWN["integer"]:
            return result
        self.notes.append(BALANCED)
        parts[-1] = (torch.arange(indices.numel()) % max(int(choices), 1)).reshape(indices.shape)
        return parts[0] if isinstance(result, torch.Tensor) else tuple(parts)


class RealExecutor:
    """Executes calls as they are."""

    def run(self, func: Func, _schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Execute one call for real."""
        return func(*in_range(func, args), **kwargs)

    def invisible(self, _func: Func, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> bool:
        """Say that every call is there."""
        return False


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _to_meta(value: Any) -> Any:  # noqa: ANN401
    """Replace a real tensor, or those in a list, by their shapes; a call's arguments nest no deeper."""
    if isinstance(value, list | tuple):
        return [_to_meta(each) for each in value] if any(isinstance(each, torch.Tensor) for each in value) else value
    if not isinstance(value, torch.Tensor) or value.device.type == "meta":
        return value
    return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device=META)


def _small(result: Any) -> bool:  # noqa: ANN401
    return all(
        tensor.numel() <= LARGEST_KNOWN["floating" if tensor.is_floating_point() else "integer"]
        for tensor in tensors_out(result)
    )


def _needs_data(what: str) -> DataDependentError:
    return DataDependentError(
        f"{what} that depends on weights or on the input's values",
        where=user_line(),
        expected="control flow that follows from shapes",
        try_="give a model with values and a real batch: the structure is then recorded from one real forward",
    )


def _unshaped(native: str, error: NotImplementedError) -> TraceError:
    said = f"{native} {error}"  # a call with a mask says that it is made of nonzero
    if any(word in said for word in ("data-dependent", "nonzero", "unique", "masked_select")):
        return _needs_data(f"an output shape ({native})")
    return TraceError(
        f"operator {native}, which has no shape rule (no kernel for the meta device)",
        where=user_line(),
        expected="operators whose output shape follows from input shapes",
        try_="give a model with values and a real batch: the structure is then recorded from one real forward",
    )

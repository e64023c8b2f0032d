"""Reading one native call: which tensors it takes under which names, what it writes, which arguments are no tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

__all__ = [
    "Schema",
    "attributes",
    "dtype_name",
    "schema_of",
    "tensors_in",
    "tensors_made",
    "tensors_out",
    "tensors_written",
]

Func = torch._ops.OpOverload

BATCH_STATISTICS = frozenset({"running_mean", "running_var"})
"""Arguments that batch normalization overwrites although its older schemas do not say so."""

PLACES = frozenset(("device", "pin_memory"))
"""Arguments that say where the memory of a tensor lies, which is no part of a model's structure."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a call's schema says.

    Parameters
    ----------
    native
        ``"aten.add_.Tensor"``.
    names
        Argument names in order, ``self`` renamed ``input``.
    written
        Names of the arguments that the call overwrites.
    random
        Whether it draws from a generator.
    """

    native: str
    names: tuple[str, ...]
    written: frozenset[str]
    random: bool


@cache
def schema_of(func: Func) -> Schema:
    """Read the schema of an operator overload once."""
    arguments = func._schema.arguments
    names = tuple("input" if argument.name == "self" else argument.name for argument in arguments)
    written = {
        name
        for name, argument in zip(names, arguments, strict=True)
        if argument.alias_info is not None and argument.alias_info.is_write
    }
    native = str(func)
    if "batch_norm" in native and "no_training" not in native:
        written |= BATCH_STATISTICS.intersection(names)
    return Schema(native, names, frozenset(written), torch.Tag.nondeterministic_seeded in func.tags)


def tensors_in(schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors a call reads, in a fixed order, with their argument names."""
    found: list[tuple[str, torch.Tensor]] = []
    for name, value in [*zip(schema.names, args, strict=False), *kwargs.items()]:
        if isinstance(value, torch.Tensor):
            found.append((name, value))
        elif isinstance(value, list | tuple):
            found.extend((name, each) for each in value if isinstance(each, torch.Tensor))
    return found


def tensors_written(schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """Return the tensors a call overwrites."""
    if not schema.written:
        return []
    return [tensor for name, tensor in tensors_in(schema, args, kwargs) if name in schema.written]


def tensors_out(result: Any) -> list[torch.Tensor]:  # noqa: ANN401
    """Return the tensors a call gave, in order."""
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, list | tuple):
        return [each for each in result if isinstance(each, torch.Tensor)]
    return []


def tensors_made(
    schema: Schema,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    result: Any,  # noqa: ANN401
) -> list[torch.Tensor]:
    """Return the tensors a call gave, or, where it gives none, those it overwrote."""
    return tensors_out(result) or tensors_written(schema, args, kwargs)


def attributes(schema: Schema, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are no tensors, as plain data, but for absent ones and where memory lies.

    Of a list in which some tensors are absent, ``name_at`` says where the others stand.
    """
    made = {}
    for name, value in [*zip(schema.names, args, strict=False), *kwargs.items()]:
        plain = _plain(value)
        if plain is not None and name not in PLACES:
            made["input" if name == "self" else name] = plain
        elif isinstance(value, list | tuple) and any(each is None for each in value):
            made[f"{name}_at"] = tuple(at for at, each in enumerate(value) if each is not None)
    return made


def dtype_name(tensor: torch.Tensor) -> str:
    """Return ``"float32"`` for ``torch.float32``."""
    return str(tensor.dtype).removeprefix("torch.")


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bool | int | float | str | complex):
        return value
    if isinstance(value, torch.dtype | torch.device | torch.memory_format | torch.layout):
        return str(value).removeprefix("torch.")
    if isinstance(value, list | tuple) and not _has_tensor(value):
        return tuple(_plain(each) for each in value)
    return None


def _has_tensor(values: Iterable[Any]) -> bool:
    return any(isinstance(value, torch.Tensor) for value in values)

"""Which initializer each parameter got, seen while the model is built."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from justright.adapters.torch.calls import Func, attributes, schema_of, tensors_in, tensors_written
from justright.adapters.torch.mode import EagerMode
from justright.adapters.torch.place import user_line
from justright.core.graph import NEVER_FILLED, Initializer

__all__ = ["recording_initializers"]

FILLS: Mapping[str, str] = {
    "normal_": "normal",
    "uniform_": "uniform",
    "fill_": "constant",
    "zero_": "zeros",
    "log_normal_": "log_normal",
    "exponential_": "exponential",
}
"""In-place ATen fills, by base name."""

FACTORIES: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "randn": ("normal", {"mean": 0.0, "std": 1.0}),
    "rand": ("uniform", {"from": 0.0, "to": 1.0}),
    "zeros": ("zeros", {}),
    "ones": ("ones", {}),
    "empty": (NEVER_FILLED, {}),
    "empty_strided": (NEVER_FILLED, {}),
}
"""Calls that make a tensor with its values, or without any, by base name; their forms ``new_…`` and ``…_like`` too."""

COPIES = frozenset(("clone", "_to_copy", "copy_"))
"""Calls that hand on all values of one tensor, by base name."""

INIT_FILES = ("torch/nn/init.py", "transformers/initialization.py", "timm/layers/weight_init.py")
"""Files whose public functions name a scheme; the outermost of them that is running is the one the user called."""


@contextmanager
def recording_initializers() -> Iterator[Callable[[Any], Mapping[str, Initializer]]]:
    """Watch fills of tensors; yields a function from a model to its parameters' initializers, by name."""
    recorder = _FillRecorder()
    with recorder:
        yield lambda model: recorder.of(model) if isinstance(model, torch.nn.Module) else {}


class _FillRecorder(EagerMode):
    def __init__(self) -> None:
        super().__init__()
        # A storage that is only weakly referred to keeps its address, so that no later one is taken for it.
        self._last: dict[int, tuple[StorageWeakRef, Initializer]] = {}

    def of(self, model: torch.nn.Module) -> dict[str, Initializer]:
        found = ((name, self._known(parameter)) for name, parameter in model.named_parameters())
        return {name: initializer for name, initializer in found if initializer is not None}

    def __torch_dispatch__(
        self,
        func: Func,
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        schema = schema_of(func)
        base = schema.native.removeprefix("aten.").split(".")[0]
        kind = base.removeprefix("new_").removesuffix("_like")
        scheme = _running_scheme() if schema.written else None
        if scheme or base in FILLS:
            made = Initializer(*(scheme or (FILLS[base], _numbers(func, attributes(schema, args, kwargs)))), _line())
            for tensor in tensors_written(schema, args, kwargs):
                self._fill(tensor, made)
        elif kind in FACTORIES:
            self._set(result, Initializer(*FACTORIES[kind], _line()))
        elif kind == "full":
            value = attributes(schema, args, kwargs)["fill_value"]
            self._set(result, Initializer("constant", {"value": value}, _line()))
        elif base in COPIES:
            self._set(result, self._known(tensors_in(schema, args, kwargs)[-1][1]))
        else:
            for tensor in tensors_written(schema, args, kwargs):
                self._set(tensor, None)
        return result

    def _known(self, tensor: torch.Tensor) -> Initializer | None:
        strided = tensor.layout is torch.strided
        return self._last.get(tensor.untyped_storage()._cdata, (None, None))[1] if strided else None

    def _set(self, tensor: torch.Tensor, initializer: Initializer | None) -> None:
        if tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        if initializer is None:
            self._last.pop(storage._cdata, None)
        else:
            self._last[storage._cdata] = (StorageWeakRef(storage), initializer)

    def _fill(self, tensor: torch.Tensor, made: Initializer) -> None:
        """Note a fill; of a tensor of which parts were filled in different ways none is the initializer."""
        share = tensor.numel() * tensor.element_size() / max(tensor.untyped_storage().nbytes(), 1)
        known = self._known(tensor)
        if share >= 1 or known is None or known.name == NEVER_FILLED:
            self._set(tensor, made)
        elif not (_zero(made) and share <= PADDING) and (known.name, known.arguments) != (made.name, made.arguments):
            self._set(tensor, None)


PADDING = 0.25
"""Share of a tensor that may be set to zero, such as the row for padding: its RMS is then 13 % smaller."""


def _zero(made: Initializer) -> bool:
    return made.name == "zeros" or (made.name == "constant" and not any(made.arguments.values()))


def _numbers(func: Func, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a fill that are numbers, defaults too."""
    defaults = {each.name: each.default_value for each in func._schema.arguments if each.has_default_value()}
    return {name: value for name, value in {**defaults, **given}.items() if isinstance(value, float | int)}


def _line() -> str:
    return user_line(INIT_FILES)


def _running_scheme() -> tuple[str, dict[str, Any]] | None:
    """Name and plain arguments of the outermost public initializer function that is running."""
    frame: FrameType | None = sys._getframe(2)
    found = None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.endswith(INIT_FILES) and not code.co_name.startswith("_"):
            arguments = {name: frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]}
            plain = {name: value for name, value in arguments.items() if isinstance(value, float | int | str)}
            found = (code.co_name.rstrip("_"), plain)
        frame = frame.f_back
    return found

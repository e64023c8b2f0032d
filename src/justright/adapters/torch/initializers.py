"""Which initializer each parameter got, seen while the model is built."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from justright.adapters.torch.mode import EagerMode

from justright.adapters.torch.calls import Func, attributes, schema_of, tensors_in
from justright.adapters.torch.place import user_line
from justright.core.graph import Initializer

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
        self._last: dict[int, Initializer] = {}

    def of(self, model: torch.nn.Module) -> dict[str, Initializer]:
        return {
            name: self._last[pointer]
            for name, parameter in model.named_parameters()
            if (pointer := parameter.untyped_storage()._cdata) in self._last
        }

    def __torch_dispatch__(
        self, func: Func, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        schema = schema_of(func)
        fill = FILLS.get(schema.native.removeprefix("aten.").split(".")[0])
        scheme = _running_scheme()
        if fill or (scheme and schema.written):
            made = scheme or (fill, {k: v for k, v in attributes(schema, args, kwargs or {}).items() if k != "generator"})
            for name, tensor in tensors_in(schema, args, kwargs or {}):
                if name in schema.written:
                    self._last[tensor.untyped_storage()._cdata] = Initializer(*made, user_line())
        return result


def _running_scheme() -> tuple[str, dict[str, Any]] | None:
    """Name and plain arguments of the outermost public initializer function that is running."""
    frame: FrameType | None = sys._getframe(2)
    found = None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.endswith(INIT_FILES) and not code.co_name.startswith("_"):
            names = code.co_varnames[: code.co_argcount]
            plain = {name: frame.f_locals[name] for name in names if isinstance(frame.f_locals.get(name), float | int | str)}
            found = (code.co_name.rstrip("_"), plain)
        frame = frame.f_back
    return found

"""Where in the user's program a call is made: the innermost module, and the line of source."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

import justright

__all__ = ["ModuleStack", "line_of_traceback", "user_line"]

_NOT_USER = tuple(
    str(Path(root).resolve()) + "/"
    for root in (
        Path(torch.__file__).parent,
        Path(justright.__file__).parent,
        sysconfig.get_paths()["stdlib"],
    )
)
_ENTRY = str(Path("justright", "adapters", "torch", "adapter.py"))
"""The file from which forwards are started; frames outside of it called justright, not the model."""

_SITE_PACKAGES = sysconfig.get_paths()["purelib"]

_user_code: dict[CodeType, bool] = {}


def _is_user(code: CodeType) -> bool:
    known = _user_code.get(code)
    if known is None:
        name = code.co_filename
        library = name.startswith(_NOT_USER) and not name.startswith(_SITE_PACKAGES)
        known = not (library or name.startswith(_NOT_USER[:2]) or name.startswith("<"))
        _user_code[code] = known
    return known


def user_line(beyond: tuple[str, ...] = ()) -> str:
    """Return ``"path:line"`` of the innermost running frame of the model's own code, or of its library's.

    Files whose names end with one of `beyond` are passed over. Empty where PyTorch's code alone lies between the call
    and the start of the forward, as in `torch.nn.Sequential`.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.endswith(_ENTRY):
        if _is_user(frame.f_code) and not frame.f_code.co_filename.endswith(beyond):
            return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def line_of_traceback(traceback: TracebackType | None) -> str:
    """Return the deepest line of user code in a traceback."""
    found = ""
    while traceback is not None:
        if _is_user(traceback.tb_frame.f_code):
            found = f"{_short(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


_shortened: dict[str, str] = {}


def _short(filename: str) -> str:
    if filename not in _shortened:
        path = Path(filename)
        here = Path.cwd()
        _shortened[filename] = str(path.relative_to(here)) if path.is_relative_to(here) else filename
    return _shortened[filename]


class ModuleStack:
    """Follows which module's forward is running.

    Parameters
    ----------
    model
        Root of the names; modules that are not under it do not count.

    Attributes
    ----------
    failed
        Path of the innermost module whose forward was left by an exception, ``None`` if none was.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._names: Mapping[int, str] = {id(module): name for name, module in model.named_modules()}
        self._stack: list[tuple[str, str]] = [("", type(model).__name__)]
        self.failed: str | None = None

    @property
    def path(self) -> str:
        """Path of the innermost running module."""
        return self._stack[-1][0]

    @property
    def type(self) -> str:
        """Class name of the innermost running module."""
        return self._stack[-1][1]

    @contextmanager
    def named(self, path: str) -> Iterator[None]:
        """Count what runs inside as a module of this name."""
        self._stack.append((path, ""))
        try:
            yield
        finally:
            self._stack.pop()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow forwards while the context is open; nothing is registered on the model itself."""
        enter = register_module_forward_pre_hook(self._enter)
        leave = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def _enter(self, module: torch.nn.Module, _args: Any) -> None:  # noqa: ANN401
        path = self._names.get(id(module))
        self._stack.append((self.path, self.type) if path is None else (path, type(module).__name__))

    def _leave(self, _module: torch.nn.Module, _args: Any, _result: Any) -> None:  # noqa: ANN401
        if self.failed is None and _result is None and sys.exc_info()[0] is not None:
            self.failed = self.path
        self._stack.pop()

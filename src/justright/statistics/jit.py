"""Compiling: functions that run without the interpreter's lock, and entries that threads of any runtime can call."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

__all__ = ["Entry", "jit", "native", "pointer", "ticket"]

Function = TypeVar("Function", bound=Callable[..., Any])
Generator = tuple[Any, Callable[..., Any]]


class Entry:
    """A compiled function of one address.

    Parameters
    ----------
    compiled
        What Numba made of it.

    Attributes
    ----------
    address
        Where it is, for C.
    call
        The function for Python; it lets go of the interpreter's lock while it runs.
    """

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401
        self.address: int = compiled.address
        self._owner = compiled  # of the machine code
        self.call: Callable[[int], None] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address)


def jit(**options: Any) -> Callable[[Function], Function]:  # noqa: ANN401
    """Compile at first call, to run without the lock of the interpreter, and keep the result on disk if possible."""

    def decorate(function: Function) -> Function:
        try:
            compiled: Function = numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # neither the folder of the package nor that of the user can be written
            compiled = numba.njit(nogil=True, **options)(function)
        return compiled

    return decorate


def native(function: Callable[[Any], None]) -> Entry:
    """Compile a function of one pointer now, to be called from C; keep the result on disk if possible."""
    signature = types.void(types.voidptr)
    try:
        compiled = numba.cfunc(signature, cache=True)(function)
    except RuntimeError:  # as above
        compiled = numba.cfunc(signature)(function)
    return Entry(compiled)


def _pointer(_context: Any, _address: Any) -> Generator:  # noqa: ANN401
    """Return the pointer to an address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


def _ticket(_context: Any, _address: Any) -> Generator:  # noqa: ANN401
    """Return the number at an address and raise it by one, as one step for all threads."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        word = ir.IntType(64)
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], word.as_pointer()), word(1), "monotonic")

    return types.int64(types.int64), generate


pointer: Callable[[int], Any] = cast(Any, intrinsic(_pointer))
"""The pointer to an address, for `numba.carray`."""

ticket: Callable[[int], int] = cast(Any, intrinsic(_ticket))
"""The number at an address, which is raised by one in the same step for all threads."""

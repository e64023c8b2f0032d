"""Summaries of arrays of any memory layout, by the Numba kernels, or by plain NumPy where Numba is not installed."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from justright.errors import InputError
from justright.statistics.summary import Summary
from justright.statistics.traversal import collapse, pieces
from justright.statistics.units import Tiling, UnitCounts, Zones

__all__ = ["backend", "summarize", "summarize_bfloat16", "summarize_memory", "summarize_units"]

Array = NDArray[Any]
MemoryScan = Callable[..., tuple[Summary, Array]]


class _Scan(Protocol):
    def __call__(self, flat: Array, *, bfloat16: bool = ..., tiling: Tiling | None = ...) -> tuple[Summary, Array]: ...


@lru_cache(maxsize=1)
def backend() -> Literal["numba", "numpy"]:
    """Return which implementation computes: the compiled kernels, or plain NumPy, which is several times slower.

    NumPy takes over where Numba is not installed or refuses to be imported, as next to a NumPy newer than it knows.
    """
    try:
        importlib.import_module("justright.statistics.parallel")
    except ImportError:
        return "numpy"
    return "numba"


@lru_cache(maxsize=1)
def _scan() -> _Scan:
    """Import the implementation at first use: Numba takes longer to import than the rest of the package."""
    name = "parallel" if backend() == "numba" else "reference"
    scan: _Scan = importlib.import_module(f"justright.statistics.{name}").scan
    return scan


@lru_cache(maxsize=1)
def _memory_scan() -> MemoryScan:
    """As `_scan`, of memory at an address."""
    if backend() == "numba":
        scan: MemoryScan = importlib.import_module("justright.statistics.parallel").scan_memory
        return scan
    return _scan_through_array


def _scan_through_array(
    address: int, size: int, dtype: np.dtype[Any], _owner: object, *, bfloat16: bool
) -> tuple[Summary, Array]:
    memory = (ctypes.c_byte * (size * dtype.itemsize)).from_address(address)
    return _scan()(np.frombuffer(memoryview(memory), dtype), bfloat16=bfloat16)


def summarize(values: ArrayLike) -> Summary:
    """Return the summary of an array, in one pass over its memory.

    Dense arrays in any order of axes are read in place, broadcast axes once; others go through copies of at most 2**20
    elements.

    Parameters
    ----------
    values
        Any shape; float16, float32, float64, or complex64 and complex128, whose real and imaginary parts count as two
        elements each. bfloat16 of `ml_dtypes` is read too.

    Raises
    ------
    InputError
        If the type is another one.

    Examples
    --------
    >>> statistics = summarize(np.array([3.0, 0.0, -4.0, 0.0])).finish()
    >>> statistics.mean, statistics.rms, statistics.absmax, statistics.min_nonzero, statistics.zeros
    (-0.25, 2.5, 4.0, 3.0, 0.5)
    >>> statistics.histogram
    ((1, 1), (2, 1))
    """
    array = np.asarray(values)
    if array.dtype.kind == "V" and array.dtype.name == "bfloat16":
        return summarize_bfloat16(array.view(np.uint16))
    _require_dtype(array, np.float16, np.float32, np.float64, np.complex64, np.complex128)
    return _summarize(array, bfloat16=False)


def summarize_bfloat16(bits: NDArray[np.uint16]) -> Summary:
    """Return the summary of bfloat16 numbers, for which NumPy has no type, given as their 16-bit patterns.

    Parameters
    ----------
    bits
        Any shape; uint16.

    Raises
    ------
    InputError
        If the type is another one.

    Examples
    --------
    >>> summarize_bfloat16(np.array([0x3F80, 0xC000], dtype=np.uint16)).finish().mean
    -0.5
    """
    _require_dtype(bits, np.uint16)
    return _summarize(bits, bfloat16=True)


def summarize_memory(
    address: int, size: int, dtype: np.dtype[Any], owner: object, *, bfloat16: bool = False
) -> Summary:
    """Return the summary of a dense stretch of memory, such as that of a framework's tensor.

    Parameters
    ----------
    address
        Where the first element is, a multiple of its size.
    size
        Number of elements; at least one.
    dtype
        float16, float32, float64, or uint16 for the bit patterns of bfloat16.
    owner
        Whatever keeps the memory from being freed.
    bfloat16
        Whether the 16-bit patterns are bfloat16.

    Examples
    --------
    >>> values = np.array([3.0, -4.0], dtype=np.float32)
    >>> summarize_memory(values.ctypes.data, values.size, values.dtype, values).absmax
    4.0
    """
    return _memory_scan()(address, size, dtype, owner, bfloat16=bfloat16)[0]


def summarize_units(values: ArrayLike, axis: int, zones: Zones) -> tuple[Summary, UnitCounts]:
    """Return the summary of an array and the counts of its units, in the same single pass.

    Parameters
    ----------
    values
        At least one axis; float16, float32, float64, or uint16 for the bit patterns of bfloat16.
    axis
        The axis along which one index is one unit.
    zones
        The intervals of the values to count in; compared exactly, also where the ends are no numbers of that type.

    Raises
    ------
    InputError
        If the type is another one, or there is no such axis.

    Examples
    --------
    >>> inputs = np.array([[-1.0, 2.0], [-3.0, -1.0]], dtype=np.float32)
    >>> zones = Zones(flat=((-np.inf, 0.0),), off=((-np.inf, 0.0),))
    >>> summarize_units(inputs, 1, zones)[1].finish(1, "relu(x)").dead
    1
    """
    array = np.asarray(values)
    if array.dtype.kind == "V" and array.dtype.name == "bfloat16":
        array = array.view(np.uint16)
    _require_dtype(array, np.float16, np.float32, np.float64, np.uint16)
    if not -array.ndim <= axis < array.ndim:
        raise InputError(f"axis {axis}", where="axis", expected=f"an axis of an array of shape {array.shape}")
    axis %= array.ndim
    units = array.shape[axis]
    shrunk, times = collapse(array)
    summary, counts = _count(shrunk, axis, zones)
    if times > 1:
        counts = np.broadcast_to(counts * (times // (units // shrunk.shape[axis])), (2, units))
        summary = summary.scaled_count(times)
    return summary, UnitCounts(array.size // units if units else 0, counts[0], counts[1])


def _require_dtype(array: Array, *allowed: type[np.generic]) -> None:
    if array.dtype.type not in allowed:
        expected = " or ".join(np.dtype(kind).name for kind in allowed)
        raise InputError(f"an array of {array.dtype}", where="values", expected=expected)


def _summarize(array: Array, *, bfloat16: bool) -> Summary:
    shrunk, times = collapse(array.reshape(1) if array.ndim == 0 else array)
    summary = Summary.empty()
    if array.size:
        for piece in pieces(shrunk):
            summary = summary.merge(_scan()(_real(piece.flat), bfloat16=bfloat16)[0])
    return summary.scaled_count(times)


def _real(flat: Array) -> Array:
    """Real and imaginary parts in turn, if it is complex."""
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _count(array: Array, axis: int, zones: Zones) -> tuple[Summary, Array]:
    summary = Summary.empty()
    counts = np.zeros((2, array.shape[axis]), np.int64)
    if array.size:
        for piece in pieces(array, axis):
            tiling = Tiling(piece.units, piece.inner, zones)
            part, found = _scan()(piece.flat, bfloat16=array.dtype.kind == "u", tiling=tiling)
            summary = summary.merge(part)
            counts[:, piece.first : piece.first + piece.units] += found
    return summary, counts

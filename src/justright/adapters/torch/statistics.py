"""From a PyTorch tensor to mergeable statistics: zero-copy through NumPy on the CPU, reductions elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from justright.core.zones import Zones
from justright.statistics.compute import summarize, summarize_bfloat16, summarize_memory, summarize_units
from justright.statistics.summary import Summary
from justright.statistics.units import UnitCounts

__all__ = ["GradientMemo", "dense", "host_array", "summary_of", "units_of"]

NATIVE = (torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128)
"""Dtypes that NumPy has too."""

IN_PLACE: Final[dict[torch.dtype, np.dtype[Any]]] = {
    torch.float16: np.dtype(np.float16),
    torch.bfloat16: np.dtype(np.uint16),
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}
"""Dtypes that are summarized where they are in memory, and as what; a detour through an array would cost much more."""


def summary_of(tensor: torch.Tensor) -> Summary:
    """Summarize every element of a floating-point tensor.

    A broadcast axis (stride 0) is read once and counted as often as it is repeated, and so are the zeros that a sparse
    tensor leaves out.
    """
    if tensor.is_cpu and tensor.layout is torch.strided and tensor.is_contiguous() and not tensor.is_neg():
        dtype = IN_PLACE.get(tensor.dtype)
        if dtype is not None and tensor.data_ptr():
            bfloat16 = tensor.dtype is torch.bfloat16
            return summarize_memory(tensor.data_ptr(), tensor.numel(), dtype, tensor, bfloat16=bfloat16)
    tensor = tensor.detach()
    if tensor.layout is torch.sparse_coo:
        values = tensor.coalesce().values()
        zeros = summarize(np.zeros(1, np.float32)).scaled_count(tensor.numel() - values.numel())
        return summary_of(values).merge(zeros)
    tensor = dense(tensor)
    repeats = 1
    for axis, (length, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if stride == 0 and length > 1:
            tensor = tensor.narrow(axis, 0, 1)
            repeats *= length
    summary = summarize_bfloat16(_bits(tensor)) if tensor.dtype is torch.bfloat16 else summarize(host_array(tensor))
    return summary if repeats == 1 else summary.scaled_count(repeats)


def units_of(tensor: torch.Tensor, axis: int, zones: Zones) -> tuple[Summary, UnitCounts]:
    """Summarize a tensor and count, unit by unit, the elements on flat parts of its function."""
    return summarize_units(host_array(tensor.detach()), axis, zones)


def host_array(tensor: torch.Tensor) -> np.ndarray:
    """Return the tensor's values as an array that shares its memory where that is possible."""
    tensor = dense(tensor.detach())
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    if tensor.dtype not in NATIVE and tensor.dtype.is_floating_point:
        tensor = tensor.float()
    return tensor.cpu().numpy()


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor with all its zeros written out."""
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def _bits(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().view(torch.uint16).numpy()


class GradientMemo:
    """Summaries of gradients, computed once for the many views of one gradient that a backward hands on.

    A weak reference to the memory keeps its identity from being given to other memory, without keeping its contents.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[StorageWeakRef, tuple[Any, ...], Summary]] = {}

    def __call__(self, gradient: torch.Tensor) -> Summary:
        """Summarize a gradient, or return the summary of before if this is the same memory, unchanged."""
        if gradient.layout is not torch.strided or gradient.numel() != _span(gradient):
            return summary_of(gradient)
        storage = gradient.untyped_storage()
        key = (gradient.data_ptr(), gradient.numel(), gradient._version, gradient.dtype)
        known = self._known.get(storage._cdata)
        if known is not None and known[1] == key:
            return known[2]
        summary = summary_of(gradient)
        self._known[storage._cdata] = (StorageWeakRef(storage), key, summary)
        return summary

    def forget(self, tensors: Iterable[torch.Tensor]) -> None:
        """Forget the summaries of memory that is about to be overwritten."""
        for tensor in tensors:
            if tensor.layout is torch.strided:
                self._known.pop(tensor.untyped_storage()._cdata, None)


def _span(tensor: torch.Tensor) -> int:
    """Elements between the first and last one in memory, both counted; equals the size where the layout is dense."""
    return 1 + sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.stride(), strict=True))

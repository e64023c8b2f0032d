"""The data of a job: what stands in its batch, and losses and tables that are given an index out of their range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from justright.adapters.torch.calls import Func, dtype_name
from justright.adapters.torch.statistics import dense, host_array
from justright.core.data import DataSummary, summarize_data
from justright.core.edges import EdgeRecord, summarize_edge

__all__ = ["data_of", "edge_of", "in_range", "summarize"]


aten = torch.ops.aten

CLASSES = {
    aten.nll_loss_forward.default: (0, 1, 4, 1),
    aten.nll_loss2d_forward.default: (0, 1, 4, 1),
    aten.nll_loss_backward.default: (1, 2, 5, 1),
    aten.nll_loss2d_backward.default: (1, 2, 5, 1),
}
"""Losses over classes: positions of the scores, of the target and of the ignored index, and the scores' class axis."""

PROBABILITIES = {aten.binary_cross_entropy.default: 0, aten.binary_cross_entropy_backward.default: 1}
"""Losses over probabilities: position of the output, which they refuse outside of [0, 1], as the target behind it."""

TABLES = {
    aten.embedding.default: (1, lambda args: args[0].shape[0]),
    aten.embedding_dense_backward.default: (1, lambda args: args[2]),
}
"""Look-ups: position of the indices, and the number of rows of the table."""


def data_of(tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, DataSummary]:
    """Summarize the tensors of a batch, by name; those called ``target…`` are the target."""
    return {
        name: summarize(tensor, "target" if name.startswith("target") else "input")
        for name, tensor in tensors
        if tensor.numel() and not tensor.is_complex() and tensor.device.type != "meta"
    }


def summarize(tensor: torch.Tensor, part: str, ignore: int | None = None) -> DataSummary:
    """Summarize one tensor of the data; see `justright.core.data.DataRecord`."""
    tensor = dense(tensor.detach())
    values = host_array(tensor) if tensor.is_floating_point() else tensor.cpu().numpy()
    return summarize_data(values, part, dtype_name(tensor), ignore)


def edge_of(tensor: torch.Tensor) -> EdgeRecord | None:
    """Say how near a tensor's values come to zero and how high they go; ``None`` for complex ones."""
    return None if tensor.is_complex() else summarize_edge(host_array(tensor))


def in_range(func: Func, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments that this call takes without an error: the same ones, but where an index or output is refused.

    A class that does not exist is left out of the loss, as an ignored one is; an output or target outside of [0, 1] is
    moved to the nearest end before a loss of probabilities, an index outside of a table to the table's. The run then
    goes on, and the diagnostics tell what was refused.
    """
    if func in CLASSES:
        return _classes(args, *CLASSES[func])
    if func in PROBABILITIES:
        for place in (PROBABILITIES[func], PROBABILITIES[func] + 1):
            args = _replaced(args, place, args[place].clamp(0.0, 1.0), args[place])
        return args
    if func in TABLES:
        place, rows = TABLES[func]
        return _replaced(args, place, args[place].clamp(0, rows(args) - 1), args[place])
    return args


def _classes(args: tuple[Any, ...], scores: int, place: int, ignored: int, axis: int) -> tuple[Any, ...]:
    target, rows = args[place], args[scores]
    if target.dtype.is_floating_point:
        return args
    classes = rows.shape[axis if rows.dim() > 1 else 0]
    wrong = (target != args[ignored]) & ((target < 0) | (target >= classes))
    return _replaced(args, place, target.masked_fill(wrong, args[ignored]), target)


def _replaced(args: tuple[Any, ...], place: int, value: torch.Tensor, given: torch.Tensor) -> tuple[Any, ...]:
    """Put a value in place of what was given, if it differs; NaN stays as it is."""
    if value.device.type == "meta" or bool(((value == given) | given.isnan()).all()):
        return args
    return (*args[:place], value, *args[place + 1 :])

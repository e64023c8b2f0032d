"""Rows and elements chosen by integers: embeddings, indexing, gathering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from justright.core.axes import Array
from justright.core.indexing import placed, taken
from justright.core.lookups import added_up, equal_shares, gathered, joint_shares, looked_up, ungathered
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.ops.made import arrived, made
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []


def _rows(table: Moments, index: Any, shape: tuple[int, ...]) -> Moments:
    """Rows of a table, at integers that are known or not."""
    size = table.shape[0]
    if index is not None and sum(length > 1 for length in shape) == 1:
        return taken(table, 0, np.asarray(index).ravel() % size).reshaped((*shape, *table.shape[1:]))
    return looked_up(table, equal_shares(index, shape, size), shape)


def _rows_back(gradient: Moments, index: Any, shape: tuple[int, ...], size: int) -> Moments:
    if index is not None and sum(length > 1 for length in shape) == 1:
        rest = gradient.shape[len(shape) :]
        return placed(gradient.reshaped((math.prod(shape), *rest)), 0, np.asarray(index).ravel() % size, size)
    return added_up(gradient, equal_shares(index, shape, size), len(shape), (size,))


def _embedding(call: Call) -> Signal:
    table = call.needed("weight")
    return made(_rows(table.moments, call.values("indices"), call.shape("indices")), table)


def _embedding_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    index, shape = call.values("indices"), call.shape("indices")
    return {"weight": _rows_back(arrived(gradients), index, shape, call.shape("weight")[0])}


rule("embedding", _embedding, _embedding_back)


def _bags(call: Call) -> tuple[int, bool]:
    """Mean number of rows in a bag, and whether they are averaged."""
    mode = int(call.attributes.get("mode", 0))
    if mode > 1 or call.place("per_sample_weights") is not None:
        raise Unpredictable("rows are combined by a maximum or with weights of their own")
    size, rest = divmod(call.shape("indices")[0], call.outputs[0][0])
    if rest:
        raise Unpredictable("its bags differ in size")
    return size, mode == 1


def _embedding_bag(call: Call) -> list[Signal | None]:
    table, (size, averaged) = call.needed("weight"), _bags(call)
    shape = (call.outputs[0][0], size)
    index = call.values("indices")
    rows = _rows(table.moments, None if index is None else np.reshape(index, shape), shape)
    found = rows.averaged((1,)) if averaged else rows.sum((1,))
    return [made(found, table), *[None] * (len(call.outputs) - 1)]


def _embedding_bag_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    size, averaged = _bags(call)
    gradient, index = arrived(gradients), call.values("indices")
    shape = (gradient.shape[0], size)
    each = gradient.reshaped((shape[0], 1, *gradient.shape[1:])).expanded((*shape, *gradient.shape[1:]))
    each = each.scaled(1.0 / size) if averaged else each
    rows = None if index is None else np.reshape(index, shape)
    return {"weight": _rows_back(each, rows, shape, call.shape("weight")[0])}


rule("embedding_bag", _embedding_bag, _embedding_bag_back)


def _indexed_dims(call: Call) -> list[int]:
    """Return the dimensions that are indexed, by the operands of that name in order."""
    if call.node.op == "index_select":
        return [int(call.attributes["dim"]) % max(len(call.shapes[0]), 1)]
    count = len(call.places("indices"))
    return [int(dim) for dim in call.attributes.get("indices_at", range(count))]


def _indices(call: Call, dims: list[int]) -> tuple[list[Any], tuple[int, ...], list[int]]:
    """Return the integers for every dimension, ``None`` if they are not known, their shape, and the dimensions."""
    places = call.places("index" if call.node.op == "index_select" else "indices")
    values = [call.known[place]() if call.known else None for place in places]
    if any(_mask(call, place, dims) and value is None for place, value in zip(places, values, strict=True)):
        raise Unpredictable("which elements a mask chooses is not known")
    arrays: list[Any] = []
    for value in values:
        arrays += list(np.nonzero(value)) if value is not None and value.dtype == bool else [value]
    used = list(range(dims[0], dims[0] + len(arrays))) if len(arrays) != len(dims) else dims
    unchanged = [call.shapes[place] for place, value in zip(places, values, strict=True) if value is None]
    shape = np.broadcast_shapes(*unchanged, *(np.shape(array) for array in arrays if array is not None))
    sizes = [call.shapes[0][dim] for dim in used]
    filled = [
        None if array is None else np.broadcast_to(array, shape) % size
        for array, size in zip(arrays, sizes, strict=True)
    ]
    return filled, shape, used


def _mask(call: Call, place: int, dims: list[int]) -> bool:
    """Say whether an index looks like a mask: it has the sizes of the dimensions that it indexes."""
    shape = call.shapes[place]
    return bool(shape) and shape == call.shapes[0][dims[0] : dims[0] + len(shape)] and (
        len(call.outputs[0]) != len(call.shapes[0]) - len(dims) + len(shape)
    )  # fmt: skip


def _fronted(rank: int, dims: list[int]) -> list[int]:
    return [*dims, *(dim for dim in range(rank) if dim not in dims)]


def _landed(rank: int, index_rank: int, dims: list[int]) -> list[int]:
    """Order of the result's dimensions, given that those of the index are in front: they go where the first was."""
    if dims != list(range(dims[0], dims[0] + len(dims))):
        return list(range(index_rank + rank - len(dims)))
    before = list(range(index_rank, index_rank + dims[0]))
    return [*before, *range(index_rank), *range(index_rank + dims[0], index_rank + rank - len(dims))]


def _index(call: Call) -> Signal:
    x = call.needed("input")
    indices, shape, dims = _indices(call, _indexed_dims(call))
    rank = len(call.shapes[0])
    front = x.moments.permuted(_fronted(rank, dims))
    if len(dims) == 1:
        rows = _rows(front, indices[0], shape)
    else:
        rows = looked_up(front, joint_shares(indices, shape, front.shape[: len(dims)]), shape)
    return made(rows.permuted(_landed(rank, len(shape), dims)), x)


def _index_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    indices, shape, dims = _indices(call, _indexed_dims(call))
    rank, sizes = len(call.shapes[0]), [call.shapes[0][dim] for dim in dims]
    order = _landed(rank, len(shape), dims)
    front = arrived(gradients).permuted([order.index(dim) for dim in range(len(order))])
    if len(dims) == 1:
        found = _rows_back(front, indices[0], shape, sizes[0])
    else:
        found = added_up(front, joint_shares(indices, shape, sizes), len(shape), sizes)
    order = _fronted(rank, dims)
    return {"input": found.permuted([order.index(dim) for dim in range(rank)])}


rule("index index_select", _index, _index_back)


def _gather_parts(call: Call) -> tuple[int, Array, tuple[int, ...]]:
    shape = call.shape("index")
    dim = int(call.attributes["dim"]) % max(len(shape), 1)
    if not shape:
        raise Unpredictable("it gathers a single number")
    return dim, equal_shares(call.values("index"), shape, call.shapes[0][dim]), shape


def _gather(call: Call) -> Signal:
    x = call.needed("input")
    return made(gathered(x.moments, *_gather_parts(call)), x)


def _gather_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    dim, shares, shape = _gather_parts(call)
    found = ungathered(arrived(gradients), dim, shares, call.shapes[0][dim])
    for other, length in enumerate(call.shapes[0]):
        if other != dim and length != shape[other]:
            found = placed(found, other, np.arange(shape[other]), length)
    return {"input": found}


rule("gather", _gather, _gather_back)


def _take(call: Call) -> Signal:
    x = call.needed("input")
    flat = x.moments.reshaped((x.moments.size,))
    return made(_rows(flat, call.values("index"), call.shape("index")), x)


def _take_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    index, shape = call.values("index"), call.shape("index")
    flat = _rows_back(arrived(gradients), index, shape, math.prod(call.shapes[0]))
    return {"input": flat.reshaped(call.shapes[0])}


rule("take", _take, _take_back)

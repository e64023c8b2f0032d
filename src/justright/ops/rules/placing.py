"""Padding, repetition, triangles and diagonals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Axis
from justright.core.indexing import Piece, placed, taken
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.signals import Signal, viewed
from justright.ops.made import arrived, made, summed_to
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

Side = tuple[int, int, int]
"""A dimension, and the elements that are added in front of it and behind."""


def _sides(call: Call) -> list[Side]:
    given = call.attributes.get("pad", call.attributes.get("padding", ()))
    rank = len(call.shapes[0])
    sides = [(rank - 1 - at, int(given[2 * at]), int(given[2 * at + 1])) for at in range(len(given) // 2)]
    return [side for side in sides if side[1:] != (0, 0)]


def _constant(call: Call) -> bool:
    return "constant" in call.node.native


def _source(call: Call, side: Side) -> NDArray[np.intp]:
    """Return which old element every new one shows, where a tensor is padded with its own elements."""
    dim, before, behind = side
    length = call.shapes[0][dim]
    index = np.arange(-before, length + behind)
    if "replication" in call.node.native:
        return np.clip(index, 0, length - 1)
    turned = np.abs(index) % max(2 * (length - 1), 1)
    return np.where(turned < length, turned, 2 * (length - 1) - turned)


def _widened(x: Moments, side: Side) -> Moments:
    """Add zeros on both sides of a dimension; a negative number of them takes elements away."""
    dim, before, behind = side
    length = x.shape[dim]
    kept = Piece(dim, length, max(-before, 0), 1, length + min(before, 0) + min(behind, 0))
    before, behind = max(before, 0), max(behind, 0)
    return placed(kept.view(x), dim, before + np.arange(kept.count), before + kept.count + behind)


def _pad(call: Call) -> Signal:
    x, sides = call.needed("input"), _sides(call)
    if not sides:
        return x
    if not _constant(call):
        found = x.moments
        for side in sides:
            found = taken(found, side[0], _source(call, side))
        return made(found, x)
    value = float(call.attributes.get("value") or 0.0)
    if not math.isfinite(value):
        raise Unpredictable("it pads with infinity")
    found = x.moments.shifted(-value)
    for side in sides:
        found = _widened(found, side)
    return made(found.shifted(value), x)


def _pad_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    found = arrived(gradients)
    for dim, before, behind in _sides(call):
        if _constant(call):
            found = _widened(found, (dim, -before, -behind))
        else:
            found = placed(found, dim, _source(call, (dim, before, behind)), call.shapes[0][dim])
    return {"input": found}


rule("pad", _pad, _pad_back)


def _times(call: Call) -> list[int]:
    given = [int(count) for count in call.attributes.get("repeats", ())]
    if len(given) != len(call.outputs[0]):
        raise Unpredictable("how often it repeats elements does not follow from shapes")
    return given


def _tiled(x: Moments, counts: Sequence[int]) -> Moments:
    """Repeat a tensor along its dimensions: copies are one axis, elements another."""
    for dim, count in enumerate(counts):
        if count != 1:
            inner = x.dims[dim]
            bare = Moments((*x.dims[:dim], (), inner, *x.dims[dim + 1 :]), x.mean, x.pairs)
            tall = bare.spread(dim, (Axis((count,)),))
            dims = (*tall.dims[:dim], (*tall.dims[dim], *inner), *tall.dims[dim + 2 :])
            x = Moments(dims, tall.mean, tall.pairs)
    return x


def _repeat(call: Call) -> Signal:
    x, counts = call.needed("input"), _times(call)

    def view(moments: Moments) -> Moments:
        missing = len(counts) - len(moments.dims)
        return _tiled(Moments((*((),) * missing, *moments.dims), moments.mean, moments.pairs), counts)

    return viewed(x, ("repeat", *counts), view)


def _repeat_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    found, counts = arrived(gradients), _times(call)
    lengths = (1,) * (len(counts) - len(call.shapes[0])) + call.shapes[0]
    apart = [size for count, length in zip(counts, lengths, strict=True) for size in (count, length)]
    found = found.reshaped(apart).sum(range(0, len(apart), 2))
    return {"input": summed_to(found, call.shapes[0])}


rule("repeat", _repeat, _repeat_back)


def _triangle(call: Call) -> Moments:
    rows, columns = call.outputs[0][-2:]
    cut = np.tril if call.node.op == "tril" else np.triu
    mask = cut(np.ones((rows, columns)), int(call.attributes.get("diagonal", 0)))
    return observed(mask, tuple(_few(length) for length in (rows, columns)))


def _few(length: int) -> tuple[int, ...]:
    """Cut a dimension in four: what a triangle keeps changes along it."""
    quarter = length // 4
    return (quarter, quarter, quarter, length - 3 * quarter) if quarter else (length,)


def _tri(call: Call) -> Signal:
    x = call.needed("input")
    return made(x.moments.times(_triangle(call)), x, normal=False)


def _tri_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    return {"input": arrived(gradients).times(_triangle(call))}


rule("tril triu", _tri, _tri_back)


def _diagonal_dims(call: Call) -> tuple[int, int]:
    rank, given = len(call.shapes[0]), call.attributes
    return int(given.get("dim1", 0)) % rank, int(given.get("dim2", 1)) % rank


def _diagonal(call: Call) -> Signal:
    x, (first, second) = call.needed("input"), _diagonal_dims(call)
    rest = [dim for dim in range(len(call.shapes[0])) if dim not in (first, second)]
    whole = x.moments.permuted([first, second, *rest]).in_one_axis(0).in_one_axis(1)
    whole = whole.strata_at(0, (whole.shape[0],)).strata_at(1, (whole.shape[1],))
    pairs = np.stack((whole.pairs[0, 0], whole.pairs[1, 1]), axis=-1)
    count = call.outputs[0][-1]
    found = Moments((*whole.dims[2:], (Axis((count,)),)), whole.mean[0, 0][..., None], pairs)
    return made(found.without_axis(pairs.ndim - 1) if count == 1 else found, x)


def _diagonal_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, (first, second) = arrived(gradients), _diagonal_dims(call)
    whole = gradient.in_one_axis(len(gradient.dims) - 1)
    whole = whole.strata_at(whole.pairs.ndim - 1, (whole.shape[-1],))
    sizes = [call.shapes[0][dim] for dim in (first, second)]
    count, places = whole.shape[-1], sizes[0] * sizes[1]
    same = whole.pairs[..., 0] * count / places
    other = whole.pairs[..., 1] * count * (count - 1) / max(places * (sizes[0] - 1) * (sizes[1] - 1), 1)
    pairs = np.stack((np.stack((same, 0.0 * same), -1), np.stack((0.0 * same, other), -1)), -2)
    dims = (*whole.dims[:-1], *((Axis((size,)),) for size in sizes))
    found = Moments(dims, whole.mean[..., None] * count / places, pairs)
    for at in (1, 0):
        if sizes[at] == 1:
            found = found.without_axis(found.pairs.ndim - 2 + at)
    order = [dim for dim in range(len(call.shapes[0])) if dim not in (first, second)] + [first, second]
    return {"input": found.permuted([order.index(dim) for dim in range(len(order))])}


rule("diagonal", _diagonal, _diagonal_back)

"""Slices, rolls and flips: pieces along a dimension, known as pieces so that two of one tensor covary."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from justright.core.indexing import Piece, merged_alike
from justright.core.moments import Moments
from justright.core.signals import Signal, viewed
from justright.ops.made import arrived
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []


def _dim(call: Call) -> int:
    return int(call.attributes.get("dim", 0)) % max(len(call.shapes[0]), 1)


def _slice(call: Call) -> list[Piece]:
    dim = _dim(call)
    length, given = call.shapes[0][dim], call.attributes
    chosen = range(length)[slice(given.get("start"), given.get("end"), int(given.get("step") or 1))]
    return [Piece(dim, length, chosen.start, chosen.step, len(chosen))]


def _select(call: Call) -> list[Piece]:
    dim = _dim(call)
    length = call.shapes[0][dim]
    return [Piece(dim, length, int(call.attributes["index"]) % length, 1, 1, dropped=True)]


def _unbind(call: Call) -> list[Piece]:
    dim = _dim(call)
    length = call.shapes[0][dim]
    return [Piece(dim, length, index, 1, 1, dropped=True) for index in range(length)]


def _split(call: Call) -> list[Piece]:
    dim = _dim(call)
    sizes = [shape[dim] for shape in call.outputs]
    starts = accumulate(sizes, initial=0)
    return [Piece(dim, call.shapes[0][dim], start, 1, size) for start, size in zip(starts, sizes, strict=False)]


PIECES = {"slice": _slice, "select": _select, "unbind": _unbind, "split": _split, "chunk": _split}
"""From a call to one piece for every output."""


def _taken(x: Signal, piece: Piece) -> Signal | None:
    if piece.count == 0:
        return None
    if piece.count == piece.length and piece.step == 1 and piece.start == 0 and not piece.dropped:
        return x
    return viewed(x, piece, piece.view)


def _pieces(call: Call) -> list[Signal | None]:
    x = call.needed("input")
    return [_taken(x, piece) for piece in PIECES[call.node.op](call)]


def _put_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    """Add up the gradients of all pieces, each in its place."""
    pieces = PIECES[call.node.op](call)
    parts = [
        (piece, gradient)
        for piece, gradient in zip(pieces, gradients, strict=False)
        if gradient is not None and piece.count
    ]
    if not parts:
        raise Unpredictable("no gradient arrived at its outputs")
    found = parts[0][0].back(parts[0][1])
    for piece, gradient in parts[1:]:
        found = found.plus(piece.back(gradient))
    return {"input": _tidied(found, pieces[0].dim)}


def _tidied(x: Moments, dim: int) -> Moments:
    return merged_alike(x, x.position(dim)) if len(x.dims[dim]) == 1 else x


for _name in PIECES:
    rule(_name, _pieces, _put_back)


def _turns(call: Call) -> list[Piece]:
    """Return a flip or a roll as pieces, one for each of its dimensions."""
    shape, given = call.shapes[0], call.attributes
    if call.node.op == "flip":
        dims = [int(dim) % len(shape) for dim in given["dims"]]
        return [Piece(dim, shape[dim], shape[dim] - 1, -1, shape[dim]) for dim in dims]
    shifts, dims = list(given["shifts"]), [int(dim) % len(shape) for dim in given.get("dims") or ()]
    if not dims and len(shape) != 1:
        raise Unpredictable("it rolls a flattened tensor")
    pairs = zip(dims or [0], shifts, strict=True)
    return [Piece(dim, shape[dim], -int(shift) % shape[dim], 1, shape[dim]) for dim, shift in pairs]


def _turned(call: Call) -> Signal:
    x: Signal | None = call.needed("input")
    for piece in _turns(call):
        x = _taken(x, piece) if x is not None else None
    if x is None:
        raise Unpredictable("it has no elements")
    return x


def _turned_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    found = arrived(gradients)
    for piece in reversed(_turns(call)):
        found = piece.back(found)
    return {"input": found}


rule("flip roll", _turned, _turned_back)

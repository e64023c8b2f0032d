"""Tensors side by side: concatenated, stacked, or one written into a part of another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from justright.core.axes import Array
from justright.core.indexing import Piece
from justright.core.joining import joined, overwritten
from justright.core.moments import Moments
from justright.core.signals import Signal, between, scaled, shifted, signal
from justright.ops.made import arrived, made
from justright.ops.rule import Call, Gradients, Unpredictable, given, rule

__all__: list[str] = []


def _operand(call: Call, at: int) -> Signal:
    """Signal of an operand, also where its values are known."""
    found = call.signals[at]
    if found is not None:
        return found
    values = call.known[at]() if call.known else None
    if values is None or not np.all(np.isfinite(values)):
        raise Unpredictable(f"nothing is known of its operand {at}")
    return given(values)


def _dim(call: Call) -> int:
    return int(call.attributes.get("dim", 0)) % max(len(call.outputs[0]), 1)


def _pieces(call: Call) -> list[tuple[int, Piece]]:
    """Return every operand that has elements, with its place in the result."""
    dim, stacked = _dim(call), call.node.op == "stack"
    length = call.outputs[0][dim]
    kept = [at for at, shape in enumerate(call.shapes) if 0 not in shape]
    sizes = [1 if stacked else call.shapes[at][dim] for at in kept]
    starts = accumulate(sizes, initial=0)
    return [
        (at, Piece(dim, length, start, 1, size, stacked)) for at, start, size in zip(kept, starts, sizes, strict=False)
    ]


def _unsqueezed(x: Moments, piece: Piece) -> Moments:
    return Moments((*x.dims[: piece.dim], (), *x.dims[piece.dim :]), x.mean, x.pairs) if piece.dropped else x


def _side_by_side(call: Call) -> Signal:
    pieces = _pieces(call)
    signals = [_operand(call, at) for at, _ in pieces]
    if len(signals) == 1 and not pieces[0][1].dropped:
        return signals[0]

    def shared(i: int, j: int) -> Array | None:
        if signals[i].shape == signals[j].shape:
            return between(signals[i], signals[j])
        one, other = (_middle(signals[at], pieces[at][1].dim) for at in (i, j))
        return between(one, other) if one is not None and other is not None else None

    parts = [_unsqueezed(each.moments, piece) for each, (_, piece) in zip(signals, pieces, strict=True)]
    return made(joined(parts, pieces[0][1].dim, shared), *signals)


def _middle(x: Signal, dim: int) -> Signal | None:
    """Return one element for a piece of another tensor along a dimension: pieces of any size share as much."""
    if x.line is None or x.line[1].parent is None:
        return None
    (factor, _, shift), (parent, piece, _) = x.line, x.line[1].parent
    if not isinstance(piece, Piece) or piece.dim != dim or piece.dropped:
        return None
    one = Piece(dim, piece.length, int(piece.index[piece.count // 2]), 1, 1, dropped=True)
    return shifted(scaled(signal(parent.viewed(one, one.view)), factor), shift)


def _apart(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = arrived(gradients)
    found: list[Moments | None] = [None] * len(call.shapes)
    for at, piece in _pieces(call):
        found[at] = piece.view(gradient)
    return {call.node.operands[0].name: found}


rule("concatenate stack", _side_by_side, _apart)


def _target(call: Call) -> Piece:
    """Return which part of its input a call writes to."""
    dim, given = _dim(call), call.attributes
    length = call.outputs[0][dim]
    if call.node.op == "select_scatter":
        return Piece(dim, length, int(given["index"]) % length, 1, 1, dropped=True)
    chosen = range(length)[slice(given.get("start"), given.get("end"), int(given.get("step") or 1))]
    return Piece(dim, length, chosen.start, chosen.step, len(chosen))


def _places(piece: Piece, rank: int) -> Moments:
    """Return what tells elements that are written over from those that stay: one, and zero."""
    whole = Piece(0, piece.length, piece.start, piece.step, piece.count)
    return _along(whole.back(Moments.constant((piece.count,), 1.0)), piece.dim, rank)


def _stays(written: Moments) -> Moments:
    return written.scaled(-1.0).shifted(1.0)


def _over(call: Call) -> Signal:
    x, part, piece = call.needed("input"), call.needed("src"), _target(call)
    written = _places(piece, len(call.outputs[0]))
    return made(overwritten(x.moments, piece.back(part.moments), written), x, part)


def _along(x: Moments, dim: int, rank: int) -> Moments:
    """Give a vector the rank at which it lies along a dimension."""
    return Moments(tuple(x.dims[0] if each == dim else () for each in range(rank)), x.mean, x.pairs)


def _over_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, piece = arrived(gradients), _target(call)
    kept = _stays(_places(piece, len(call.outputs[0])))
    return {"input": gradient.times(kept), "src": piece.view(gradient)}


rule("slice_scatter select_scatter", _over, _over_back)


def _share(call: Call) -> float:
    """Return the share of a tensor's elements that was written through a view of it."""
    sizes = [float(np.prod(call.shape(name))) for name in ("input", "written")]
    return sizes[1] / sizes[0]


def _written_part(call: Call) -> Piece | None:
    """Return where a view that was written to may lie: pieces of the same size count as one.

    ``None`` if the view has all elements.
    """
    whole, part = call.shape("input"), call.shape("written")
    if _share(call) == 1.0:
        return None
    for dim in range(len(whole)):
        if len(part) == len(whole) and part[:dim] + part[dim + 1 :] == whole[:dim] + whole[dim + 1 :]:
            return Piece(dim, whole[dim], 0, 1, part[dim])
        if part == whole[:dim] + whole[dim + 1 :]:
            return Piece(dim, whole[dim], 0, 1, 1, dropped=True)
    raise Unpredictable("which elements were written through a view of it does not follow from shapes")


def _written(call: Call) -> Signal:
    x, part, piece = call.signal("input"), call.needed("written"), _written_part(call)
    if piece is None:
        return made(part.moments.reshaped(call.outputs[0]), part)
    written = _blind(piece.back(part.moments), piece)
    if x is None:
        return made(written, part)
    places = _blind(_places(piece, len(call.outputs[0])), piece)
    return made(overwritten(x.moments, written, places), x, part, normal=False)


def _blind(x: Moments, piece: Piece) -> Moments:
    """Forget where along a dimension elements lie: where a view begins is not known."""
    whole = x.in_one_axis(piece.dim)
    return whole.strata_at(whole.position(piece.dim), (piece.length,))


def _written_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, piece = arrived(gradients), _written_part(call)
    if piece is None:
        return {"written": gradient.reshaped(call.shape("written"))}
    kept = _stays(_blind(_places(piece, len(call.outputs[0])), piece))
    return {"input": gradient.times(kept), "written": piece.view(_blind(gradient, piece))}


rule("written_through_view", _written, _written_back)

"""The same elements in another shape or order: moments move along with the axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from justright.core.moments import Moments
from justright.core.signals import Signal, viewed
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

View = Callable[[Moments], Moments]


def _moved(call: Call) -> tuple[View, View]:
    """Return what a call does to moments, and what undoes it."""
    old, new = call.shapes[0], call.outputs[0]
    order = _order(call, len(old))
    if order is not None:
        back = [order.index(dim) for dim in range(len(order))]
        return lambda x: x.permuted(order), lambda x: x.permuted(back)
    if call.node.op == "expand":
        return lambda x: x.expanded(new), lambda x: _unexpanded(x, old)
    return lambda x: x.reshaped(new), lambda x: x.reshaped(old)


def _order(call: Call, rank: int) -> list[int] | None:
    """Return the order of the dimensions, ``None`` for a view that does not reorder."""
    if call.node.op == "permute":
        return [int(dim) % rank for dim in call.attributes["dims"]]
    if call.node.op != "transpose":
        return None
    order = list(range(rank))
    first, second = int(call.attributes.get("dim0", 0)), int(call.attributes.get("dim1", 1))
    if rank > 1:
        order[first], order[second] = order[second], order[first]
    return order


def _unexpanded(gradient: Moments, shape: tuple[int, ...]) -> Moments:
    """Sum a gradient over the dimensions that were repeated."""
    extra = len(gradient.dims) - len(shape)
    repeated = [dim for dim, length in enumerate(shape) if length == 1 and gradient.shape[extra + dim] != 1]
    return gradient.sum([extra + dim for dim in repeated], keep=True).reshaped(shape) if extra == 0 else (
        gradient.sum([extra + dim for dim in repeated], keep=True).sum(range(extra))
    )  # fmt: skip


def _copied(call: Call) -> bool:
    """Say whether the call writes another tensor into memory that its first operand names."""
    return call.place("src") is not None


def _forward(call: Call) -> Signal:
    if _copied(call):
        return viewed(call.needed("src"), ("expand", call.outputs[0]), lambda each: each.expanded(call.outputs[0]))
    x = call.needed("input")
    if call.shapes[0] == call.outputs[0] and call.node.op not in {"transpose", "permute"}:
        return x
    view, _ = _moved(call)
    key = (call.node.op, call.outputs[0], tuple(_order(call, len(call.shapes[0])) or ()))
    found = viewed(x, key, view)
    return found if x.visible is None else replace(found, visible=_seen(x.visible, call))


def _seen(visible: NDArray[np.bool_], call: Call) -> NDArray[np.bool_]:
    """Move a mask along; dimensions in which it only broadcasts are left out as far as that goes."""
    old, new = call.shapes[0], call.outputs[0]
    order = _order(call, len(old))
    visible = visible.reshape((1,) * (len(old) - visible.ndim) + visible.shape)
    if order is not None:
        return visible.transpose(order)
    used = next((at for at, length in enumerate(visible.shape) if length > 1), len(old))
    rank = len(old) - used
    if call.node.op == "expand" or (rank <= len(new) and old[used:] == new[len(new) - rank :]):
        return visible.reshape(visible.shape[used:])
    return np.broadcast_to(visible, old).reshape(new)


def _backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    if _copied(call):
        return {"src": _unexpanded(gradient, call.shape("src"))}
    return {"input": _moved(call)[1](gradient)}


rule("view transpose permute squeeze unsqueeze clone detach alias cast expand", _forward, _backward)

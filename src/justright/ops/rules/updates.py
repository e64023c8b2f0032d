"""Elements written or added at an index: what is written, and what stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from justright.core.indexing import placed, taken
from justright.core.joining import overwritten
from justright.core.lookups import equal_shares, gathered, ungathered
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.ops.made import arrived, made, summed_to
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []


def _along(x: Moments, dim: int, rank: int) -> Moments:
    """Give a vector the rank at which it lies along a dimension."""
    return Moments(tuple(x.dims[0] if each == dim else () for each in range(rank)), x.mean, x.pairs)


def _index(call: Call, name: str) -> tuple[int, Any]:
    """Return the dimension along which one list of integers says where to write, and the integers."""
    values = call.values(name)
    dim = int(call.attributes.get("dim", call.attributes.get("indices_at", (0,))[0])) % max(len(call.shapes[0]), 1)
    if len(call.places(name)) > 1 or len(call.shape(name)) != 1:
        raise Unpredictable("it writes at indices of several dimensions")
    if values is None:
        values = _guess(call.shape(name)[0], call.shapes[0][dim])
    values = np.asarray(values)
    if values.dtype == bool:
        raise Unpredictable("it writes where a mask says so")
    return dim, values % call.shapes[0][dim]


def _guess(count: int, length: int) -> Any:
    """Spread integers that are not known evenly."""
    return np.sort(np.arange(count) * max(length // max(count, 1), 1) % length)


def _adds(call: Call) -> bool:
    return "index_add" in call.node.native or bool(call.attributes.get("accumulate"))


def _places(call: Call, dim: int, index: Any) -> Moments:
    """Return which elements are written over: one, and zero for those that stay."""
    length = call.shapes[0][dim]
    first = np.unique(index)
    return _along(placed(Moments.constant((first.size,), 1.0), 0, first, length), dim, len(call.shapes[0]))


def _stays(written: Moments) -> Moments:
    return written.scaled(-1.0).shifted(1.0)


def _write(call: Call) -> Signal:
    x = call.needed("input")
    name, what = ("values", "indices") if call.node.op == "index_put" else ("source", "index")
    part = call.needed(name)
    dim, index = _index(call, what)
    shape = [index.size if each == dim else length for each, length in enumerate(call.shapes[0])]
    added = placed(part.moments.expanded(shape), dim, index, call.shapes[0][dim])
    added = added.scaled(float(call.attributes.get("alpha", 1.0)))
    if _adds(call):
        return made(x.moments.plus(added), x, part)
    return made(overwritten(x.moments, added, _places(call, dim, index)), x, part)


def _write_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = arrived(gradients)
    name, what = ("values", "indices") if call.node.op == "index_put" else ("source", "index")
    dim, index = _index(call, what)
    part = taken(gradient, dim, index).scaled(float(call.attributes.get("alpha", 1.0)))
    kept = gradient if _adds(call) else gradient.times(_stays(_places(call, dim, index)))
    return {"input": kept, name: summed_to(part, call.shape(name))}


rule("index_put index_add", _write, _write_back)


def _scattering(call: Call) -> tuple[int, Any, tuple[int, ...], bool]:
    """Dimension, shares of equal integers, shape of the index, and whether values are added."""
    shape = call.shape("index")
    if not shape or ("reduce" in call.attributes and call.attributes["reduce"] not in ("sum", "add")):
        raise Unpredictable("it combines what is written in another way than by adding")
    dim = int(call.attributes["dim"]) % len(shape)
    return dim, equal_shares(call.values("index"), shape, call.shapes[0][dim]), shape, call.node.op == "scatter_add"


def _scatter(call: Call) -> Signal:
    x, (dim, shares, shape, adds) = call.needed("input"), _scattering(call)
    if call.place("src") is None:
        value = float(call.attributes["value"])
        part, others = Moments.constant(shape, value), [x]
    else:
        source = call.needed("src")
        part, others = _cropped(source.moments, shape), [x, source]
    added = _full(ungathered(part, dim, shares, call.shapes[0][dim]), call, dim, shape)
    if adds:
        return made(x.moments.plus(added), *others)
    return made(overwritten(x.moments, added, _hit(call, dim, shares, shape)), *others, normal=False)


def _cropped(x: Moments, shape: tuple[int, ...]) -> Moments:
    for dim, length in enumerate(shape):
        if x.shape[dim] != length:
            x = x.sliced(dim, 0, length)
    return x


def _full(x: Moments, call: Call, dim: int, shape: tuple[int, ...]) -> Moments:
    """Give what was scattered the size of the whole: an index may be shorter along the other dimensions."""
    for other, length in enumerate(call.shapes[0]):
        if other != dim and shape[other] != length:
            x = placed(x, other, np.arange(shape[other]), length)
    return x


def _hit(call: Call, dim: int, shares: Any, shape: tuple[int, ...]) -> Moments:
    """Return which elements are written over, each by one value."""
    return _full(ungathered(Moments.constant(shape, 1.0), dim, shares, call.shapes[0][dim]), call, dim, shape)


def _scatter_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, (dim, shares, shape, adds) = arrived(gradients), _scattering(call)
    kept = gradient if adds else gradient.times(_stays(_hit(call, dim, shares, shape)))
    found = {"input": kept}
    if call.place("src") is not None:
        part = gathered(gradient, dim, shares, shape)
        for other, length in enumerate(call.shape("src")):
            if length != shape[other]:
                part = placed(part, other, np.arange(shape[other]), length)
        found["src"] = part
    return found


rule("scatter scatter_add", _scatter, _scatter_back)

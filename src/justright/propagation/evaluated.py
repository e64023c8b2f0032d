"""What operators do to known values, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from justright.ops.base import OPERATORS
from justright.propagation.evaluation import Evaluation

__all__ = ["EVALUATED", "evaluated"]


def evaluated(call: Evaluation) -> Any:  # noqa: ANN401
    """Compute one output of a node.

    Raises
    ------
    KeyError
        If the operator is not known here.
    """
    op = call.node.op
    if op in EVALUATED:
        return EVALUATED[op](call)
    if op in OPERATORS:
        arguments = {**call.node.attributes, **dict(call.operands)}
        value = OPERATORS[op].phi(**arguments)
        exact = all(np.asarray(each).dtype.kind in "biu" for _, each in call.operands)
        whole = exact and op in _WHOLE and not any(isinstance(each, float) for each in call.node.attributes.values())
        return np.asarray(value).astype(np.int64) if whole else value
    raise KeyError(op)


_WHOLE: Final = frozenset(
    ("add", "subtract", "reverse_subtract", "multiply", "negative", "absolute", "remainder", "floor_divide", "maximum",
     "minimum", "clamp", "clamp_min", "clamp_max", "where", "sign", "masked_fill")
)  # fmt: skip
"""Elementwise operators that make integers of integers."""


def _permuted(call: Evaluation) -> Any:  # noqa: ANN401
    if call.node.op == "permute":
        return np.transpose(call.x, call["dims"])
    if np.ndim(call.x) < 2:  # noqa: PLR2004  transposing a vector changes nothing
        return call.x
    return np.swapaxes(call.x, call.get("dim0", 0), call.get("dim1", 1))


_COMPARED: Final = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
                    "ge": np.greater_equal}  # fmt: skip

_LOGICAL: Final = {
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_not": np.logical_not,
    "logical_xor": np.logical_xor, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
    "bitwise_not": np.invert, "bitwise_xor": np.bitwise_xor, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift,
    "bitwise_left_shift": np.left_shift, "bitwise_right_shift": np.right_shift,
}  # fmt: skip


def _logical(call: Evaluation) -> Any:  # noqa: ANN401
    both = [call.get(name) for name in ("input", "other")]
    return _LOGICAL[call.native](*(each for each in both if each is not None))


def _cast(call: Evaluation) -> Any:  # noqa: ANN401
    """Give values another kind of number; floating-point ones are all computed in float64."""
    if call.get("src") is not None:  # a copy into memory of another kind
        return np.broadcast_to(call["src"], call.shape).astype(np.asarray(call.x).dtype)
    name = str(call.get("dtype") or np.asarray(call.x).dtype)
    return np.asarray(call.x).astype(bool if "bool" in name else np.int64 if "int" in name else np.float64)


def _filled(call: Evaluation) -> Any:  # noqa: ANN401
    value = {"zeros": 0, "ones": 1}.get(call.node.op)
    if value is None:
        value = next(call[name] for name in ("fill_value", "value", "s") if call.get(name) is not None)
    like = call.operands[0][1] if call.operands and "input" in dict(call.operands) else None
    name = str(call.get("dtype") or (np.asarray(like).dtype if like is not None else ""))
    kind = bool if "bool" in name else np.int64 if "int" in name else np.float64 if "float" in name else None
    return np.full(call.shape, value, dtype=kind or (np.float64 if call.node.op in ("zeros", "ones") else None))


def _sliced(call: Evaluation) -> Any:  # noqa: ANN401
    index = [slice(None)] * np.ndim(call.x)
    index[int(call.get("dim", 0))] = slice(call.get("start"), call.get("end"), call.get("step") or 1)
    return call.x[tuple(index)]


def _split(call: Evaluation) -> Any:  # noqa: ANN401
    sizes, dim = call.get("split_sizes"), int(call.get("dim", 0))
    size = call.get("split_size")
    if sizes is None and size is None:
        return np.array_split(call.x, int(call["chunks"]), dim)[call.output]
    start = sum(sizes[: call.output]) if sizes is not None else int(size) * call.output
    return np.take(call.x, np.arange(start, start + call.shape[dim]), dim)


def _indexed(call: Evaluation) -> Any:  # noqa: ANN401
    indices = [value for name, value in call.operands if name == "indices"]
    places = call.get("indices_at", tuple(range(len(indices))))
    index: list[Any] = [slice(None)] * (max(places) + 1)
    for place, value in zip(places, indices, strict=True):
        index[place] = value
    return call.x[tuple(index)]


def _reduced(call: Evaluation) -> Any:  # noqa: ANN401
    reduce: Any = _REDUCED[call.node.op]
    found = reduce(call.x, axis=call.dims, keepdims=bool(call.get("keepdim")))
    return np.asarray(found).astype(np.int64) if call.node.op == "sum" and np.asarray(call.x).dtype == bool else found


_REDUCED: Final = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min, "all": np.all, "any": np.any}


def _extreme(call: Evaluation) -> Any:  # noqa: ANN401
    function, place = (np.max, np.argmax) if call.node.op == "max" else (np.min, np.argmin)
    if call.get("dim") is None:
        return function(call.x)
    return (place if call.output else function)(call.x, axis=int(call["dim"]), keepdims=bool(call.get("keepdim")))


def _place(call: Evaluation) -> Any:  # noqa: ANN401
    function = np.argmax if call.node.op == "argmax" else np.argmin
    return function(call.x, axis=call.get("dim"), keepdims=bool(call.get("keepdim")))


def _padded(call: Evaluation) -> Any:  # noqa: ANN401
    if "constant" not in call.native:
        raise KeyError(call.native)
    given, rank = call["pad"], np.ndim(call.x)
    widths = [(0, 0)] * rank
    for at in range(len(given) // 2):
        widths[rank - 1 - at] = (int(given[2 * at]), int(given[2 * at + 1]))
    kept = tuple(slice(max(-before, 0), length + min(behind, 0)) for (before, behind), length in zip(
        widths, np.shape(call.x), strict=True))  # fmt: skip
    grown = [(max(before, 0), max(behind, 0)) for before, behind in widths]
    return np.pad(call.x[kept], grown, constant_values=call.get("value") or 0)


def _rolled(call: Evaluation) -> Any:  # noqa: ANN401
    return np.roll(call.x, call["shifts"], call.get("dims") or None)


def _sorted(call: Evaluation) -> Any:  # noqa: ANN401
    dim = int(call.get("dim", -1))
    order = np.argsort(-call.x if call.get("descending") else call.x, axis=dim, kind="stable")
    return order if call.node.op == "argsort" or call.output else np.take_along_axis(call.x, order, dim)


def _bucketed(call: Evaluation) -> Any:  # noqa: ANN401
    edges = call.get("boundaries", call.get("sorted_sequence"))
    right = bool(call.get("right")) or call.get("side") == "right"
    return np.searchsorted(edges, call["input"], side="right" if right else "left")


def _one_hot(call: Evaluation) -> Any:  # noqa: ANN401
    return np.asarray(np.arange(call.shape[-1]) == np.asarray(call.x)[..., None]).astype(np.int64)


def _arange(call: Evaluation) -> Any:  # noqa: ANN401
    found = call.get("start", 0) + (call.get("step") or 1) * np.arange(call.shape[0])
    return found.astype(np.float64) if "float" in str(call.get("dtype") or "") else found


def _scattered(call: Evaluation) -> Any:  # noqa: ANN401
    found, dim = np.array(call.x), int(call["dim"])
    source = call.get("src", call.get("value"))
    index = call["index"]
    np.put_along_axis(found, index, source if np.ndim(source) == 0 else source[tuple(map(slice, np.shape(index)))], dim)
    return found


EVALUATED: Final[Mapping[str, Callable[[Evaluation], Any]]] = {
    **dict.fromkeys(("view", "squeeze", "unsqueeze"), lambda call: np.reshape(call.x, call.shape)),
    **dict.fromkeys(("clone", "detach", "alias"), lambda call: call.x),
    **dict.fromkeys(("transpose", "permute"), _permuted),
    **dict.fromkeys(("logical", "bitwise"), _logical),
    **dict.fromkeys(("zeros", "ones", "full", "scalar"), _filled),
    **dict.fromkeys(("split", "chunk"), _split),
    **dict.fromkeys(_REDUCED, _reduced),
    **dict.fromkeys(("max", "min"), _extreme),
    **dict.fromkeys(("argmax", "argmin"), _place),
    **dict.fromkeys(("sort", "argsort"), _sorted),
    **dict.fromkeys(("matmul", "batched_matmul"), lambda call: np.matmul(call.operands[0][1], call.operands[1][1])),
    "cast": _cast,
    "expand": lambda call: np.broadcast_to(call.x, call.shape),
    "compare": lambda call: _COMPARED[call.native](call.x, call["other"]),
    "arange": _arange,
    "linspace": lambda call: np.linspace(call["start"], call["end"], call.shape[0]),
    "eye": lambda call: np.eye(call.shape[0], call.shape[-1]),
    "tril": lambda call: np.tril(call.x, call.get("diagonal", 0)),
    "triu": lambda call: np.triu(call.x, call.get("diagonal", 0)),
    "where": lambda call: np.where(call["condition"], call["input"], call["other"]),
    "masked_fill": lambda call: np.where(call["mask"], call["value"], call["input"]),
    "slice": _sliced,
    "select": lambda call: np.take(call.x, int(call["index"]), int(call.get("dim", 0))),
    "unbind": lambda call: np.take(call.x, call.output, int(call.get("dim", 0))),
    "index": _indexed,
    "index_select": lambda call: np.take(call.x, call["index"], int(call["dim"])),
    "gather": lambda call: np.take_along_axis(call.x, call["index"], int(call["dim"])),
    "take": lambda call: np.take(call.x, call["index"]),
    "embedding": lambda call: call["weight"][call["indices"]],
    "scatter": _scattered,
    "pad": _padded,
    "roll": _rolled,
    "flip": lambda call: np.flip(call.x, call["dims"]),
    "repeat": lambda call: np.tile(call.x, call["repeats"]),
    "outer": lambda call: np.outer(call.operands[0][1], call.operands[1][1]),
    "stack": lambda call: np.stack([value for _, value in call.operands], int(call.get("dim", 0))),
    "concatenate": lambda call: np.concatenate(
        [value for _, value in call.operands if np.shape(value) != (0,)], int(call.get("dim", 0))
    ),
    "cumulative_sum": lambda call: np.cumsum(call.x, int(call["dim"])),
    "cumulative_product": lambda call: np.cumprod(call.x, int(call["dim"])),
    "bucketize": _bucketed,
    "one_hot": _one_hot,
    "diagonal": lambda call: np.diagonal(call.x, call.get("offset", 0), call.get("dim1", 0), call.get("dim2", 1)),
    "is_nan": lambda call: np.isnan(call.x),
    "is_inf": lambda call: np.isinf(call.x),
    "is_finite": lambda call: np.isfinite(call.x),
    "count": lambda call: np.count_nonzero(call.x, axis=call.dims),
}
"""From a node with the values of its operands to an output, by canonical name."""

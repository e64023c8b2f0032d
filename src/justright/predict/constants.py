"""Values that follow from shapes and data alone: masks, positions, indices.

What is computed from neither parameters nor noise nor a signal is computed for real, in NumPy, when a rule asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from justright.core.axes import Array
from justright.core.graph import Graph, Node
from justright.ops.base import OPERATORS

__all__ = ["Constants"]

LARGEST: Final = 2**24
"""Elements beyond which nothing is computed: a mask of 4,096 by 4,096 positions is just as large."""

KEPT: Final = 64
"""Results that are kept."""


class Constants:
    """Computes known values of a graph's sites on demand.

    Parameters
    ----------
    graph
        The graph.
    given
        Values of leaves, by site.
    """

    def __init__(self, graph: Graph, given: Mapping[int, Any]) -> None:
        self._graph = graph
        self._given = given
        self._kept: OrderedDict[int, Array | None] = OrderedDict()
        self._never = _unknowable(graph, given)

    def __call__(self, site: int) -> Array | None:
        """Return the values of a site; ``None`` where they are not known."""
        if self._never[site] or self._graph.sites[site].size > LARGEST:
            return None
        if site in self._given:
            return np.asarray(self._given[site])
        if site not in self._kept:
            value = self._computed(site)
            self._kept[site] = value
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[site]

    def _computed(self, site: int) -> Array | None:
        node = self._graph.producer(site)
        if node is None:
            return None
        operands = [(each.name, self(each.site)) for each in node.operands]
        if any(value is None for _, value in operands):
            return None
        try:
            with np.errstate(all="ignore"):
                value = _run(node, operands, self._graph.sites[site].shape, node.outputs.index(site))
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        shape = self._graph.sites[site].shape
        return None if value is None or np.shape(value) != shape else np.asarray(value)


def _unknowable(graph: Graph, given: Mapping[int, Any]) -> list[bool]:
    """Say of every site whether it comes from a leaf without values, or from noise."""
    never = [site.node is None and site.index not in given for site in graph.sites]
    for node in graph.nodes:
        lost = node.kind.value == "random" or any(never[each.site] for each in node.operands)
        for output in node.outputs:
            never[output] = lost
    return never


Values = list[tuple[str, Any]]


def _run(node: Node, operands: Values, shape: tuple[int, ...], output: int) -> Any:  # noqa: ANN401
    """Compute one output of a node from the values of its operands."""
    arguments = {**node.attributes, **dict(operands)}
    if node.op in FUNCTIONS:
        return FUNCTIONS[node.op](node, arguments, shape, operands, output)
    if node.op in OPERATORS:
        return OPERATORS[node.op].phi(**arguments)
    raise KeyError(node.op)


def _reshaped(node: Node, given: Mapping[str, Any], shape: tuple[int, ...], *_: Any) -> Any:
    return np.reshape(given["input"], shape)


def _expanded(node: Node, given: Mapping[str, Any], shape: tuple[int, ...], *_: Any) -> Any:
    return np.broadcast_to(given["input"], shape)


def _permuted(node: Node, given: Mapping[str, Any], *_: Any) -> Any:
    if node.op == "permute":
        return np.transpose(given["input"], given["dims"])
    return np.swapaxes(given["input"], given.get("dim0", 0), given.get("dim1", 1)) if np.ndim(given["input"]) > 1 else (
        given["input"]
    )  # fmt: skip


def _compared(node: Node, given: Mapping[str, Any], *_: Any) -> Any:
    name = node.native.split(".")[1].rstrip("_")
    functions = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    return functions[name](given["input"], given["other"])


def _logical(node: Node, given: Mapping[str, Any], *_: Any) -> Any:
    name = node.native.split(".")[1].strip("_")
    functions = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_not": np.logical_not,
                 "logical_xor": np.logical_xor, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
                 "bitwise_not": np.invert, "bitwise_xor": np.bitwise_xor, "and": np.bitwise_and, "or": np.bitwise_or,
                 "xor": np.bitwise_xor}  # fmt: skip
    first, *rest = (value for key, value in given.items() if key in {"input", "other"})
    return functions[name](first, *rest)


def _sliced(node: Node, given: Mapping[str, Any], *_: Any) -> Any:
    index = [slice(None)] * np.ndim(given["input"])
    index[int(given.get("dim", 0))] = slice(given.get("start"), given.get("end"), given.get("step", 1))
    return given["input"][tuple(index)]


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    **dict.fromkeys(("view", "squeeze", "unsqueeze"), _reshaped),
    **dict.fromkeys(("clone", "detach", "alias"), lambda node, given, *_: given["input"]),
    "cast": lambda node, given, *_: np.asarray(given["input"]).astype(_dtype(given.get("dtype"), given["input"])),
    "expand": _expanded,
    **dict.fromkeys(("transpose", "permute"), _permuted),
    "compare": _compared,
    **dict.fromkeys(("logical", "bitwise"), _logical),
    "arange": lambda node, given, shape, *_: given.get("start", 0) + given.get("step", 1) * np.arange(shape[0]),
    "zeros": lambda node, given, shape, *_: np.zeros(shape),
    "ones": lambda node, given, shape, *_: np.ones(shape),
    "full": lambda node, given, shape, *_: np.full(shape, given.get("fill_value", given.get("value"))),
    "scalar": lambda node, given, shape, *_: np.full(shape, given["s"]),
    "tril": lambda node, given, *_: np.tril(given["input"], given.get("diagonal", 0)),
    "triu": lambda node, given, *_: np.triu(given["input"], given.get("diagonal", 0)),
    "where": lambda node, given, *_: np.where(given["condition"], given["input"], given["other"]),
    "masked_fill": lambda node, given, *_: np.where(given["mask"], given["value"], given["input"]),
    "slice": _sliced,
    "select": lambda node, given, *_: np.take(given["input"], given["index"], given.get("dim", 0)),
    "cumulative_sum": lambda node, given, *_: np.cumsum(given["input"], given["dim"]),
    "concatenate": lambda node, given, shape, operands, _: np.concatenate(
        [value for _, value in operands], given.get("dim", 0)
    ),
    "all": lambda node, given, *_: np.all(given["input"], given.get("dim"), keepdims=bool(given.get("keepdim"))),
    "any": lambda node, given, *_: np.any(given["input"], given.get("dim"), keepdims=bool(given.get("keepdim"))),
}
"""What operators do to known values, given node, arguments by name, shape, operands and the output's position."""


def _dtype(name: Any, like: Any) -> Any:  # noqa: ANN401
    """Return the kind of number of a dtype by name; floating-point ones are all computed in float64."""
    name = str(name or np.asarray(like).dtype)
    return bool if "bool" in name else np.int64 if "int" in name else np.float64

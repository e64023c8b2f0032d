"""The last operator before a loss, and the range to which it confines the output."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from justright.core.graph import Graph, Node
from justright.core.vocabulary import Kind

__all__ = ["PASSED", "Activation", "activation_before", "axis_of", "bounds", "guards", "one_way"]

PASSED = frozenset({Kind.VIEW, Kind.CAST, Kind.SELECTION})
"""Kinds through which an output comes to the loss with its values as they are."""

NARROWED = frozenset({"clamp", "clamp_min", "clamp_max", "nan_to_num"})
"""Operators that only keep an output away from an edge."""

EPSILON = 1e-2
"""Largest constant that is added to keep a probability away from zero, rather than to shift it."""

BOUNDS: Mapping[str, tuple[float, float]] = {
    "softmax": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exp": (0.0, math.inf),
    "square": (0.0, math.inf),
    "absolute": (0.0, math.inf),
    "gelu": (-0.17, math.inf),  # the minimum of x Phi(x) is -0.16997
    "silu": (-0.279, math.inf),  # the minimum of x sigmoid(x) is -0.27846
    "mish": (-0.309, math.inf),  # the minimum of x tanh(softplus(x)) is -0.30884
    "log_softmax": (-math.inf, 0.0),
    "log_sigmoid": (-math.inf, 0.0),
}
"""Range of the values that an output activation can take."""


class Activation(NamedTuple):
    """The last operator before a loss that changes values.

    Parameters
    ----------
    node
        The operator.
    guarded
        Whether an epsilon or a clamp follows it.
    """

    node: Node
    guarded: bool


def activation_before(graph: Graph, site: int) -> Activation | None:
    """Follow views, selections, clamps and an added epsilon back to what made the values; ``None`` for a leaf."""
    guarded = False
    while (node := graph.producer(site)) is not None:
        guard = guards(node)
        if not guard and node.kind not in PASSED:
            return Activation(node, guarded)
        guarded = guarded or guard
        site = node.operands[0].site
    return None


def bounds(node: Node) -> tuple[float, float]:
    """Return the range of an operator's values; infinite on both sides where nothing is known."""
    attributes = node.attributes
    if node.op in {"hardtanh", "relu6"}:  # ReLU6 is the hard tanh from 0 to 6
        return _number(attributes.get("min_val"), -1.0), _number(attributes.get("max_val"), 1.0)
    if node.op == "elu":  # SELU is an ELU with a scale
        alpha, scale = _number(attributes.get("alpha"), 1.0), _number(attributes.get("scale"), 1.0)
        return -alpha * scale, math.inf
    return BOUNDS.get(node.op, (-math.inf, math.inf))


def axis_of(graph: Graph, node: Node) -> tuple[int, int]:
    """Return the axis of a softmax, counted from the front, and its length."""
    shape = graph.sites[node.outputs[0]].shape
    axis = int(_number(node.attributes.get("dim"), -1.0)) % max(len(shape), 1)
    return axis, shape[axis] if shape else 1


def one_way(graph: Graph, node: Node) -> bool:
    """Say whether this normalizes over an axis of a single element: whatever comes in, it gives the same."""
    return node.kind is Kind.SOFTMAX and axis_of(graph, node)[1] == 1


def guards(node: Node) -> bool:
    """Say whether an operator only keeps values away from an edge."""
    other = node.attributes.get("other")
    added = node.op == "add" and len(node.operands) == 1 and isinstance(other, float) and abs(other) <= EPSILON
    return added or (node.op in NARROWED and len(node.operands) == 1)


def _number(value: Any, default: float) -> float:  # noqa: ANN401
    return float(value) if isinstance(value, int | float) else default

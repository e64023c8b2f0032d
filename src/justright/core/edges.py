"""Edges of the domain: values near which a function or its slope leaves the range of floating point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from justright.core.graph import Graph, Node
from justright.core.vocabulary import Kind

__all__ = ["POLES", "TALL", "EdgeRecord", "edge_sites", "pole_of", "summarize_edge"]

POLES = {
    "log": "input",
    "log2": "input",
    "log10": "input",
    "sqrt": "input",
    "rsqrt": "input",
    "reciprocal": "input",
    "divide": "other",
    "power": "input",
}
"""Operators with an edge at zero, and the operand that may come there; a power has one below an exponent of one."""

TALL = {"exp": 1.0, "expm1": 1.0, "sinh": 1.0, "cosh": 1.0, "exp2": math.log(2.0)}
"""Operators that overflow, and nats of output that one unit of input makes."""

SHOWN = 4
"""Examples that are shown of those nearest to an edge."""


@dataclass(frozen=True, slots=True)
class EdgeRecord:
    """How near the operand of a function came to the function's edge.

    Parameters
    ----------
    minimum, maximum
        Least and greatest element.
    least
        Smallest magnitude, zero included.
    nearest
        Pairs of an example, by its index along the first axis, and its element nearest to zero, nearest first.
    highest
        Pairs of an example and its greatest element, greatest first.
    """

    minimum: float
    maximum: float
    least: float
    nearest: tuple[tuple[int, float], ...] = ()
    highest: tuple[tuple[int, float], ...] = ()

    def merge(self, other: EdgeRecord) -> EdgeRecord:
        """Combine two batches; examples keep the index that they had in theirs."""
        nearest = sorted((*self.nearest, *other.nearest), key=lambda pair: abs(pair[1]))
        highest = sorted((*self.highest, *other.highest), key=lambda pair: -pair[1])
        return EdgeRecord(
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            min(self.least, other.least),
            tuple(nearest[:SHOWN]),
            tuple(highest[:SHOWN]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; values that JSON cannot hold become strings."""
        return {
            "minimum": _plain(self.minimum),
            "maximum": _plain(self.maximum),
            "least": _plain(self.least),
            "nearest": [[row, _plain(value)] for row, value in self.nearest],
            "highest": [[row, _plain(value)] for row, value in self.highest],
        }


def pole_of(node: Node) -> int | None:
    """Return the site that must keep away from zero, ``None`` if this operator has no edge there."""
    if node.op == "power":
        exponent = node.attributes.get("exponent")
        if not isinstance(exponent, int | float) or exponent >= 1 or exponent == 0:
            return None
    return node.operand(POLES[node.op]) if node.op in POLES else None


def edge_sites(graph: Graph) -> frozenset[int]:
    """Return the sites whose distance to an edge is worth a look: tensors, differentiable, before such a function.

    The outputs that a loss of probabilities reads are among them, since it is defined on [0, 1] alone.
    """
    return frozenset(site for node in graph.nodes for site in _edges(graph, node))


def _edges(graph: Graph, node: Node) -> Iterator[int]:
    sites = [pole_of(node), node.operand("input") if node.op in TALL else None]
    sites += [node.operand("input")] if node.kind is Kind.LOSS else []
    for site in sites:
        if site is not None and graph.sites[site].differentiable and not graph.parameter_only[site]:
            yield site


def summarize_edge(values: np.ndarray) -> EdgeRecord:
    """Summarize real values, examples along the first axis; what is not finite is left out.

    Examples
    --------
    >>> summarize_edge(np.array([[3.0, -0.5], [1.0, 2.0]])).nearest
    ((0, -0.5), (1, 1.0))
    """
    rows = values.reshape(values.shape[0], -1) if values.ndim else values.reshape(1, 1)
    finite = np.isfinite(rows)
    if not finite.any():
        return EdgeRecord(math.nan, math.nan, math.nan)
    near = np.where(finite, np.abs(rows), math.inf)
    high = np.where(finite, rows, -math.inf)
    columns, tops = near.argmin(1), high.argmax(1)
    by_near = np.argsort(near.min(1), kind="stable")[:SHOWN]
    by_high = np.argsort(-high.max(1), kind="stable")[:SHOWN]
    return EdgeRecord(
        float(np.where(finite, rows, math.inf).min()),
        float(high.max()),
        float(near.min()),
        tuple((int(row), float(rows[row, columns[row]])) for row in by_near if finite[row].any()),
        tuple((int(row), float(rows[row, tops[row]])) for row in by_high if finite[row].any()),
    )


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)

"""Edges of the domain: values near which a function or its slope leaves the range of floating point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from justright.core.graph import Graph, Node

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

PROBABLE = frozenset({"binary_cross_entropy", "nll_loss"})
"""Losses of probabilities or of their logarithms."""

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

    What a loss of probabilities reads is among them, since it is defined on [0, 1] alone; what a log-softmax has made
    is not, since it is in range, and large.
    """
    return frozenset(site for node in graph.nodes for site in _edges(graph, node))


def _edges(graph: Graph, node: Node) -> Iterator[int]:
    sites = [pole_of(node), node.operand("input") if node.op in TALL or node.op in PROBABLE else None]
    for site in sites:
        if site is not None and graph.sites[site].differentiable and not graph.parameter_only[site]:
            made = graph.producer(graph.root(site))
            if node.op not in PROBABLE or made is None or made.op != "log_softmax":
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
    whole = bool(finite.all())
    near = np.abs(rows) if whole else np.where(finite, np.abs(rows), math.inf)
    high = rows if whole else np.where(finite, rows, -math.inf)
    examples = np.arange(len(rows))
    least, most = near[examples, columns := near.argmin(1)], high[examples, tops := high.argmax(1)]
    return EdgeRecord(
        float(rows.min() if whole else np.where(finite, rows, math.inf).min()),
        float(most.max()),
        float(least.min()),
        tuple((int(row), float(rows[row, columns[row]])) for row in _first(least) if math.isfinite(least[row])),
        tuple((int(row), float(rows[row, tops[row]])) for row in _first(-most) if math.isfinite(most[row])),
    )


def _first(values: np.ndarray) -> np.ndarray:
    """Return the examples with the smallest of these values."""
    return np.argsort(values, kind="stable")[:SHOWN]


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)

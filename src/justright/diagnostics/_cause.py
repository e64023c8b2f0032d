"""Which operators make a gradient grow or shrink on its way back."""

from __future__ import annotations

import math
from collections import defaultdict

from justright.core.graph import Node
from justright.core.vocabulary import Kind
from justright.diagnostics._trend import gradient_size
from justright.diagnostics.base import Case

__all__ = ["attribution", "cause"]

SHARE = frozenset({Kind.CONTRACTION, Kind.POINTWISE, Kind.NORMALIZATION, Kind.SOFTMAX, Kind.POOLING})
"""Kinds that change a gradient's size."""


def attribution(case: Case) -> dict[str, float]:
    """Mean change of the gradient's norm, in nats a layer, that each kind of operator causes on the way back."""
    changes: dict[str, float] = defaultdict(float)
    for node in case.graph.nodes:
        operand = _only_reader(case, node)
        if operand is None or node.kind not in SHARE:
            continue
        below, above = _size(case, operand), _size(case, node.outputs[0])
        if below > 0 and above > 0:
            changes["weights" if node.kind is Kind.CONTRACTION else node.op] += math.log(below / above)
    count = max(len({layer.depth for layer in case.layers}), 1)
    return {name: change / count for name, change in sorted(changes.items(), key=lambda item: -abs(item[1]))}


def cause(changes: dict[str, float], rate: float) -> str:
    """Say which operators cause a gradient's growth per layer, `rate` in nats towards the input."""
    parts = [(name, change) for name, change in changes.items() if change * rate > 0][:2]
    if not parts:
        return "no single kind of operator stands out"
    told = ", ".join(f"{name} by {math.exp(change):.3g}" for name, change in parts)
    return f"on its way back through one layer the gradient's norm is multiplied by {told}"


def _only_reader(case: Case, node: Node) -> int | None:
    """Return the signal that a node reads, if no other node reads it: then all of its gradient comes from there."""
    operand = next((each.site for each in node.operands if not case.graph.parameter_only[each.site]), None)
    return operand if operand is not None and len(case.graph.consumers[operand]) == 1 else None


def _size(case: Case, site: int) -> float:
    record = case.record(site)
    return gradient_size(record) if record else 0.0

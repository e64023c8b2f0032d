"""Batch normalization that runs on stored statistics which no batch has set yet."""

from __future__ import annotations

from justright.core.graph import Node
from justright.diagnostics.base import Case

__all__ = ["REASON", "on_fresh_statistics"]

REASON = (
    "batch normalization runs in evaluation mode on stored statistics that no batch has set, so that it normalizes "
    "nothing; in training it will: model.train() and check again"
)


def on_fresh_statistics(case: Case) -> bool:
    """Say whether some batch normalization uses a mean of 0 and a variance of 1 because nothing was stored yet."""
    return any(_fresh(case, node) for node in case.graph.nodes if node.op == "batch_norm")


def _fresh(case: Case, node: Node) -> bool:
    if node.attributes.get("training", True):
        return False
    site = node.operand("running_var")
    record = case.record(site) if site is not None else None
    return bool(record and record.forward and record.forward.mean == 1.0 and record.forward.std == 0.0)

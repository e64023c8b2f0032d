"""What both sweeps share: what they found, and what they may use beside the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from justright.core.axes import Array
from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.ops.base import OPERATORS
from justright.ops.rule import RULES, Call, Rule, Unpredictable
from justright.propagation.fallback import Fallback
from justright.propagation.loops import Loop, Loops

__all__ = ["Adjust", "Means", "Sweep", "both", "call_of"]


Adjust = Callable[[Node, list[Signal | None], Mapping[int, Signal]], Sequence[Signal | None]]
"""Changes the results of a node, given the signals so far."""


@dataclass
class Sweep:
    """What the sweeps found, by site; by node index why some could not be predicted, and errors of sampled ones."""

    forward: dict[int, Signal] = field(default_factory=dict)
    gradient: dict[int, Moments] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    failed_backward: dict[int, str] = field(default_factory=dict)
    sampled: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Means:
    """What a sweep may use beside the graph: known values, and the framework for what has no rule."""

    known: Callable[[int], Array | None]
    without: frozenset[str]
    fallback: Fallback | None
    loops: Loops | None
    inside: frozenset[int] = frozenset()
    adjust: Adjust | None = None

    def loop(self, node: Node) -> Loop | None:
        """Return the loop that a node belongs to, if any."""
        return None if self.loops is None else self.loops.member.get(node.index)

    def rule(self, node: Node) -> Rule | None:
        """Return the rule of a node, unless there is none or it is switched off."""
        return RULES[node.op] if node.op in RULES and node.op not in self.without else None

    def pointwise(self, node: Node) -> bool:
        """Say whether a node is an elementwise operator with an entry that is not switched off."""
        return node.op in OPERATORS and node.op not in self.without and node.op not in RULES

    def sampling(self, reason: Unpredictable) -> Fallback:
        """Return the fallback, or raise the reason why a node was not predicted otherwise."""
        if self.fallback is None:
            raise reason
        return self.fallback


def call_of(graph: Graph, node: Node, found: Sweep, means: Means) -> Call:
    """Return a node with the signals that were found for its operands."""
    return Call(
        node,
        tuple(found.forward.get(each.site) for each in node.operands),
        tuple(graph.sites[each.site].shape for each in node.operands),
        tuple(graph.sites[site].shape for site in node.outputs),
        tuple(partial(means.known, each.site) for each in node.operands),
    )


def both(first: Unpredictable, second: Unpredictable) -> Unpredictable:
    """Say why there is no rule for a call, and why it was not sampled; what is the same is said once."""
    return first if str(first) == str(second) else Unpredictable(f"{first}; {second}")

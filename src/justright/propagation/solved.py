"""Solving for the sizes of weights: a forward sweep in which each layer's output gets the second moment asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.core.signals import Signal, scaled, signal
from justright.core.sources import Source
from justright.core.vocabulary import Kind
from justright.propagation.constants import Constants
from justright.propagation.engine import kept_values, usable
from justright.propagation.fallback import Apply, Fallback
from justright.propagation.leaves import leaf_signals
from justright.propagation.loops import Loops, Run
from justright.propagation.means import Sweep
from justright.propagation.sweep import sweep

__all__ = ["Goal", "Means", "Solution", "solve"]

SOLVED = frozenset({Kind.CONTRACTION, Kind.NORMALIZATION})
"""Kinds of operators whose output is proportional to their weight."""


@dataclass(frozen=True)
class Goal:
    """What the output of a parameter's first use is to be.

    Parameters
    ----------
    variance
        With which the parameter enters the sweep: that of its elements, or zero for one with all elements `mean`.
    mean
        Of its elements.
    second
        Second moment of the output that is asked for; ``None`` leaves the parameter as it enters.
    share
        Whether `second` is a share of that of the residual stream which the output is added to.
    """

    variance: float
    mean: float = 0.0
    second: float | None = None
    share: bool = False


@dataclass(frozen=True)
class Means:
    """A graph and the framework's ways to run its operators.

    Parameters
    ----------
    graph
        The graph.
    arrays
        Values of leaves by the name of their sites.
    apply, run
        As for `justright.propagation.engine.predicted`.
    """

    graph: Graph
    arrays: Mapping[str, Any]
    apply: Apply | None = None
    run: Run | None = None

    def swept(self, leaves: dict[int, Signal], *, backward: bool, adjust: Any = None) -> Sweep:  # noqa: ANN401
        """Sweep the graph from some leaves."""
        kept = kept_values(self.graph, self.arrays)
        known = Constants(self.graph, {site: each for site, each in kept.items() if usable(self.graph.sites[site])})
        fallback = Fallback(self.graph, self.apply) if self.apply is not None else None
        loops = Loops(self.graph, self.run, kept, known) if self.run is not None else None
        return sweep(self.graph, leaves, known, fallback=fallback, loops=loops, backward=backward, adjust=adjust)


@dataclass(frozen=True)
class Solution:
    """Factors on parameters, and what the network does with them.

    Parameters
    ----------
    factors
        By site of a parameter, on its elements; parameters that could not be solved for are missing.
    found
        Signals and gradients with these factors.
    """

    factors: Mapping[int, float]
    found: Sweep


def solve(means: Means, goals: Mapping[int, Goal], zeros: Iterable[int] = ()) -> Solution:
    """Return the factors on parameters that make the outputs of their first uses as large as asked for.

    Parameters
    ----------
    means
        The graph, and how its operators run.
    goals
        By site of a parameter.
    zeros
        Sites of parameters that are zero: biases.
    """
    leaves = leaf_signals(means.graph, means.arrays.items())
    for site in zeros:
        leaves[site] = signal(Source(Moments.constant(means.graph.sites[site].shape, 0.0)))
    for site, goal in goals.items():
        leaves[site] = _leaf(means.graph.sites[site].shape, goal)
    solver = _Solver(means.graph, goals)
    means.swept(leaves, backward=False, adjust=solver)
    for site, factor in solver.factors.items():
        leaves[site] = scaled(leaves[site], factor)
    return Solution(solver.factors, means.swept(leaves, backward=True))


def _leaf(shape: tuple[int, ...], goal: Goal) -> Signal:
    if not goal.variance:
        return signal(Source(Moments.constant(shape, goal.mean)))
    return signal(Source(Moments.independent(shape, goal.mean, goal.variance + goal.mean**2), True))


@dataclass
class _Solver:
    """Scales what comes out of an operator with a weight, and remembers by how much."""

    graph: Graph
    goals: Mapping[int, Goal]
    factors: dict[int, float] = field(default_factory=dict)

    def __call__(self, node: Node, results: list[Signal | None], found: Mapping[int, Signal]) -> list[Signal | None]:
        """Return the results of a node, the first one scaled if its weight has a goal."""
        site = self._weight(node)
        if site is None or not results or results[0] is None:
            return results
        if site not in self.factors:
            factor = self._factor(node, self.goals[site], results[0], found)
            if factor is None:
                return results
            self.factors[site] = factor
        return [scaled(results[0], self.factors[site]), *results[1:]]

    def _weight(self, node: Node) -> int | None:
        """Return the one parameter with a goal that the output of a node is proportional to."""
        if node.kind not in SOLVED:
            return None
        roots = {root for each in node.operands if each.name != "bias" for root in self.graph.parameter_only[each.site]}
        sought = [root for root in roots if root in self.goals and self.goals[root].second is not None]
        return sought[0] if len(sought) == 1 else None

    def _factor(self, node: Node, goal: Goal, result: Signal, found: Mapping[int, Signal]) -> float | None:
        second, wanted = result.moments.second_moment, goal.second
        if goal.share and wanted is not None:
            stream = self._stream(node, found)
            wanted = None if stream is None else wanted * stream
        if wanted is None or not 0.0 < second < math.inf:
            return None
        return math.sqrt(wanted / second)

    def _stream(self, node: Node, found: Mapping[int, Signal]) -> float | None:
        """Return the second moment of the other operand of the sum that an output runs into."""
        site = node.outputs[0]
        for _ in range(len(self.graph.nodes)):
            readers = [self.graph.nodes[index] for index in self.graph.consumers[site]]
            if len(readers) != 1 or not readers[0].outputs:
                return None
            if readers[0].op == "add":
                others = [each.site for each in readers[0].operands if each.site != site]
                read = [found[each].moments.second_moment for each in others if each in found]
                if read and not self.graph.parameter_only[others[0]]:
                    return read[0]
            site = readers[0].outputs[0]
        return None

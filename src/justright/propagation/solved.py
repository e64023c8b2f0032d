"""Solving for the sizes of weights: a forward sweep in which each layer's output gets the second moment asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

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


ASIDE = frozenset({Kind.ROUTING, Kind.RANDOM, Kind.SOURCE})
"""What reads a signal without passing it on."""


NUDGE: Final = 1.05
"""Factor on the first weights: by as much do the sizes of outputs vary from draw to draw in layers of 200 units."""


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
    alone
        Second moment asked for where that stream is not known yet, or the output is normalized before it is added.
    """

    variance: float
    mean: float = 0.0
    second: float | None = None
    share: bool = False
    alone: float = 1.0


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
    normalized
        Sites of those whose output is normalized before it is added to the stream that they have a share of.
    found
        Signals and gradients with these factors.
    nudged
        Signals where the first of the factors is larger by `NUDGE`; ``None`` in a network with normalizations, which
        takes such errors out again.
    """

    factors: Mapping[int, float]
    normalized: frozenset[int]
    found: Sweep
    nudged: Sweep | None = None


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
    found = means.swept(leaves, backward=True)
    return Solution(solver.factors, frozenset(solver.normalized), found, _nudged(means, leaves, solver))


def _nudged(means: Means, leaves: dict[int, Signal], solver: _Solver) -> Sweep | None:
    if not solver.factors or any(node.kind is Kind.NORMALIZATION for node in means.graph.nodes):
        return None
    first = next(iter(solver.factors))
    return means.swept(leaves | {first: scaled(leaves[first], NUDGE)}, backward=False)


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
    normalized: set[int] = field(default_factory=set)

    def __call__(self, node: Node, results: list[Signal | None], found: Mapping[int, Signal]) -> list[Signal | None]:
        """Return the results of a node, the first one scaled if its weight has a goal."""
        site = self._weight(node)
        if site is None or not results or results[0] is None:
            return results
        if site not in self.factors:
            factor = self._factor(node, site, results[0], found)
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

    def _factor(self, node: Node, site: int, result: Signal, found: Mapping[int, Signal]) -> float | None:
        goal = self.goals[site]
        second, wanted = result.moments.second_moment, goal.second
        if goal.share and wanted is not None:
            end = self._end(node)
            self.normalized.update((site,) if end is None else ())
            stream = None if end is None else self._beside(*end, found)
            wanted = goal.alone if end is None else wanted * (goal.alone if stream is None else stream)
        if wanted is None or not 0.0 < second < math.inf:
            return None
        return math.sqrt(wanted / second)

    def _end(self, node: Node) -> tuple[Node, int] | None:
        """Return the sum that an output runs into, and its operand there; ``None`` if it is normalized before."""
        site = node.outputs[0]
        while True:
            readers = [self.graph.nodes[index] for index in self.graph.consumers[site]]
            readers = [each for each in readers if each.kind not in ASIDE and each.outputs]
            if len(readers) != 1 or readers[0].kind is Kind.NORMALIZATION:
                return None
            others = [each.site for each in readers[0].operands if each.site != site]
            if readers[0].op == "add" and any(not self.graph.parameter_only[each] for each in others):
                return readers[0], site
            site = readers[0].outputs[0]

    def _beside(self, total: Node, site: int, found: Mapping[int, Signal]) -> float | None:
        """Return the second moment of the other operand of a sum, if it is known."""
        others = [each.site for each in total.operands if each.site != site and each.site in found]
        return found[others[0]].moments.second_moment if others else None

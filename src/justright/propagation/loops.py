"""Loops over time: the same weights are used step after step, so that no step is independent of the last.

Where a weight is used many times along one path, gradients that came different ways agree with each other, and a
product of factors, step by step, is wrong by orders of magnitude (a GRU at rest: 15 times after 10 steps). Such a loop
is found by its structure, and is run by the framework on draws: inputs with the predicted moments, weights as their
initializer draws them. What it finds is numerical, with a standard error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.draws import draw
from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.profile import Provenance
from justright.core.signals import Signal, Source, signal
from justright.core.vocabulary import Kind
from justright.errors import JustRightError

__all__ = ["Loop", "Loops", "Run", "find_loops"]

STEPS: Final = 8
"""Repetitions along one path from which on a loop is run: fewer steps of a product hardly differ."""

DRAWS: Final = 8
"""Runs of a loop: what all of them share is averaged over."""

LARGEST: Final = 1 << 26
"""Elements of all tensors of a loop up to which it is run: half a minute."""

CUT: Final = (Kind.CONTRACTION, Kind.NORMALIZATION, Kind.SOFTMAX, Kind.LOOKUP, Kind.RANDOM, Kind.RECURRENT)
"""Operators whose results are drawn where a loop stands in the model itself and not in a module of its own."""

Arrays = dict[int, NDArray[Any]]
Pull = Callable[[Arrays], Arrays]
Run = Callable[[Sequence[Node], Arrays, frozenset[int], int], tuple[Arrays, Pull]]
"""Runs nodes on given arrays by site; returns the arrays they make, and a function from gradients to gradients."""


@dataclass(frozen=True)
class Loop:
    """A loop of a graph.

    Parameters
    ----------
    nodes
        Its operators in order.
    entering
        Sites that it reads and does not make.
    leaving
        Sites that it makes and something else reads.
    """

    nodes: tuple[Node, ...]
    entering: tuple[int, ...]
    leaving: tuple[int, ...]

    @property
    def last(self) -> int:
        """Index of its last operator."""
        return self.nodes[-1].index


def find_loops(graph: Graph) -> tuple[Loop, ...]:
    """Find what repeats along a path: the same operator of the same module at the same source line."""
    occurrences: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for node in graph.nodes:
        if node.kind in {Kind.POINTWISE, Kind.CONTRACTION}:
            occurrences[node.module, node.source, node.op].append(node.index)
    spans = [(found[0], found[-1]) for found in occurrences.values() if len(found) >= STEPS and _chained(graph, found)]
    loops = [_loop(graph, start, end) for start, end in _merged(spans)]
    return tuple(loop for loop in loops if _runs(graph, loop))


def _chained(graph: Graph, found: Sequence[int]) -> bool:
    """Say whether enough of these nodes lie on one path."""
    chosen = set(found)
    length: dict[int, int] = {}
    for node in graph.nodes[found[0] : found[-1] + 1]:
        before = max((length.get(operand.site, 0) for operand in node.operands), default=0)
        for site in node.outputs:
            length[site] = before + (node.index in chosen)
    return max(length.values()) >= STEPS


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans of nodes that overlap."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    yield from joined


def _loop(graph: Graph, start: int, end: int) -> Loop:
    """Take what comes straight before a loop into it, back to what can be drawn."""
    inside = set(range(start, end + 1))
    module = Counter(graph.nodes[index].module for index in inside).most_common(1)[0][0]
    for node in reversed(graph.nodes[:start]):
        readers = {reader for site in node.outputs for reader in graph.consumers[site]}
        if readers and all(reader in inside or reader > end for reader in readers) and _belongs(node, module):
            inside.add(node.index)
    nodes = tuple(graph.nodes[index] for index in sorted(inside))
    made = {site for node in nodes for site in node.outputs}
    read = dict.fromkeys(operand.site for node in nodes for operand in node.operands)
    ends = {*graph.outputs, *(() if graph.loss is None else (graph.loss,))}
    leaving = (site for site in made if site in ends or not inside.issuperset(graph.consumers[site]))
    return Loop(nodes, tuple(site for site in read if site not in made), tuple(sorted(leaving)))


def _belongs(node: Node, module: str) -> bool:
    """Say whether a node in front of a loop is part of it: all of a module, and what is no cut of the model itself."""
    return node.module.startswith(module) if module else node.kind not in CUT


def _runs(graph: Graph, loop: Loop) -> bool:
    sites = {site for node in loop.nodes for site in (*node.outputs, *(operand.site for operand in node.operands))}
    size = sum(graph.sites[site].size for site in sites)
    native = all(len(node.native.split(".")) > 1 and node.kind is not Kind.UPDATE for node in loop.nodes)
    return size <= LARGEST and native


class Loops:
    """The loops of a graph, and what running them gave.

    Parameters
    ----------
    graph
        The graph.
    run
        The framework's way to run nodes; see `justright.adapters.base.Adapter.run`.
    given
        Values of leaves that are taken as they are, by site.
    known
        From a site to its values, where they follow from shapes and data alone.
    seed
        Seed of all draws.
    """

    def __init__(
        self,
        graph: Graph,
        run: Run,
        given: Mapping[int, NDArray[Any]],
        known: Callable[[int], NDArray[Any] | None],
        seed: int = 0,
    ) -> None:
        self._graph, self._run, self._given, self._known, self._seed = graph, run, given, known, seed
        self.member = {node.index: loop for loop in find_loops(graph) for node in loop.nodes}
        self._outcomes: dict[int, tuple[tuple[Arrays, Pull], ...]] = {}

    def forward(self, loop: Loop, signals: Mapping[int, Signal]) -> dict[int, Signal] | None:
        """Run a loop on draws of what enters it; ``None`` if it does not run, or something is not known."""
        values = {site: self._value(site) for site in loop.entering}
        if any(each is None and site not in signals for site, each in values.items()):
            return None
        wanted = frozenset(site for site in loop.entering if self._graph.sites[site].differentiable)
        total: dict[int, list[Moments]] = defaultdict(list)
        runs = []
        for number in range(DRAWS):
            generator = np.random.default_rng((self._seed, loop.last, number))
            drawn = {
                site: draw(signals[site].moments, generator) if each is None else each for site, each in values.items()
            }
            try:
                runs.append(self._run(loop.nodes, drawn, wanted, self._seed + number))
            except JustRightError:
                return None
            for site, each in runs[-1][0].items():
                if self._graph.sites[site].floating:
                    total[site].append(observed(each) if site in loop.leaving else _blind(each))
        self._outcomes[loop.last] = tuple(runs)
        return {site: signal(Source(_average(found), True, Provenance.NUMERICAL)) for site, found in total.items()}

    def ran(self, loop: Loop) -> bool:
        """Say whether a loop was run."""
        return loop.last in self._outcomes

    def backward(self, loop: Loop, gradients: Mapping[int, Moments]) -> dict[int, Moments]:
        """Send gradients back through the runs of a loop; return those at all sites of the loop and at what enters."""
        total: dict[int, list[Moments]] = defaultdict(list)
        largest = max((moments.rms for moments in gradients.values()), default=0.0) or 1.0
        for number, (_, pull) in enumerate(self._outcomes[loop.last]):
            generator = np.random.default_rng((self._seed, loop.last, number, 1))
            slopes = {site: draw(moments.scaled(1.0 / largest), generator) for site, moments in gradients.items()}
            for site, values in pull(slopes).items():
                found = observed(values) if site in loop.entering else _blind(values)
                total[site].append(found.scaled(largest))
        return {site: _average(found) for site, found in total.items()}

    def _value(self, site: int) -> NDArray[Any] | None:
        return self._given[site] if site in self._given else self._known(site)


def _blind(values: NDArray[Any]) -> Moments:
    """Return mean and second moment alone: what stays within a loop is combined with nothing outside it."""
    flat = values.astype(np.float64, copy=False)
    return Moments.independent(values.shape, float(flat.mean()), float(np.mean(flat * flat)))


def _average(found: Sequence[Moments]) -> Moments:
    first = found[0]
    return first.with_values(
        np.mean([each.mean for each in found], axis=0), np.mean([each.pairs for each in found], axis=0)
    )

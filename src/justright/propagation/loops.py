"""Loops over time: the same weights are used step after step, so that no step is independent of the last.

Where a weight is used many times along one path, gradients that came different ways agree with each other, and a
product of factors, step by step, is wrong by orders of magnitude (a GRU at rest: 15 times after 10 steps). Such a loop
is run by the framework on draws: inputs with the predicted moments, weights as their initializer draws them. What it
finds is numerical, with a standard error.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.draws import draw
from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.profile import Provenance
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.errors import JustRightError
from justright.propagation.repeats import Loop, find_loops

__all__ = ["Loop", "Loops", "Run"]

FEWEST: Final = 8
"""Runs of a loop in any case: an error that is judged from fewer is itself wrong by a third."""

MOST: Final = 64
"""Runs at which one stops: the error of an RMS is then 6 % where its square varies as much as it is large."""

ENOUGH: Final = 0.02
"""Median relative standard error of the RMS of all sites at which one stops: less than half of the 5 % aimed at."""

ELEMENTS: Final = 1 << 27
"""Elements made in all runs of a loop at which one stops though the error is larger: a second or two."""

Arrays = dict[int, NDArray[Any]]
Pull = Callable[[Arrays], Arrays]
Run = Callable[[Sequence[Node], Arrays, frozenset[int], int], tuple[Arrays, Pull]]
"""Runs nodes on given arrays by site; returns the arrays they make, and a function from gradients to gradients."""


@dataclass
class _Tally:
    """Moments of sites over draws: in full for those that something outside reads, else mean and second moment."""

    whole: frozenset[int]
    full: dict[int, list[Moments]] = field(default_factory=lambda: defaultdict(list))
    plain: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    draws: int = 0

    def done(self, size: int) -> bool:
        """Say whether so many draws, of so many elements each, are enough."""
        if self.draws < FEWEST:
            return False
        return self.draws >= MOST or self.draws * size >= ELEMENTS or self.error < ENOUGH

    def add(self, arrays: Arrays) -> None:
        """Add one draw."""
        self.draws += 1
        for site, values in arrays.items():
            if site in self.whole:
                self.full[site].append(observed(values))
            elif values.size:
                flat = values.astype(np.float64, copy=False).ravel()  # squares of small gradients underflow in float32
                self.plain[site].append((float(flat.sum()) / flat.size, float(np.dot(flat, flat)) / flat.size))
                self.shapes[site] = values.shape

    @property
    def moments(self) -> dict[int, Moments]:
        """Averages so far, by site."""
        return {site: _average(found) for site, found in self.full.items()} | {
            site: _blind(self.shapes[site], np.asarray(found)) for site, found in self.plain.items()
        }

    @property
    def error(self) -> float:
        """Relative standard error of the RMS over sites: the median, or a fifth of the 95th percentile if that is more.

        It is half that of the second moment. Of a prediction's errors the 95th percentile may be five times the median.
        """
        plain = [[second for _, second in found] for found in self.plain.values()]
        full = [[each.second_moment for each in found] for found in self.full.values()]
        seconds = np.asarray(plain + full).reshape(-1, self.draws)
        level = seconds.mean(axis=1)
        varied = seconds[level > 0.0] / level[level > 0.0, None]
        errors = varied.std(axis=1, ddof=1) / (2.0 * math.sqrt(self.draws))
        return float(max(np.median(errors), np.quantile(errors, 0.95) / 5.0)) if errors.size else 0.0


@dataclass(frozen=True)
class _Entered:
    """What enters a loop: values that are known, and moments to draw the others with."""

    given: Arrays
    moments: dict[int, Moments]


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
        self._entered: dict[int, _Entered] = {}

    def forward(self, loop: Loop, signals: Mapping[int, Signal]) -> dict[int, Signal] | None:
        """Run a loop on draws of what enters it; ``None`` if it does not run, or something is not known."""
        values = {site: self._value(site) for site in loop.entering}
        if any(each is None and site not in signals for site, each in values.items()):
            return None
        entered = _Entered(
            {site: each for site, each in values.items() if each is not None},
            {site: signals[site].moments for site, each in values.items() if each is None},
        )
        tally = _Tally(frozenset(loop.leaving))
        try:
            while not tally.done(loop.size):
                made, _ = self._once(loop, entered, tally.draws, frozenset())
                tally.add({site: each for site, each in made.items() if self._graph.sites[site].floating})
        except JustRightError:
            return None
        self._entered[loop.last] = entered
        return {site: signal(Source(each, True, Provenance.NUMERICAL)) for site, each in tally.moments.items()}

    def _once(self, loop: Loop, entered: _Entered, number: int, wanted: frozenset[int]) -> tuple[Arrays, Pull]:
        """Run a loop on one draw; the same number gives the same draw."""
        generator = np.random.default_rng((self._seed, loop.last, number))
        drawn = {site: draw(each, generator) for site, each in entered.moments.items()}
        return self._run(loop.nodes, {**entered.given, **drawn}, wanted, self._seed + number)

    def ran(self, loop: Loop) -> bool:
        """Say whether a loop was run."""
        return loop.last in self._entered

    def backward(self, loop: Loop, gradients: Mapping[int, Moments]) -> dict[int, Moments]:
        """Send gradients back through runs of a loop; return those at all sites of the loop and at what enters.

        The runs of the forward sweep are made again: to keep what they made would take the memory of all of them.
        """
        tally, entered = _Tally(frozenset(loop.entering)), self._entered[loop.last]
        wanted = frozenset(site for site in loop.entering if self._graph.sites[site].differentiable)
        largest = max((moments.rms for moments in gradients.values()), default=0.0) or 1.0
        while not tally.done(2 * loop.size):
            generator = np.random.default_rng((self._seed, loop.last, tally.draws, 1))
            _, pull = self._once(loop, entered, tally.draws, wanted)
            tally.add(pull({site: draw(each.scaled(1.0 / largest), generator) for site, each in gradients.items()}))
        return {site: each.scaled(largest) for site, each in tally.moments.items()}

    def _value(self, site: int) -> NDArray[Any] | None:
        return self._given[site] if site in self._given else self._known(site)


def _blind(shape: tuple[int, ...], found: NDArray[np.float64]) -> Moments:
    """Return mean and second moment alone: what stays within a loop is combined with nothing outside it."""
    mean, second = found.mean(axis=0)
    level = Moments.independent(shape, math.sqrt(float(np.mean(found[:, 0] ** 2))), float(second))
    return level.with_values(np.full_like(level.mean, mean), level.pairs)


def _average(found: Sequence[Moments]) -> Moments:
    first = found[0]
    return first.with_values(
        np.mean([each.mean for each in found], axis=0), np.mean([each.pairs for each in found], axis=0)
    )

"""What to do where no rule exists: run that operator alone on samples with the predicted moments.

The operands are drawn with their moments, the framework runs the operator and its gradient, and the moments of what
comes out are averaged over draws. Integers and masks that are known are used as they are; unknown integers are drawn
in range. Dimensions along which the operator treats every element for itself are shortened where tensors are large.
What it finds is *numerical*: an integral over the predicted distribution, with a standard error; the network itself was
not run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array
from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import Signal, mapped, signal
from justright.core.sources import Source
from justright.errors import JustRightError
from justright.ops.rule import Call, Gradients, Unpredictable
from justright.propagation.freedom import Places, free_dimensions, is_elementwise
from justright.propagation.operands import drawn_operands
from justright.propagation.sampling import MOST_BATCHES, Arrays, Plan, Tally, drawn_slopes, planned, pulled, seen

__all__ = ["Apply", "Fallback"]

Pull = Callable[[Arrays], Arrays]
Apply = Callable[[Node, Sequence[NDArray[Any]], int, Sequence[bool]], tuple[Arrays, Pull]]
Look = Callable[[Sequence[Tally | None], Arrays, Pull, np.random.Generator], None]


class Fallback:
    """Predicts single operators by running them on draws.

    Parameters
    ----------
    graph
        The graph.
    apply
        The framework's way to run a node alone; see `justright.adapters.base.Adapter.apply`.
    seed
        Seed of all draws; the draws for a node depend on it and on the node's index alone.

    Attributes
    ----------
    errors
        For every node that was sampled, the largest relative standard error of a second moment.
    """

    def __init__(self, graph: Graph, apply: Apply, seed: int = 0) -> None:
        self._graph = graph
        self._apply = apply
        self._seed = seed
        self._elementwise: dict[str, bool] = {}
        self.errors: dict[int, float] = {}

    def forward(self, call: Call) -> list[Signal | None]:
        """Return the signals of a call's outputs, by sampling.

        Raises
        ------
        Unpredictable
            If the operator does not run, gives values that are not finite, or is too large.
        """
        if any(self._graph.sites[site].dtype.startswith("complex") for site in call.node.outputs):
            raise Unpredictable("it gives complex numbers, of which no moments are kept")
        plan = self._planned(call)
        floating = [self._graph.sites[site].floating for site in call.node.outputs]
        tallies = [Tally(dims) if one else None for dims, one in zip(plan.outputs, floating, strict=True)]

        def look(found: Sequence[Tally | None], outputs: Arrays, _pull: Pull, _generator: np.random.Generator) -> None:
            for at, (tally, values) in enumerate(zip(found, outputs, strict=False)):
                if tally is not None and values is not None:
                    tally.add(*seen(values, plan.small(at, 1)))

        self._sample(call, plan, tallies, look)
        origin = max((each.provenance for each in call.signals if each is not None), default=Provenance.EXACT)
        origin = max(origin, Provenance.NUMERICAL)
        return [
            signal(Source(each.moments, each.gaussian, origin)) if each is not None and each.seconds else None
            for each in tallies
        ]

    def backward(self, call: Call, gradients: Sequence[Moments | None]) -> list[Moments | None]:
        """Return the moments of the gradients at a call's operands, by sampling; ``None`` where there are none."""
        plan = self._planned(call)
        sites = [self._graph.sites[each.site] for each in call.node.operands]
        tallies = [Tally(dims) if site.floating else None for dims, site in zip(plan.operands, sites, strict=True)]
        scale = 1.0

        def look(found: Sequence[Tally | None], outputs: Arrays, pull: Pull, generator: np.random.Generator) -> None:
            nonlocal scale
            shapes = [() if each is None else each.shape for each in outputs]
            slopes, scale = drawn_slopes(plan, gradients, shapes, generator)
            for at, tally in enumerate(found):
                each = None if tally is None else pulled(plan, at, pull, slopes, generator)
                if tally is not None and each is not None:
                    tally.add(each)

        self._sample(call, plan, tallies, look)
        return [each.moments.scaled(scale) if each is not None and each.seconds else None for each in tallies]

    def by_name(self, call: Call, gradients: Sequence[Moments | None]) -> Gradients:
        """Return the moments of the gradients by operand name, as a rule does."""
        found: dict[str, list[Moments | None]] = {}
        for operand, each in zip(call.node.operands, self.backward(call, gradients), strict=True):
            found.setdefault(operand.name, []).append(each)
        return dict(found)

    def elementwise(self, call: Call) -> bool:
        """Say whether a call of one operand computes every element from one element; tried once an operator."""
        node = call.node
        if len(node.operands) != 1 or len(node.outputs) != 1 or call.signals[0] is None:
            return False
        if call.shapes[0] != call.outputs[0] or not self._graph.sites[node.outputs[0]].floating:
            return False
        key = _shown(call)
        if key not in self._elementwise:
            trial = np.random.default_rng(self._seed).uniform(0.1, 0.9, [min(length, 4) for length in call.shapes[0]])
            self._elementwise[key] = is_elementwise(trial, lambda given: self._run(node, given, 0)[0])
        return self._elementwise[key]

    def mapped(self, call: Call) -> Signal:
        """Return an elementwise operator's output as a function of its operand, which quadrature integrates."""
        return mapped(_shown(call), lambda u: self._values(call.node, u), call.needed(call.node.operands[0].name))

    def slope(self, call: Call) -> Signal:
        """Return the derivative of an elementwise operator as a function of its operand."""
        return mapped(f"{_shown(call)}'", lambda u: self._slopes(call.node, u), call.needed(call.node.operands[0].name))

    def _values(self, node: Node, u: Any) -> Array:  # noqa: ANN401
        return np.asarray(self._run(node, [np.asarray(u, dtype=np.float64)], 0)[0][0])

    def _slopes(self, node: Node, u: Any) -> Array:  # noqa: ANN401
        values = np.asarray(u, dtype=np.float64)
        (found,) = self._run(node, [values], 0)[1]([np.ones_like(values)])
        if found is None:
            raise Unpredictable("the framework has no gradient of it")
        return np.asarray(found)

    def _planned(self, call: Call) -> Plan:
        if not call.node.native:
            raise Unpredictable("no rule, and no operator of the framework to run in its place")
        return planned(call, lambda: self._free(call))

    def _free(self, call: Call) -> list[tuple[Places, Places]]:
        """Find the dimensions along which the operator treats every element for itself."""
        generator = np.random.default_rng(self._seed)

        def make(at: int, shape: tuple[int, ...]) -> NDArray[Any]:
            known = call.known[at]() if call.known else None
            if known is not None:
                return np.asarray(known)[tuple(slice(0, length) for length in shape)]
            if self._graph.sites[call.node.operands[at].site].floating:
                return generator.standard_normal(shape)
            return np.zeros(shape, dtype=np.int64)

        return free_dimensions(call.node, call.shapes, make, lambda given: self._run(call.node, given, 0)[0])

    def _sample(self, call: Call, plan: Plan, tallies: Sequence[Tally | None], look: Look) -> None:
        """Draw until every tally has enough."""
        drawn, cuts = 0, [plan.cuts(at, 0) for at in range(len(call.shapes))]
        for number in range(MOST_BATCHES):
            generator = np.random.default_rng((self._seed, call.node.index, number))
            operands = drawn_operands(self._graph, call, cuts, generator)
            outputs, pull = self._run(call.node, operands, int(generator.integers(2**31)))
            look(tallies, outputs, pull, generator)
            drawn += max(each.size for each in (*operands, *outputs) if each is not None)
            counted = [each for each in tallies if each is not None and each.seconds]
            if all(each.enough(drawn) for each in counted):
                break
        worst = max((each.error for each in counted), default=0.0)
        self.errors[call.node.index] = max(worst, self.errors.get(call.node.index, 0.0))

    def _run(self, node: Node, operands: Sequence[NDArray[Any]], seed: int) -> tuple[Arrays, Pull]:
        """Run the operator in double precision, in single where it refuses that."""
        wanted = [self._graph.sites[each.site].differentiable for each in node.operands]
        try:
            return self._apply(node, operands, seed, wanted)
        except JustRightError:
            single = [each.astype(np.float32) if each.dtype == np.float64 else each for each in operands]
            try:
                return self._apply(node, single, seed, wanted)
            except JustRightError as error:
                raise Unpredictable(f"it does not run alone: {error.got}") from error


def _shown(call: Call) -> str:
    return f"{call.node.native} {sorted(call.attributes.items(), key=str)}"

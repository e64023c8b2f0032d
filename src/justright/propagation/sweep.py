"""The two sweeps over a graph: signals forward, gradients backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from justright.core.axes import Array
from justright.core.graph import Graph, Node
from justright.core.signals import Signal
from justright.ops.base import OPERATORS
from justright.ops.rule import RULES, Call, Unpredictable, given
from justright.propagation import pointwise
from justright.propagation.backward import backward as backward_sweep
from justright.propagation.fallback import Fallback
from justright.propagation.interior import interior
from justright.propagation.loops import Loop, Loops
from justright.propagation.means import Adjust, Means, Sweep, both, call_of
from justright.propagation.undefined import undefined
from justright.propagation.unexpected import followed

__all__ = ["Sweep", "sweep"]

DECISIONS = frozenset(
    {"compare", "logical", "random_integers", "view", "transpose", "permute", "squeeze", "unsqueeze", "expand"}
    | {"detach", "alias", "clone", "cast"}
)
"""Operators whose outputs may be booleans or integers that are signals: steps of signals, draws, and views of these."""

LOOP_ERROR = 0.06
"""Relative standard error of what a loop's runs give: three runs of a hundred units, 1 / sqrt(3 * 100)."""


def sweep(
    graph: Graph,
    leaves: Mapping[int, Signal],
    known: Callable[[int], Array | None],
    *,
    without: frozenset[str] = frozenset(),
    fallback: Fallback | None = None,
    loops: Loops | None = None,
    backward: bool = True,
    adjust: Adjust | None = None,
) -> Sweep:
    """Predict every signal and every gradient of a graph.

    Parameters
    ----------
    graph
        The graph.
    leaves
        Signals of the leaves: inputs, parameters, buffers.
    known
        From a site to its values, where they follow from shapes and data alone.
    without
        Canonical names of operators whose rules are switched off: they are sampled, which tests the rules.
    fallback
        Samples operators without a rule; without one they are not predicted.
    loops
        Runs what repeats along a path; without it every step is taken as independent of the last.
    backward
        Whether to predict gradients.
    adjust
        Called with a node, its results and the signals so far; what it returns is used in place of the results.
    """
    found = Sweep(dict(leaves))
    means = Means(known, without, fallback, loops, interior(graph) if backward else frozenset(), adjust)
    for node in graph.nodes:
        loop = means.loop(node)
        if loop is None:
            _forward(graph, node, found, means)
        elif node.index == loop.last:
            _around(graph, loop, found, means)
    if backward and graph.loss is not None and graph.loss in found.forward:
        backward_sweep(graph, found, means)
    if fallback is not None:
        found.sampled.update(fallback.errors)
    return found


def _around(graph: Graph, loop: Loop, found: Sweep, means: Means) -> None:
    """Run a loop, or take its operators one by one where that is not possible."""
    made = None if means.loops is None else means.loops.forward(loop, found.forward)
    if made is None:
        for node in loop.nodes:
            _forward(graph, node, found, means)
        return
    found.forward.update(made)
    found.sampled.update(dict.fromkeys((node.index for node in loop.nodes), LOOP_ERROR))


def _forward(graph: Graph, node: Node, found: Sweep, means: Means) -> None:
    if not any(graph.sites[site].floating and graph.sites[site].size for site in node.outputs):
        _decide(graph, node, found, means)
        return
    if _fill(graph, node, found, means):
        return
    call = call_of(graph, node, found, means)
    try:
        results = _results(node, call, means)
        results = results if means.adjust is None else means.adjust(node, list(results), found.forward)
    except Unpredictable as reason:
        found.failed[node.index] = str(reason)
        return
    for site, result in zip(node.outputs, results, strict=False):
        if result is not None:
            found.forward[site] = result
            if words := undefined(result):
                found.failed[node.index] = words


def _decide(graph: Graph, node: Node, found: Sweep, means: Means) -> None:
    """Take a comparison of signals as a signal: one where it holds, and zero."""
    operands = [found.forward.get(each.site) for each in node.operands]
    if node.op not in DECISIONS or (operands and all(each is None for each in operands)):
        return
    rule = means.rule(node)
    if rule is None or means.known(node.outputs[0]) is not None:
        return
    with suppress(Unpredictable):  # whatever reads it says that nothing is known of it
        result = rule.forward(call_of(graph, node, found, means))
        if isinstance(result, Signal):
            found.forward[node.outputs[0]] = result


def _fill(graph: Graph, node: Node, found: Sweep, means: Means) -> bool:
    """Take what follows from shapes and data alone as it is; values that hide logits are no signal."""
    values = {site: means.known(site) for site in node.outputs if graph.sites[site].floating}
    if any(each is None for each in values.values()):
        return False
    for site, each in values.items():
        if each is not None and np.all(np.isfinite(each)):
            found.forward[site] = given(each)
    return True


def _results(node: Node, call: Call, means: Means) -> Sequence[Signal | None]:
    try:
        return _predicted(node, call, means)
    except Unpredictable as reason:
        first, fallback = reason, means.sampling(reason)
    try:
        unnamed = node.op not in RULES and node.op not in OPERATORS
        with followed("a sample"):
            return [fallback.mapped(call)] if unnamed and fallback.elementwise(call) else fallback.forward(call)
    except Unpredictable as second:
        raise both(first, second) from second


def _predicted(node: Node, call: Call, means: Means) -> Sequence[Signal | None]:
    rule = means.rule(node)
    if rule is None and not means.pointwise(node):
        raise Unpredictable("its rule is switched off" if node.op in means.without else "no rule")
    with followed("its rule"):
        result = pointwise.forward(call) if rule is None else rule.forward(call)
    return [result] if isinstance(result, Signal) else result

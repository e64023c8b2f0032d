"""The two sweeps over a graph: signals forward, gradients backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from justright.core.axes import Array
from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.ops.base import OPERATORS
from justright.ops.rule import RULES, Call, Divided, Gradients, Rule, Sloped, Unpredictable, given
from justright.propagation import pointwise
from justright.propagation.fallback import Fallback
from justright.propagation.gradient import Gradient
from justright.propagation.interior import interior
from justright.propagation.loops import Loop, Loops
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


@dataclass
class Sweep:
    """What the sweeps found, by site; by node index why some could not be predicted, and errors of sampled ones."""

    forward: dict[int, Signal] = field(default_factory=dict)
    gradient: dict[int, Moments] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    failed_backward: dict[int, str] = field(default_factory=dict)
    sampled: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Means:
    """What a sweep may use beside the graph: known values, and the framework for what has no rule."""

    known: Callable[[int], Array | None]
    without: frozenset[str]
    fallback: Fallback | None
    loops: Loops | None
    inside: frozenset[int] = frozenset()

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


def sweep(
    graph: Graph,
    leaves: Mapping[int, Signal],
    known: Callable[[int], Array | None],
    *,
    without: frozenset[str] = frozenset(),
    fallback: Fallback | None = None,
    loops: Loops | None = None,
    backward: bool = True,
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
    """
    found = Sweep(dict(leaves))
    means = _Means(known, without, fallback, loops, interior(graph) if backward else frozenset())
    for node in graph.nodes:
        loop = means.loop(node)
        if loop is None:
            _forward(graph, node, found, means)
        elif node.index == loop.last:
            _around(graph, loop, found, means)
    if backward and graph.loss is not None and graph.loss in found.forward:
        _backward(graph, found, means)
    if fallback is not None:
        found.sampled.update(fallback.errors)
    return found


def _around(graph: Graph, loop: Loop, found: Sweep, means: _Means) -> None:
    """Run a loop, or take its operators one by one where that is not possible."""
    made = None if means.loops is None else means.loops.forward(loop, found.forward)
    if made is None:
        for node in loop.nodes:
            _forward(graph, node, found, means)
        return
    found.forward.update(made)
    found.sampled.update(dict.fromkeys((node.index for node in loop.nodes), LOOP_ERROR))


def _call(graph: Graph, node: Node, found: Sweep, means: _Means) -> Call:
    return Call(
        node,
        tuple(found.forward.get(each.site) for each in node.operands),
        tuple(graph.sites[each.site].shape for each in node.operands),
        tuple(graph.sites[site].shape for site in node.outputs),
        tuple(partial(means.known, each.site) for each in node.operands),
    )


def _forward(graph: Graph, node: Node, found: Sweep, means: _Means) -> None:
    if not any(graph.sites[site].floating and graph.sites[site].size for site in node.outputs):
        _decide(graph, node, found, means)
        return
    if _fill(graph, node, found, means):
        return
    call = _call(graph, node, found, means)
    try:
        results = _results(node, call, means)
    except Unpredictable as reason:
        found.failed[node.index] = str(reason)
        return
    for site, result in zip(node.outputs, results, strict=False):
        if result is not None:
            found.forward[site] = result
            if words := undefined(result):
                found.failed[node.index] = words


def _decide(graph: Graph, node: Node, found: Sweep, means: _Means) -> None:
    """Take a comparison of signals as a signal: one where it holds, and zero."""
    operands = [found.forward.get(each.site) for each in node.operands]
    if node.op not in DECISIONS or (operands and all(each is None for each in operands)):
        return
    rule = means.rule(node)
    if rule is None or means.known(node.outputs[0]) is not None:
        return
    with suppress(Unpredictable):  # whatever reads it says that nothing is known of it
        result = rule.forward(_call(graph, node, found, means))
        if isinstance(result, Signal):
            found.forward[node.outputs[0]] = result


def _fill(graph: Graph, node: Node, found: Sweep, means: _Means) -> bool:
    """Take what follows from shapes and data alone as it is; values that hide logits are no signal."""
    values = {site: means.known(site) for site in node.outputs if graph.sites[site].floating}
    if any(each is None for each in values.values()):
        return False
    for site, each in values.items():
        if each is not None and np.all(np.isfinite(each)):
            found.forward[site] = given(each)
    return True


def _results(node: Node, call: Call, means: _Means) -> Sequence[Signal | None]:
    try:
        return _predicted(node, call, means)
    except Unpredictable as reason:
        first, fallback = reason, means.sampling(reason)
    try:
        unnamed = node.op not in RULES and node.op not in OPERATORS
        with followed("a sample"):
            return [fallback.mapped(call)] if unnamed and fallback.elementwise(call) else fallback.forward(call)
    except Unpredictable as second:
        raise _both(first, second) from second


def _both(first: Unpredictable, second: Unpredictable) -> Unpredictable:
    """Say why there is no rule for a call, and why it was not sampled; what is the same is said once."""
    return first if str(first) == str(second) else Unpredictable(f"{first}; {second}")


def _predicted(node: Node, call: Call, means: _Means) -> Sequence[Signal | None]:
    rule = means.rule(node)
    if rule is None and not means.pointwise(node):
        raise Unpredictable("its rule is switched off" if node.op in means.without else "no rule")
    with followed("its rule"):
        result = pointwise.forward(call) if rule is None else rule.forward(call)
    return [result] if isinstance(result, Signal) else result


def _backward(graph: Graph, found: Sweep, means: _Means) -> None:
    gradients: dict[int, Gradient] = {graph.loss: Gradient.fresh(Moments.constant((), 1.0))}  # type: ignore[dict-item]
    for node in reversed(graph.nodes):
        loop = means.loop(node)
        if loop is not None and means.loops is not None and means.loops.ran(loop):
            if node.index == loop.last:
                _back_around(graph, loop, found, gradients, means.loops)
            continue
        arrived = [gradients.pop(site, None) for site in node.outputs]
        for site, gradient in zip(node.outputs, arrived, strict=True):
            if gradient is not None:
                found.gradient[site] = gradient.moments
        if all(each is None for each in arrived) or node.op == "detach":
            continue
        call = _call(graph, node, found, means)
        try:
            passed = _passed(graph, node, call, found, arrived, means)
        except Unpredictable as reason:
            found.failed_backward[node.index] = str(reason)
            continue
        for site, gradient in passed:
            gradients[site] = gradients[site].plus(gradient) if site in gradients else gradient
    for site, gradient in gradients.items():
        found.gradient[site] = gradient.moments


def _back_around(graph: Graph, loop: Loop, found: Sweep, gradients: dict[int, Gradient], loops: Loops) -> None:
    """Send the gradients that arrived behind a loop back through its runs."""
    arrived = {site: gradients.pop(site).moments for site in loop.leaving if site in gradients}
    if not arrived:
        return
    for site, moments in loops.backward(loop, arrived).items():
        if site not in loop.entering:
            found.gradient[site] = moments
        elif graph.sites[site].differentiable:
            fresh = Gradient.fresh(moments)
            gradients[site] = gradients[site].plus(fresh) if site in gradients else fresh


def _passed(
    graph: Graph, node: Node, call: Call, found: Sweep, arrived: Sequence[Gradient | None], means: _Means
) -> list[tuple[int, Gradient]]:
    wanted = [graph.sites[each.site].differentiable or each.site in means.inside for each in node.operands]
    if not any(wanted):
        return []
    passed = _derived(node, call, found, arrived, means, wanted)
    crosses = means.inside.intersection((*node.outputs, *(each.site for each in node.operands)))
    if crosses and any(each.moments.rms == 0.0 for _, each in passed):
        raise Unpredictable("a backward of the program's own, for the derivative of what it computes is zero")
    return passed


def _derived(
    node: Node, call: Call, found: Sweep, arrived: Sequence[Gradient | None], means: _Means, wanted: Sequence[bool]
) -> list[tuple[int, Gradient]]:
    """Send a gradient through one operator: by its rule, by its slope, or by samples."""
    moments = [None if each is None else each.moments for each in arrived]
    try:
        rule = means.rule(node)
        if rule is None and (not means.pointwise(node) or arrived[0] is None):
            raise Unpredictable("no rule")
        with followed("its rule"):
            if rule is None:
                return _multiplied(node, wanted, call, arrived[0])  # type: ignore[arg-type]
            call = replace(call, divided=arrived[0].fan if arrived[0] is not None else math.inf)
            by_name = rule.backward(call, [found.forward.get(site) for site in node.outputs], moments)
            return _in_order(node, wanted, by_name)
    except Unpredictable as reason:
        first, fallback = reason, means.sampling(reason)
    try:
        unnamed = node.op not in RULES and node.op not in OPERATORS
        with followed("a sample"):
            if unnamed and arrived[0] is not None and fallback.elementwise(call):
                return [(node.operands[0].site, arrived[0].multiplied(fallback.slope(call)))]
            return _in_order(node, wanted, fallback.by_name(call, moments))
    except Unpredictable as second:
        raise _both(first, second) from second


def _multiplied(node: Node, wanted: Sequence[bool], call: Call, arrived: Gradient) -> list[tuple[int, Gradient]]:
    """Multiply the gradient of an elementwise operator with its derivatives."""
    return [
        (operand.site, _narrowed(arrived.multiplied(pointwise.slope(call, at)), call.shapes[at], call.outputs[0]))
        for at, (operand, want) in enumerate(zip(node.operands, wanted, strict=True))
        if want
    ]


def _in_order(node: Node, wanted: Sequence[bool], by_name: Gradients) -> list[tuple[int, Gradient]]:
    """Hand gradients by operand name to the sites of the operands."""
    seen: dict[str, int] = {}
    passed = []
    for operand, want in zip(node.operands, wanted, strict=True):
        at = seen.setdefault(operand.name, 0)
        seen[operand.name] += 1
        each = by_name.get(operand.name)
        if not want:
            continue
        if isinstance(each, Sloped):
            passed.append((operand.site, Gradient.fresh(each.gradient).multiplied(each.slope)))
            continue
        if isinstance(each, Divided):
            passed.append((operand.site, Gradient.fresh(each.gradient, each.fan)))
            continue
        moments = each if isinstance(each, Moments | None) else each[at]
        if moments is not None:
            passed.append((operand.site, Gradient.fresh(moments)))
    return passed


def _narrowed(gradient: Gradient, shape: tuple[int, ...], out: tuple[int, ...]) -> Gradient:
    """Sum over the dimensions along which an operand was repeated."""
    if shape == out:
        return gradient
    moments = gradient.moments
    extra = len(out) - len(shape)
    repeated = [extra + dim for dim, length in enumerate(shape) if length == 1 and out[extra + dim] != 1]
    return Gradient.fresh(moments.sum(repeated, keep=True).sum(range(extra)))

"""The backward sweep: gradients from the loss to the leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from justright.core.graph import Graph, Node
from justright.core.moments import Moments
from justright.ops.base import OPERATORS
from justright.ops.rule import RULES, Call, Divided, Gradients, Sloped, Unpredictable
from justright.propagation import pointwise
from justright.propagation.gradient import Gradient
from justright.propagation.loops import Loop, Loops
from justright.propagation.means import Means, Sweep, both, call_of
from justright.propagation.unexpected import followed

__all__ = ["backward"]


def backward(graph: Graph, found: Sweep, means: Means) -> None:
    """Send the gradient of the loss, which is one, back to every site that has one.

    Parameters
    ----------
    graph
        The graph.
    found
        What the forward sweep found; gradients are added.
    means
        What may be used beside the graph.
    """
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
        call = call_of(graph, node, found, means)
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
    graph: Graph, node: Node, call: Call, found: Sweep, arrived: Sequence[Gradient | None], means: Means
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
    node: Node, call: Call, found: Sweep, arrived: Sequence[Gradient | None], means: Means, wanted: Sequence[bool]
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
        raise both(first, second) from second


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

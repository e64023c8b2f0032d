"""Along which axis of every site the examples of a batch lie, followed through the graph from the model's first input.

A bare shape cannot tell: a batch of 32 sequences of 32 tokens has two such axes. The axis is followed through every
operation instead, also where a view folds it together with others; where an operation loses it or two operands
disagree, it is unknown from there on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from justright.core.graph import Graph, Node, Role, Site
from justright.core.vocabulary import Kind

__all__ = ["ExampleAxis", "example_axes"]


class ExampleAxis(NamedTuple):
    """Where the examples lie in one tensor.

    Parameters
    ----------
    axis
        The axis of the tensor.
    outer, inner
        How much of what comes before and after the examples is folded into it: its length is
        ``outer * examples * inner``.
    """

    axis: int
    outer: int = 1
    inner: int = 1


Axes = list[ExampleAxis | None]
Shape = tuple[int, ...]


def example_axes(graph: Graph) -> tuple[int, Axes]:
    """Return the number of examples, and for every site where they lie; `None` where that is unknown.

    The examples lie along the first axis of the model's first input, and of every other input of that length. The
    number is 0 if there is no batch to compare.
    """
    inputs = [site for site in graph.sites if site.role is Role.INPUT and not site.name.startswith("target")]
    examples = next((site.shape[0] for site in inputs if site.shape), 0)
    axes: Axes = [None] * len(graph.sites)
    if examples < 2 or not _one_target_each(graph, examples):  # noqa: PLR2004  two can be compared
        return 0, axes
    for site in inputs:
        axes[site.index] = ExampleAxis(0) if site.shape[:1] == (examples,) else None
    for node in graph.nodes:
        for output in node.outputs:
            axes[output] = _after(graph, node, axes, graph.sites[output], examples)
    return examples, axes


def _one_target_each(graph: Graph, examples: int) -> bool:
    """Say whether the target, if there is one, is as long as the batch, or flattened from it."""
    targets = [site.shape for site in graph.sites if site.name.startswith("target") and site.shape]
    return all(shape[0] % examples == 0 for shape in targets)


def _after(graph: Graph, node: Node, axes: Axes, output: Site, examples: int) -> ExampleAxis | None:
    rule = RULES.get(node.kind)
    known = [(graph.sites[each.site].shape, axis) for each in node.operands if (axis := axes[each.site]) is not None]
    if rule is None or not known:
        return None
    return rule(graph, node, known, axes, output.shape, examples)


Known = Sequence[tuple[Shape, ExampleAxis]]
Rule = Callable[[Graph, Node, Known, Axes, Shape, int], "ExampleAxis | None"]


def _agreed(found: Sequence[ExampleAxis | None]) -> ExampleAxis | None:
    """Return the one answer that all operands give."""
    different = set(found)
    return different.pop() if len(different) == 1 else None


def _kept(_graph: Graph, _node: Node, known: Known, _axes: Axes, made: Shape, _examples: int) -> ExampleAxis | None:
    """Keep the axis of the first operand, if the output has one of that length in that place."""
    shape, axis = known[0]
    same = len(made) == len(shape) and made[axis.axis] == shape[axis.axis]
    return axis if same else None


def _aligned(_graph: Graph, _node: Node, known: Known, _axes: Axes, made: Shape, _examples: int) -> ExampleAxis | None:
    """Broadcast: axes are counted from the right, and all operands that have examples must agree."""
    found: list[ExampleAxis | None] = []
    for shape, axis in known:
        place = axis.axis + len(made) - len(shape)
        found.append(axis._replace(axis=place) if made[place] == shape[axis.axis] else None)
    return _agreed(found)


def _viewed(_graph: Graph, node: Node, known: Known, _axes: Axes, made: Shape, examples: int) -> ExampleAxis | None:
    shape, axis = known[0]
    if node.op in {"permute", "transpose"}:
        return axis._replace(axis=_order(node, len(shape)).index(axis.axis))
    return axis if made == shape else _regrouped(shape, axis, made, examples)


def _order(node: Node, axes: int) -> list[int]:
    """For every axis after a permutation, the axis that it was."""
    if node.op == "permute":
        return [int(axis) % axes for axis in node.attributes["dims"]]
    order = list(range(axes))
    first, second = int(node.attributes.get("dim0", 0)) % axes, int(node.attributes.get("dim1", 1)) % axes
    order[first], order[second] = order[second], order[first]
    return order


def _regrouped(shape: Shape, axis: ExampleAxis, made: Shape, examples: int) -> ExampleAxis | None:
    """Find the axis that holds all examples after the elements, in their order, were given another shape."""
    before = math.prod(shape[: axis.axis]) * axis.outer
    after = axis.inner * math.prod(shape[axis.axis + 1 :])
    for place, length in enumerate(made):
        left, right = math.prod(made[:place]), math.prod(made[place + 1 :])
        if before % left == 0 and after % right == 0 and length == before // left * examples * (after // right):
            return ExampleAxis(place, before // left, after // right)
    return None


def _selected(graph: Graph, node: Node, known: Known, axes: Axes, made: Shape, examples: int) -> ExampleAxis | None:
    if node.op in {"expand", "repeat"}:
        return _aligned(graph, node, known, axes, made, examples)
    if node.op in {"select", "unbind"}:
        return _without(known[0], [int(node.attributes.get("dim", 0))])
    if node.op == "index":
        return _picked(graph, node, axes, made, examples)
    return _kept(graph, node, known, axes, made, examples)


def _picked(graph: Graph, node: Node, axes: Axes, made: Shape, examples: int) -> ExampleAxis | None:
    """Follow ``x[torch.arange(n), positions]``, where the positions of the examples' own choice were found."""
    indices = [each.site for each in node.operands[1:]]
    own = any(axes[site] == ExampleAxis(0) and len(graph.sites[site].shape) == 1 for site in indices)
    return ExampleAxis(0) if own and made[:1] == (examples,) and axes[node.operands[0].site] else None


def _without(one: tuple[Shape, ExampleAxis], dims: Sequence[int]) -> ExampleAxis | None:
    """Return the axis after others were taken away."""
    shape, axis = one
    gone = {dim % len(shape) for dim in dims}
    return None if axis.axis in gone else axis._replace(axis=axis.axis - sum(dim < axis.axis for dim in gone))


def _reduced(_graph: Graph, node: Node, known: Known, _axes: Axes, made: Shape, _examples: int) -> ExampleAxis | None:
    shape, axis = known[0]
    dims = _dims(node.attributes.get("dim"))
    if len(made) < len(shape):
        return _without(known[0], dims) if dims else None
    return axis if made[axis.axis] == shape[axis.axis] else None


def _dims(value: Any) -> list[int]:  # noqa: ANN401  an attribute is any plain data
    return [int(each) for each in value] if isinstance(value, tuple) else [] if value is None else [int(value)]


def _joined(graph: Graph, node: Node, known: Known, axes: Axes, made: Shape, examples: int) -> ExampleAxis | None:
    if node.op not in {"concatenate", "stack"}:
        return _kept(graph, node, known, axes, made, examples)
    dim = int(node.attributes.get("dim", 0)) % len(made)
    found = _agreed([axis for shape, axis in known if len(shape) + (node.op == "stack") == len(made)])
    if found is None or (node.op == "concatenate" and found.axis == dim):
        return None
    return found._replace(axis=found.axis + 1) if node.op == "stack" and dim <= found.axis else found


def _contracted(graph: Graph, node: Node, _known: Known, axes: Axes, made: Shape, _ex: int) -> ExampleAxis | None:
    """Rows of the first factor, then columns of the second; the axis that is summed over is gone."""
    if node.op.endswith("convolution"):
        axis = axes[node.operands[0].site]
        return axis if axis is not None and axis.axis == 0 else None
    if node.op not in {"linear", "matmul", "batched_matmul", "batched_linear", "grouped_matmul", "distance"}:
        return None
    first, second = (each.site for each in node.operands[-2:])
    left, right = axes[first], axes[second]
    if left is not None and left.axis < len(graph.sites[first].shape) - 1:
        return left
    if right is None:
        return None
    if right.axis == len(graph.sites[second].shape) - 2:
        return _neighbours(graph.sites[first].shape, right, made)
    return right if right.axis < len(made) and made[right.axis] == graph.sites[second].shape[right.axis] else None


def _neighbours(shape: Shape, summed: ExampleAxis, made: Shape) -> ExampleAxis | None:
    """Follow a square matrix that mixes the examples among themselves, as the adjacency of a graph's nodes does."""
    square = shape[-1] == shape[-2] and summed.outer == summed.inner == 1
    return ExampleAxis(len(made) - 2) if square else None


def _looked_up(_graph: Graph, node: Node, _known: Known, axes: Axes, _made: Shape, _ex: int) -> ExampleAxis | None:
    indices = node.operand("indices")
    return axes[indices] if node.op == "embedding" and indices is not None else None


RULES: dict[Kind, Rule] = {
    Kind.VIEW: _viewed,
    Kind.CAST: _kept,
    Kind.POINTWISE: _aligned,
    Kind.SELECTION: _selected,
    Kind.JOIN: _joined,
    Kind.REDUCTION: _reduced,
    Kind.SCAN: _kept,
    Kind.NORMALIZATION: _kept,
    Kind.SOFTMAX: _kept,
    Kind.POOLING: _kept,
    Kind.LOOKUP: _looked_up,
    Kind.CONTRACTION: _contracted,
    Kind.ROUTING: _aligned,
    Kind.RANDOM: _kept,
    Kind.UPDATE: _kept,
}
"""How each kind of operator hands the axis on; kinds that are not here lose it."""

"""The layout of a parameter, read from how the traced graph uses it."""

from __future__ import annotations

from dataclasses import replace

from justright.core.graph import Graph, Node, Parameter, ParameterUse
from justright.core.layout import Kind, WeightLayout
from justright.core.vocabulary import Kind as Operators

__all__ = ["parameter_layout", "readings", "weight_layout"]

Axes = tuple[tuple[int, ...], ...]
"""For each axis that is seen, the axes of the parameter."""


def parameter_layout(graph: Graph, parameter: Parameter) -> WeightLayout | None:
    """Read the layout of a parameter of any kind from its uses: a weight, a table, a factor or a bias.

    Returns
    -------
    WeightLayout or None
        ``None`` when a use cannot be read, or two uses disagree.
    """
    found = readings(graph, parameter)
    return found[0] if len(found) == 1 else None


def readings(graph: Graph, parameter: Parameter) -> tuple[WeightLayout | None, ...]:
    """Return the different layouts that the uses of a parameter give it, in their order; ``None`` for one not read.

    A weight whose outputs are split right behind it, as queries, keys and values, is packed of so many parts.
    """
    found = (
        _packed(graph, use, _from_use(graph, parameter, use)) or _plain(graph, parameter, use) for use in parameter.uses
    )
    return tuple(dict.fromkeys(found))


def _packed(graph: Graph, use: ParameterUse, layout: WeightLayout | None) -> WeightLayout | None:
    """Add the parts of a matrix that the graph splits along its outputs."""
    if layout is None or layout.spatial or layout.copies:
        return layout
    site = graph.nodes[use.node].outputs[0]
    while len(readers := graph.consumers[site]) == 1:
        node = graph.nodes[readers[0]]
        if node.op in {"split", "chunk"} and _last(graph, node):
            sizes = tuple(graph.sites[output].shape[-1] for output in node.outputs)
            whole = len(layout.outputs) == 1 and sum(sizes) == layout.shape[layout.outputs[0]] and len(sizes) > 1
            return replace(layout, parts=sizes) if whole else layout
        kept = graph.sites[node.outputs[0]].shape[-1:] == graph.sites[site].shape[-1:]
        if node.op not in {"add", "view", "clone"} or not kept:
            return layout
        site = node.outputs[0]
    return layout


def _last(graph: Graph, node: Node) -> bool:
    """Say whether a node splits the last axis."""
    before, after = graph.sites[node.operands[0].site].shape, graph.sites[node.outputs[0]].shape
    return before[:-1] == after[:-1] and before[-1] != after[-1]


def _plain(graph: Graph, parameter: Parameter, use: ParameterUse) -> WeightLayout | None:
    """Read a use that sums over no inputs."""
    node, shape = graph.nodes[use.node], graph.sites[parameter.site].shape
    every = tuple(range(len(shape)))
    if node.kind is Operators.LOOKUP and len(shape) == len("ni"):
        return WeightLayout.embedding(shape)
    if use.operand == "bias" or node.op in {"add", "subtract"}:
        return WeightLayout(shape, every, kind=Kind.SHIFT)
    if (node.kind is Operators.NORMALIZATION and use.operand == "weight") or node.op == "multiply":
        return WeightLayout(shape, every, kind=Kind.SCALE)
    return None


def weight_layout(graph: Graph, parameter: Parameter) -> WeightLayout | None:
    """Read the layout of a matrix or a kernel whose units lie along one axis, from its uses.

    Returns
    -------
    WeightLayout or None
        ``None`` when no use is a contraction this function can read, or when two uses disagree (a matrix tied as
        embedding and output head has two layouts); nothing is guessed.
    """
    found = {_from_use(graph, parameter, use) for use in parameter.uses}
    found = {each for each in found if each is not None and not each.copies and len(each.outputs) == 1}
    return found.pop() if len(found) == 1 else None


def _from_use(graph: Graph, parameter: Parameter, use: ParameterUse) -> WeightLayout | None:
    node = graph.nodes[use.node]
    axes = _stored_axes(graph, parameter, node, use.operand)
    seen = _seen_axes(node, use.operand)
    if axes is None or seen is None or max(seen) >= len(axes):
        return None
    outputs, inputs = axes[seen[0]], axes[seen[1]]
    if not outputs or not inputs:
        return None
    shape = graph.sites[parameter.site].shape
    stacked = node.op in {"batched_matmul", "batched_linear"}
    copies = axes[0] if stacked else ()
    spatial = () if stacked else tuple(axis for seen_axis in axes[2:] for axis in seen_axis)
    steps = node.attributes.get("stride", ()) if spatial else ()
    stride = tuple(int(step) for step in (steps if isinstance(steps, list | tuple) else (steps,) * len(spatial)))
    return WeightLayout(
        shape,
        outputs,
        inputs,
        spatial,
        copies,
        groups=int(node.attributes.get("groups", 1)),
        stride=() if all(step == 1 for step in stride) else stride * (len(spatial) // len(stride)),
        transposed=node.op == "transposed_convolution",
    )


def _seen_axes(node: Node, operand: str) -> tuple[int, int] | None:
    """Output and input axis of the operand as the operator sees it."""
    if node.op in {"matmul", "linear"}:
        return {"mat2": (1, 0), "weight": (0, 1), "mat1": (0, 1), "self": (0, 1), "input": (0, 1)}.get(operand)
    if node.op in {"batched_matmul", "batched_linear"}:
        return {"mat2": (2, 1), "batch2": (2, 1), "self": (1, 2), "input": (1, 2), "batch1": (1, 2)}.get(operand)
    if operand == "weight":
        return {"convolution": (0, 1), "transposed_convolution": (1, 0)}.get(node.op)
    return None


def _stored_axes(graph: Graph, parameter: Parameter, node: Node, operand: str) -> Axes | None:
    """For each axis that the operator sees, the axes of the parameter that it is: none if put in, several if merged.

    ``None`` past any other reshape.
    """
    site = node.operand(operand)
    chain: list[Node] = []
    while site is not None and site != parameter.site:
        producer = graph.producer(site)
        if producer is None:
            return None
        chain.append(producer)
        site = producer.operands[0].site
    axes: Axes = tuple((axis,) for axis in range(len(graph.sites[parameter.site].shape)))
    for view in reversed(chain):
        moved = _moved(view, axes) or _refitted(graph, view, axes)
        if moved is None:
            return None
        axes = moved
    return axes


def _moved(view: Node, axes: Axes) -> Axes | None:
    if view.op in {"clone", "detach", "alias", "cast"}:
        return axes
    if view.op == "permute":
        order = [int(axis) for axis in view.attributes["dims"]]
        return tuple(axes[axis] for axis in order)
    if view.op == "transpose":
        first = int(view.attributes.get("dim0", 0))
        second = int(view.attributes.get("dim1", 1))
        swapped = list(axes)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        return tuple(swapped)
    return None


def _refitted(graph: Graph, view: Node, axes: Axes) -> Axes | None:
    """Follow axes through a view that puts in or leaves out axes of length one, or merges neighbours."""
    if view.op not in {"view", "unsqueeze", "squeeze"}:
        return None
    before, after = graph.sites[view.operands[0].site].shape, graph.sites[view.outputs[0]].shape
    left = [(axis, size) for axis, size in zip(axes, before, strict=True) if size != 1]
    fitted: list[tuple[int, ...]] = []
    for size in after:
        merged: tuple[int, ...] = ()
        length = 1
        while length < size and left:
            axis, each = left.pop(0)
            merged, length = (*merged, *axis), length * each
        if length != size:
            return None
        fitted.append(merged)
    return None if left else tuple(fitted)

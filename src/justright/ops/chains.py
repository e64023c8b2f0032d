"""The nonlinearities of a graph, whether called by name or written out of smaller operators.

A chain is a region of pointwise operators fed by one tensor, so that it is a function of one number: `relu`, GELU
written as eight products, sums and a tanh, ``x * sigmoid(1.702 * x)``, ``50 * tanh(x / 50)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from justright.core.graph import Graph, Node
from justright.ops.base import OPERATORS, Array, Pointwise
from justright.ops.regions import IDENTITIES, regions
from justright.ops.search import changes, grid

__all__ = ["Chain", "chains"]

WIDTH: Final = 80
"""Characters of an expression before its inner parts are left out."""


class _Step(NamedTuple):
    """A node ready to be computed; an identity has no entry."""

    entry: Pointwise | None
    operands: tuple[tuple[str, int], ...]
    attributes: Mapping[str, Any]
    output: int


@dataclass(frozen=True)
class Chain:
    """A function of one number that a graph applies to every element of a tensor.

    Parameters
    ----------
    source
        Site that feeds it.
    output
        Site of its value.
    nodes
        Its operators in execution order.

    Examples
    --------
    >>> from justright.core.graph import GraphBuilder, Role
    >>> builder = GraphBuilder()
    >>> x = builder.leaf("input.0", (4,), "float32", Role.INPUT)
    >>> spec = [((4,), "float32", True)]
    >>> (s,) = builder.node("multiply", "mul", [("input", x)], spec, attributes={"other": 1.702})
    >>> (s,) = builder.node("sigmoid", "sigmoid", [("input", s)], spec)
    >>> y = builder.node("multiply", "mul", [("input", x), ("other", s)], spec)
    >>> (chain,) = chains(builder.finish(outputs=y))
    >>> chain.expression
    'multiply(x, sigmoid(multiply(x, 1.702)))'
    >>> chain(np.array([0.0, 100.0])), chain.derivative(np.array([0.0, 100.0]))
    (array([  0., 100.]), array([0.5, 1. ]))
    """

    source: int
    output: int
    nodes: tuple[Node, ...]

    @cached_property
    def _steps(self) -> tuple[_Step, ...]:
        return tuple(
            _Step(
                None if node.op in IDENTITIES else OPERATORS[node.op],
                tuple((operand.name, operand.site) for operand in node.operands),
                node.attributes,
                node.outputs[0],
            )
            for node in self.nodes
        )

    def __call__(self, x: Array) -> Array:
        """Return the value at each element of `x`."""
        values = {self.source: np.asarray(x, dtype=np.float64)}
        for step, arguments in self._walk(values):
            values[step.output] = _value(step, arguments)
        return np.broadcast_to(values[self.output], np.shape(x))

    def derivative(self, x: Array) -> Array:
        """Return the derivative at each element of `x`, by the chain rule in forward mode.

        It is the derivative of the function itself, also where the graph detaches a tensor from the gradient.
        """
        x = np.asarray(x, dtype=np.float64)
        values, slopes = {self.source: x}, {self.source: np.ones_like(x)}
        for step, arguments in self._walk(values):
            values[step.output] = _value(step, arguments)
            slopes[step.output] = _slope(step, arguments, slopes)
        return np.broadcast_to(slopes[self.output], x.shape)

    def kinks(self) -> tuple[float, ...]:
        """Return the inputs at which one of its operators meets a kink, ascending.

        An operator's kink counts wherever its own ``input`` arrives there, also if what follows smooths it.
        """
        _, above, _ = changes(self._sides, grid())
        return _distinct(above)

    def _sides(self, x: Array) -> NDArray[np.int8]:
        """Say for every operator's every kink whether its input is below it (-1), on it, above it, or NaN (2)."""
        values = {self.source: x}
        sides = []
        for step, arguments in self._walk(values):
            values[step.output] = _value(step, arguments)
            if step.entry and any(name == "input" for name, _ in step.operands):
                others = {name: value for name, value in arguments.items() if name != "input"}
                sides += [np.sign(arguments["input"] - kink) for kink in step.entry.kinks(**others)]
        rows = [np.nan_to_num(np.broadcast_to(side, x.shape), nan=2.0) for side in sides]
        return np.array(rows, dtype=np.int8).reshape(len(rows), x.size)

    def _walk(self, values: Mapping[int, Array]) -> Iterator[tuple[_Step, dict[str, Any]]]:
        """Yield every step with its arguments, taken from values that the caller fills in as it goes."""
        for step in self._steps:
            yield step, {**step.attributes, **{name: values[site] for name, site in step.operands}}

    @property
    def nonlinear(self) -> bool:
        """Whether any of its operators is not affine."""
        return any(step.entry is not None and not _affine(step) for step in self._steps)

    @property
    def expression(self) -> str:
        """Its formula in canonical names, with inner parts left out where it is long."""
        producers = {step.output: step for step in self._steps}
        depth, shown = 1, ""
        while True:
            longer = _formula(self.output, producers, depth)
            if shown and (len(longer) > WIDTH or longer == shown):
                return shown
            shown, depth = longer, depth + 1


def chains(graph: Graph) -> tuple[Chain, ...]:
    """Return every nonlinearity of a graph.

    A chain starts at a tensor that is not itself a function of one earlier tensor, and ends where its value is read
    by anything else, or is an output of the graph, or is not read at all. Its other operands are numbers: a product
    of two tensors ends it, and so does an operator without an entry in `OPERATORS`. Chains of affine operators are
    left out, and so are those fed by constants and buffers.

    Parameters
    ----------
    graph
        Any traced graph.

    Returns
    -------
    tuple of Chain
        By output, in execution order.
    """
    found = (Chain(*region) for region in regions(graph))
    return tuple(chain for chain in found if chain.nonlinear)


def _value(step: _Step, arguments: Mapping[str, Any]) -> Array:
    return step.entry.phi(**arguments) if step.entry else arguments[step.operands[0][0]]


def _slope(step: _Step, arguments: Mapping[str, Any], slopes: Mapping[int, Array]) -> Array:
    if step.entry is None:
        return slopes[step.operands[0][1]]
    with np.errstate(all="ignore"):
        terms = [step.entry.partials[name](**arguments) * slopes[site] for name, site in step.operands]
        return np.asarray(sum(terms))


def _affine(step: _Step) -> bool:
    return step.entry is not None and step.entry.is_affine(
        frozenset(name for name, _ in step.operands), step.attributes
    )


def _distinct(points: Array) -> tuple[float, ...]:
    """Sort, and keep one of each group of neighbours that differ by rounding alone."""
    ordered = np.unique(points)
    gaps = np.diff(ordered, prepend=-np.inf)
    return tuple(float(point) for point in ordered[gaps > 1e-12 * np.maximum(1.0, np.abs(ordered))])


def _formula(site: int, producers: Mapping[int, _Step], depth: int) -> str:
    step = producers.get(site)
    while step is not None and step.entry is None:
        site = step.operands[0][1]
        step = producers.get(site)
    if step is None or step.entry is None:
        return "x"
    if depth == 0:
        return "…"
    operands = {name: _formula(each, producers, depth - 1) for name, each in step.operands}
    shown = (_argument(name, default, operands, step) for name, default in step.entry.defaults.items())
    return f"{step.entry.name}({', '.join(text for text in shown if text)})"


def _argument(name: str, default: Any, operands: Mapping[str, str], step: _Step) -> str:
    """Show one argument; an attribute that has its default, or is not given, is not shown."""
    if name in operands:
        return operands[name]
    value = step.attributes.get(name, default)
    if value == default:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if step.entry and name in step.entry.required else f"{name}={text}"

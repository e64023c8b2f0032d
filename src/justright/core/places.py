"""The place of every parameter, read from the traced graph: its activation, its depth, its residual branch.

A residual branch is what lies between a fork of the signal and the sum that brings both ways together again: one way
is the stream, which passes at most one layer (a projection where the width changes), the other one is the branch. A
weight with several uses, such as a recurrent one, begins no branch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from justright.core.depth import Layer, layers
from justright.core.graph import Graph, Node, Parameter, Role
from justright.core.place import Place
from justright.core.vocabulary import Kind

__all__ = ["places"]

ACTIVATIONS: Final = frozenset({
    "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus",
    "softshrink", "hardshrink", "tanhshrink", "softsign", "hardtanh", "hardsigmoid", "hardswish", "threshold",
    "tanh", "sigmoid", "log_sigmoid", "sin", "cos", "erf", "glu",
})  # fmt: skip
"""Operators that are the nonlinearity of a layer."""

PASSING: Final = frozenset({Kind.VIEW, Kind.CAST, Kind.NORMALIZATION, Kind.POOLING})
ENDING: Final = frozenset({Kind.CONTRACTION, Kind.SOFTMAX, Kind.LOSS, Kind.REDUCTION})
ASIDE: Final = frozenset({Kind.ROUTING, Kind.RANDOM, Kind.SOURCE})
"""What reads a signal without passing it on: only its shape, or its order."""

SHIFTING: Final = frozenset({"add", "subtract", "multiply", "divide"})


def places(graph: Graph) -> Mapping[str, Place]:
    """Return the place of every parameter that the graph uses, by its name; what is not known stays ``None``.

    Parameters
    ----------
    graph
        A traced graph.

    Examples
    --------
    >>> from justright.core.graph import GraphBuilder, Parameter, Role
    >>> builder = GraphBuilder()
    >>> x = builder.leaf("input.0", (8, 4), "float32", Role.INPUT)
    >>> w = builder.leaf("weight", (4, 4), "float32", Role.PARAMETER, differentiable=True)
    >>> y = builder.node("linear", "linear", [("input", x), ("weight", w)], [((8, 4), "float32", True)])
    >>> z = builder.node("relu", "relu", [("input", y[0])], [((8, 4), "float32", True)])
    >>> places(builder.finish(outputs=z, parameters=[Parameter("weight", w)]))["weight"].activation
    'relu'
    """
    return _Reader(graph).places()


@dataclass(frozen=True)
class _Branch:
    """What lies between a fork and a sum: its sites as bits, and its layers by level, counted from the fork."""

    inside: int
    levels: Mapping[Layer, int]


class _Reader:
    """Reads one graph; sets of sites are integers with a bit for each."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers = layers(graph)
        self.deepest = max((layer.depth for layer in self.layers), default=0)

    def places(self) -> Mapping[str, Place]:
        """Return all places: those of parameters in general, and over these those of layers."""
        found = {each.name: self._of_use(each) for each in self.graph.parameters if each.uses}
        for layer in self.layers:
            for name in self._names(layer):
                found[name] = self._of_layer(layer, found.get(name, Place()))
        return MappingProxyType(found)

    @cached_property
    def before(self) -> list[int]:
        """For every site, itself and all that it was computed from."""
        masks = [1 << site.index for site in self.graph.sites]
        for node in self.graph.nodes:
            seen = 0
            for operand in node.operands:
                seen |= masks[operand.site]
            for output in node.outputs:
                masks[output] |= seen
        return masks

    @cached_property
    def varying(self) -> list[bool]:
        """For every site, whether it depends on the input."""
        varies = [site.role is Role.INPUT for site in self.graph.sites]
        for node in self.graph.nodes:
            if node.kind not in ASIDE and any(varies[operand.site] for operand in node.operands):
                for output in node.outputs:
                    varies[output] = True
        return varies

    @cached_property
    def branches(self) -> list[_Branch]:
        """Residual branches with at least one layer of their own, in the order of their sums."""
        found = [branch for node in self.graph.nodes if (branch := self._branch(node)) is not None]
        owners: dict[Layer, _Branch] = {}
        for branch in sorted(found, key=lambda each: len(each.levels)):  # of nested ones the innermost
            for layer in branch.levels:
                owners.setdefault(layer, branch)
        kept = [replace(b, levels={x: level for x, level in b.levels.items() if owners[x] is b}) for b in found]
        return [branch for branch in kept if branch.levels]

    def _branch(self, node: Node) -> _Branch | None:
        signals = [operand.site for operand in node.operands if self.varying[operand.site]]
        if node.op != "add" or len(signals) != 2 or signals[0] == signals[1]:  # noqa: PLR2004  a sum of two
            return None
        if self.graph.sites[signals[0]].shape != self.graph.sites[signals[1]].shape:
            return None
        fork = self._fork(*signals)
        ways = [self._between(fork, end) for end in signals] if fork is not None else []
        ways.sort(key=lambda each: len(each.levels))
        if not ways or len(ways[0].levels) > 1 or len(ways[0].levels) >= len(ways[1].levels):
            return None
        return ways[1]

    def _fork(self, one: int, other: int) -> int | None:
        """Return the last varying floating-point site that both sites come from."""
        common = self.before[one] & self.before[other]
        while common:
            last = common.bit_length() - 1
            if self.varying[last] and self.graph.sites[last].floating:
                return last
            common ^= 1 << last
        return None

    def _between(self, fork: int, end: int) -> _Branch:
        inside = self.before[end] & ~self.before[fork]
        member = [
            layer for layer in self.layers
            if len(layer.nodes) == 1 and inside >> layer.outputs[0] & 1 and self.before[layer.outputs[0]] >> fork & 1
        ]  # fmt: skip
        depths = sorted({layer.depth for layer in member})
        return _Branch(inside, {layer: depths.index(layer.depth) for layer in member})

    def _names(self, layer: Layer) -> list[str]:
        """Return the names of the layer's weight and of the bias that its own operator adds."""
        known = self.graph.parameter_sites
        sites = list(layer.weights)
        for index in layer.nodes[:1]:
            for operand in self.graph.nodes[index].operands:
                sites += [root for root in self.graph.parameter_only[operand.site] if root not in layer.weights]
        return [known[site].name for site in dict.fromkeys(sites) if site in known]

    def _of_use(self, parameter: Parameter) -> Place:
        """Return what the first use of a parameter tells: a table that rows are looked up in, or a branch."""
        node = self.graph.nodes[parameter.uses[0].node]
        role = "embedding" if node.kind is Kind.LOOKUP else "normalization" if node.kind is Kind.NORMALIZATION else None
        place = Place(role=role, branches=len(self.branches), ends_branch=False)
        for index, branch in enumerate(self.branches):
            if node.outputs and branch.inside >> node.outputs[0] & 1:
                place = replace(place, branch=index, ends_branch=self._ends(branch, node.outputs[0]))
        return place

    def _of_layer(self, layer: Layer, place: Place) -> Place:
        activation = self._activation(layer.outputs[0], {}) if layer.outputs else None
        role = "hidden" if layer.hidden else "output"
        if len(layer.nodes) > 1:
            role = "recurrent"
        elif layer.hidden and layer.depth == 1:
            role = "input"
        place = replace(
            place, role=place.role or role, depth=layer.depth - 1, layers=self.deepest, branch=None, ends_branch=False,
            activation=None if activation is None else activation[0],
            attributes=MappingProxyType({} if activation is None else activation[1]), dropout=self._dropout(layer),
        )  # fmt: skip
        for index, branch in enumerate(self.branches):
            if layer in branch.levels:
                ends = self._ends(branch, layer.outputs[0])
                levels = max(branch.levels.values()) + 1
                place = replace(
                    place, branch=index, in_branch=branch.levels[layer], branch_layers=levels, ends_branch=ends
                )
        return place

    def _dropout(self, layer: Layer) -> float | None:
        """Return the rate of the dropout right before a layer, zero if there is none."""
        operands = self.graph.nodes[layer.nodes[0]].operands
        site = next((operand.site for operand in operands if self.varying[operand.site]), None)
        while site is not None and (node := self.graph.producer(site)) is not None:
            if node.op == "dropout":
                return float(node.attributes["p"]) if "p" in node.attributes else None
            if node.op == "multiply" and (mask := self._mask(node)) is not None:
                return mask
            if node.kind not in PASSING:
                break
            site = node.operands[0].site
        return 0.0

    def _mask(self, node: Node) -> float | None:
        """Return the share of zeros of a random factor."""
        for operand in node.operands:
            made = self.graph.producer(operand.site)
            while made is not None and made.kind is Kind.POINTWISE and not self.varying[made.outputs[0]]:
                made = self.graph.producer(made.operands[0].site)
            if made is not None and made.op == "random_bernoulli" and "p" in made.attributes:
                return 1.0 - float(made.attributes["p"])
        return None

    def _ends(self, branch: _Branch, site: int) -> bool:
        """Say whether no other layer of a branch comes after a site."""
        return not any(self.before[layer.outputs[0]] >> site & 1 for layer in branch.levels if layer.outputs[0] != site)

    def _activation(self, site: int, seen: dict[int, Any]) -> tuple[str, dict[str, Any]] | None:
        """Return the nonlinearity that a site passes next with its attributes, ``"linear"`` if none; else ``None``."""
        if site not in seen:
            readers = [self.graph.nodes[index] for index in self.graph.consumers[site]]
            found = [self._through(node, seen) for node in readers if node.kind not in ASIDE]
            alike = bool(found) and all(each == found[0] for each in found)
            seen[site] = (found[0] if alike else None) if readers else ("linear", {})
        return seen[site]  # type: ignore[no-any-return]

    def _through(self, node: Node, seen: dict[int, Any]) -> tuple[str, dict[str, Any]] | None:
        if node.op in ACTIVATIONS:
            return node.op, {k: v for k, v in node.attributes.items() if isinstance(v, float | str)}
        signals = sum(self.varying[operand.site] for operand in node.operands)
        if node.kind in ENDING or (node.op == "add" and signals > 1):
            return "linear", {}
        if node.kind in PASSING or node.op == "dropout" or (node.op in SHIFTING and signals == 1):
            return self._activation(node.outputs[0], seen) if node.outputs else None
        return None

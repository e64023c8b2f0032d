"""The operator graph: immutable, framework-neutral, one node a tensor operation.

A `Site` is one tensor, a `Node` one operation with named operands. Every adapter makes the same graph out of its
framework's model, and everything above reads only this.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

from justright.core.vocabulary import Kind, kind_of

__all__ = [
    "NEVER_FILLED",
    "Graph",
    "GraphBuilder",
    "Initializer",
    "Node",
    "Operand",
    "Parameter",
    "ParameterUse",
    "Role",
    "Site",
]

FLOATING = ("float", "bfloat", "complex")
"""Prefixes of the dtype names whose values are signals."""

NEVER_FILLED = "empty"
"""Name of the initializer of a parameter that was made without values and that no call has written to since."""

TRANSPARENT = (Kind.VIEW, Kind.CAST)
"""Kinds that hand on every element unchanged."""


class Role(Enum):
    """Where a tensor comes from."""

    INPUT = "input"
    PARAMETER = "parameter"
    BUFFER = "buffer"
    CONSTANT = "constant"
    ACTIVATION = "activation"


@dataclass(frozen=True, slots=True)
class Site:
    """One tensor of the graph.

    Parameters
    ----------
    index
        Position in `Graph.sites`.
    name
        Unique and stable: ``"blocks.3.attn/softmax"``, ``"fc.weight"``, ``"input.0"``.
    shape, dtype
        Sizes and dtype name (``"float32"``).
    role
        Where it comes from.
    node
        Index of the node that made it; ``None`` for leaves.
    differentiable
        Whether the framework would carry a gradient through it.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    role: Role
    node: int | None = None
    differentiable: bool = False

    @property
    def floating(self) -> bool:
        """Whether its values are a signal: floating-point or complex."""
        return self.dtype.startswith(FLOATING)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that a node reads: under which argument name, at which site."""

    name: str
    site: int


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Parameters
    ----------
    index
        Position in `Graph.nodes`, which is an execution order.
    op
        Canonical name, or the native one where there is none.
    native
        What the framework calls it: ``"aten.addmm.default"``.
    operands
        Tensors read, by argument name; a list argument gives several operands of one name.
    attributes
        Arguments that are no tensors.
    outputs
        Sites written.
    module, module_type
        Path and class of the innermost module whose forward was running.
    source
        The user's source line, ``"model.py:41"``; empty where unknown.
    call
        Number of the native call in the order the framework made them; -1 for a node the tracer inserted.
    """

    index: int
    op: str
    native: str
    operands: tuple[Operand, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[int, ...]
    module: str = ""
    module_type: str = ""
    source: str = ""
    call: int = -1

    @property
    def kind(self) -> Kind:
        """Kind of the operator."""
        return kind_of(self.op)

    def operand(self, name: str) -> int | None:
        """Site of the first operand of this name, ``None`` if there is none."""
        return next((operand.site for operand in self.operands if operand.name == name), None)


@dataclass(frozen=True, slots=True)
class Initializer:
    """How a parameter got its first values, as recorded while the model was built.

    Parameters
    ----------
    name
        Scheme, e.g. ``"normal"``, ``"kaiming_uniform"``.
    arguments
        Its arguments, e.g. ``{"std": 0.02}``.
    source
        Line that called it.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class ParameterUse:
    """One use of a parameter.

    Parameters
    ----------
    node
        Node that reads it, after views and casts were followed.
    operand
        Argument under which it is read.
    views
        Canonical names of the views and casts in between, in order.
    """

    node: int
    operand: str
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and every use of it; tied parameters are one parameter with several names and uses."""

    name: str
    site: int
    trainable: bool = True
    aliases: tuple[str, ...] = ()
    uses: tuple[ParameterUse, ...] = ()
    initializer: Initializer | None = None


@dataclass(frozen=True)
class Graph:
    """An immutable graph of operators.

    Parameters
    ----------
    nodes
        Operations in execution order.
    sites
        Tensors.
    parameters
        Parameters, tied ones once, in the model's order.
    outputs
        Sites of the model's floating-point outputs.
    loss
        Site of the scalar that gradients start from; ``None`` when there is none.
    notes
        Assumptions made while tracing, each a sentence.
    calls
        Number of native calls that the framework made, those that left no node included.
    known
        Values of leaves that are no parameters, as arrays by site, where there are few of them: token ids, masks.

    Examples
    --------
    >>> builder = GraphBuilder()
    >>> x = builder.leaf("input.0", (8, 4), "float32", Role.INPUT)
    >>> y = builder.node("relu", "aten.relu.default", [("input", x)], [((8, 4), "float32", True)])
    >>> graph = builder.finish(outputs=y)
    >>> [node.op for node in graph.nodes], graph.sites[y[0]].name
    (['relu'], '/relu')
    """

    nodes: tuple[Node, ...]
    sites: tuple[Site, ...]
    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[int, ...] = ()
    loss: int | None = None
    notes: tuple[str, ...] = ()
    calls: int = 0
    known: Mapping[int, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For every site, the nodes that read it, in order."""
        readers: list[list[int]] = [[] for _ in self.sites]
        for node in self.nodes:
            for site in dict.fromkeys(operand.site for operand in node.operands):
                readers[site].append(node.index)
        return tuple(tuple(each) for each in readers)

    @cached_property
    def by_name(self) -> Mapping[str, Site]:
        """Sites by name."""
        return {site.name: site for site in self.sites}

    @cached_property
    def parameter_sites(self) -> Mapping[int, Parameter]:
        """Parameters by the site that holds them."""
        return {parameter.site: parameter for parameter in self.parameters}

    @cached_property
    def parameter_only(self) -> tuple[frozenset[int], ...]:
        """For every site computed from parameters alone, the parameter sites it comes from; else the empty set.

        Buffers, constants and whatever follows from shapes may take part; the input, noise and what depends on them may
        not. A table of positions looked up at 0, 1, 2 … is made of parameters alone, a table of words is not.
        """
        varies = [site.role is Role.INPUT for site in self.sites]
        roots: list[frozenset[int]] = [
            frozenset((site.index,)) if site.role is Role.PARAMETER else frozenset() for site in self.sites
        ]
        for node in self.nodes:
            reads = [operand.site for operand in node.operands]
            if node.kind is Kind.RANDOM or any(varies[site] for site in reads):
                for output in node.outputs:
                    varies[output] = True
            else:
                merged = frozenset[int]().union(*(roots[site] for site in reads))
                for output in node.outputs:
                    roots[output] = merged
        return tuple(roots)

    def producer(self, site: int) -> Node | None:
        """Node that made a site; ``None`` for leaves."""
        index = self.sites[site].node
        return None if index is None else self.nodes[index]

    def root(self, site: int) -> int:
        """Follow views and casts back to the site that first held these elements."""
        while (node := self.producer(site)) is not None and node.kind in TRANSPARENT:
            site = node.operands[0].site
        return site

    def source_of(self, site: int) -> str:
        """Source line of a site: where it was made, or where it is first read."""
        node = self.producer(site)
        if node is None and self.consumers[site]:
            node = self.nodes[self.consumers[site][0]]
        return node.source if node else ""

    def floating_sites(self) -> Iterator[Site]:
        """Sites that hold signals: floating-point, not empty, and no memory that nothing was written to yet."""
        return (site for site in self.sites if site.floating and site.size and not self._unwritten(site))

    def _unwritten(self, site: Site) -> bool:
        return site.node is not None and self.nodes[site.node].op == "empty"

    def unnamed(self) -> Mapping[str, int]:
        """Native operators without a canonical name, with how often each occurs."""
        return Counter(node.native for node in self.nodes if node.kind is Kind.UNKNOWN)


OutputSpec = tuple[Sequence[int], str, bool]
"""Shape, dtype name and differentiability of an output."""


class GraphBuilder:
    """Collects nodes in execution order and closes them into a `Graph`."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._sites: list[Site] = []
        self._names: Counter[str] = Counter()

    def leaf(self, name: str, shape: Sequence[int], dtype: str, role: Role, *, differentiable: bool = False) -> int:
        """Add a tensor that no node makes; return its site."""
        return self._site(name, (shape, dtype, differentiable), role, None)

    def node(
        self,
        op: str,
        native: str,
        operands: Iterable[tuple[str, int]],
        outputs: Iterable[OutputSpec],
        *,
        attributes: Mapping[str, Any] | None = None,
        module: str = "",
        module_type: str = "",
        source: str = "",
        call: int = -1,
    ) -> tuple[int, ...]:
        """Add an operation; return the sites of its outputs."""
        index = len(self._nodes)
        specs = list(outputs)
        base = f"{module}/{op}"
        names = [base] if len(specs) == 1 else [f"{base}:{position}" for position in range(len(specs))]
        sites = tuple(self._site(name, spec, Role.ACTIVATION, index) for name, spec in zip(names, specs, strict=True))
        reads = tuple(Operand(name, site) for name, site in operands)
        self._nodes.append(Node(index, op, native, reads, attributes or {}, sites, module, module_type, source, call))
        return sites

    def mark_differentiable(self, site: int) -> None:
        """Say that the framework carries a gradient through this site."""
        self._sites[site] = replace(self._sites[site], differentiable=True)

    def shape(self, site: int) -> tuple[int, ...]:
        """Shape of a site already added."""
        return self._sites[site].shape

    def producer_index(self, site: int) -> int:
        """Index of the node that made a site, -1 for a leaf."""
        node = self._sites[site].node
        return -1 if node is None else node

    def finish(
        self,
        *,
        outputs: Iterable[int] = (),
        loss: int | None = None,
        parameters: Iterable[Parameter] = (),
        notes: Iterable[str] = (),
        calls: int = 0,
        known: Mapping[int, Any] | None = None,
    ) -> Graph:
        """Close the graph: drop views that nothing reads, name the sites, attach every parameter's uses."""
        outputs = tuple(outputs)
        keep = self._alive({*outputs, *(() if loss is None else (loss,))})
        nodes, sites, moved = self._renumber(keep)
        graph = Graph(
            nodes,
            sites,
            outputs=tuple(moved[site] for site in outputs if site in moved),
            loss=None if loss is None else moved[loss],
            notes=tuple(dict.fromkeys(notes)),
            calls=calls,
            known={moved[site]: values for site, values in (known or {}).items() if site in moved},
        )
        placed = tuple(replace(parameter, site=moved[parameter.site]) for parameter in parameters)
        uses = _uses(graph, {parameter.site for parameter in placed})
        return replace(
            graph, parameters=tuple(replace(parameter, uses=tuple(uses[parameter.site])) for parameter in placed)
        )

    def _site(self, name: str, spec: OutputSpec, role: Role, node: int | None) -> int:
        shape, dtype, differentiable = spec
        self._sites.append(Site(len(self._sites), name, tuple(shape), dtype, role, node, differentiable))
        return len(self._sites) - 1

    def _alive(self, needed: set[int]) -> list[bool]:
        """Say of every node whether to keep it: all but views and casts that lead nowhere."""
        keep = [True] * len(self._nodes)
        for node in reversed(self._nodes):
            keep[node.index] = node.kind not in TRANSPARENT or not needed.isdisjoint(node.outputs)
            if keep[node.index]:
                needed.update(operand.site for operand in node.operands)
        return keep

    def _renumber(self, keep: list[bool]) -> tuple[tuple[Node, ...], tuple[Site, ...], dict[int, int]]:
        moved_nodes = {old: new for new, old in enumerate(index for index, kept in enumerate(keep) if kept)}
        moved: dict[int, int] = {}
        sites: list[Site] = []
        seen: Counter[str] = Counter()
        for site in self._sites:
            if site.node is not None and not keep[site.node]:
                continue
            seen[site.name] += 1
            name = site.name if seen[site.name] == 1 else f"{site.name}#{seen[site.name]}"
            moved[site.index] = len(sites)
            node = None if site.node is None else moved_nodes[site.node]
            sites.append(replace(site, index=len(sites), name=name, node=node))
        nodes = tuple(
            replace(
                node,
                index=moved_nodes[node.index],
                operands=tuple(Operand(operand.name, moved[operand.site]) for operand in node.operands),
                outputs=tuple(moved[site] for site in node.outputs),
            )
            for node in self._nodes
            if keep[node.index]
        )
        return nodes, tuple(sites), moved


def _uses(graph: Graph, parameter_sites: set[int]) -> dict[int, list[ParameterUse]]:
    """Follow every parameter through views and casts to the nodes that read it."""
    uses: dict[int, list[ParameterUse]] = defaultdict(list)
    for start in parameter_sites:
        pending: list[tuple[int, tuple[str, ...]]] = [(start, ())]
        while pending:
            site, views = pending.pop(0)
            for index in graph.consumers[site]:
                node = graph.nodes[index]
                if node.kind in TRANSPARENT:
                    pending.extend((output, (*views, node.op)) for output in node.outputs)
                else:
                    uses[start] += [
                        ParameterUse(index, operand.name, views) for operand in node.operands if operand.site == site
                    ]
        uses[start].sort(key=lambda use: use.node)
    return uses

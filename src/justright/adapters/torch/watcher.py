"""The watcher: runs a graph's forward for real and summarizes every floating-point site as it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from justright.adapters.base import Observation, Watch
from justright.adapters.torch.calls import Func, schema_of, tensors_in, tensors_made
from justright.adapters.torch.data import edge_of, in_range, summarize
from justright.adapters.torch.mode import EagerMode
from justright.adapters.torch.recorder import UNCOUNTED
from justright.adapters.torch.relations import attention_of, copies_of, relation_of, routing_of
from justright.adapters.torch.statistics import GradientMemo, summary_of, units_of
from justright.adapters.torch.threads import lend_threads
from justright.core.graph import Graph, Node, Role
from justright.core.vocabulary import Kind
from justright.errors import TraceError
from justright.statistics.summary import Summary

__all__ = ["Left", "Watcher"]


class Left(TraceError):  # noqa: N818  it ends a run, and nobody sees it
    """The run made other calls than the graph has."""


@dataclass
class _Call:
    """What to look at in one native call."""

    native: str
    outputs: list[tuple[int, int]] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    derived: set[int] = field(default_factory=set)
    edges: list[tuple[int, int]] = field(default_factory=list)
    target: tuple[int, int, int | None] | None = None
    attention: int | None = None


class Watcher(EagerMode):
    """Summarizes forward values at once and gradients through hooks, while it is the active dispatch mode.

    Parameters
    ----------
    graph
        The graph whose calls this run will make.
    watch
        Where to count flat units.
    before_write
        Told of every tensor that a call is about to overwrite.

    Raises
    ------
    Left
        As soon as a call differs from the graph's.
    """

    def __init__(self, graph: Graph, watch: Watch, before_write: Callable[[Iterable[torch.Tensor]], None]) -> None:
        super().__init__()
        lend_threads()
        self.seen = Observation()
        self._graph = graph
        self._watch = watch
        self._plan = _plan(graph, watch)
        self._before_write = before_write
        self._memo = GradientMemo()
        self._fresh: list[tuple[torch.Tensor, int]] = []
        self._next = 0
        self._forward = True

    def look(self, tensor: torch.Tensor, site: int) -> None:
        """Summarize a tensor as this site's forward value."""
        self._relate(tensor, site)
        if site in self._watch.units:
            axis, zones = self._watch.units[site]
            self.seen.forward[site], self.seen.units[site] = units_of(tensor, axis, zones)
        else:
            self.seen.forward[site] = summary_of(tensor)

    def gradient(self, gradient: torch.Tensor) -> Summary:
        """Summarize a gradient, unless it is memory that a hook has summarized already."""
        return self._memo(gradient)

    def end_forward(self) -> None:
        """Say that what follows is the backward; derive what views share with what they view."""
        self._settle()
        if self._next != self._graph.calls:
            raise Left(f"{self._next} calls", where="forward", expected=f"{self._graph.calls} calls, as in the graph")
        self._forward = False
        for node in self._graph.nodes:
            factor = _repeats(self._graph, node)
            source = self.seen.forward.get(node.operands[0].site) if factor else None
            if source is not None and node.outputs[0] not in self.seen.forward:
                self.seen.forward[node.outputs[0]] = source if factor == 1 else source.scaled_count(factor)

    def __torch_dispatch__(
        self,
        func: Func,
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run one call and look at what it made."""
        kwargs = kwargs or {}
        schema = schema_of(func)
        if schema.written:
            written = [tensor for name, tensor in tensors_in(schema, args, kwargs) if name in schema.written]
            self._before_write(written)
            self._memo.forget(written)
        if not self._forward or func in UNCOUNTED:
            return func(*in_range(func, args), **kwargs)
        self._settle()
        call = self._plan.get(self._next)
        if self._next >= self._graph.calls or (call and call.native != schema.native):
            expected = call.native if call else "the end of the forward"
            raise Left(schema.native, where=f"call {self._next}", expected=expected)
        self._next += 1
        if call and (call.reads or call.edges or call.target):
            tensors = [tensor for _, tensor in tensors_in(schema, args, kwargs)]
            self._look_at_reads(call, tensors)
            self._look_closer(call, tensors)
        result = func(*in_range(func, args), **kwargs)
        if call and call.outputs:
            self._look_at_outputs(call, tensors_made(schema, args, kwargs, result))
            if call.attention is not None:
                self._attend(call.attention, args[0], result)
        return result

    def _look_at_reads(self, call: _Call, tensors: list[torch.Tensor]) -> None:
        for position, site in call.reads:
            if site not in self.seen.forward:
                self.look(tensors[position], site)
                self._hook(tensors[position], site)

    def _look_closer(self, call: _Call, tensors: list[torch.Tensor]) -> None:
        """Look at what lies before an edge, and at what a loss compares with, as they are when they are read."""
        for position, site in call.edges:
            edge = edge_of(tensors[position])
            if edge is not None:
                self.seen.edges[site] = edge
        if call.target is not None:
            position, site, ignored = call.target
            name = self._graph.sites[site].name
            known = self.seen.data.get(name)
            self.seen.data[name] = summarize(tensors[position], known.part if known else "label", ignored)

    def _look_at_outputs(self, call: _Call, tensors: list[torch.Tensor]) -> None:
        for position, site in call.outputs:
            if site not in call.derived:
                self.look(tensors[position], site)
            else:
                self._relate(tensors[position], site)
            self._fresh.append((tensors[position], site))

    def _relate(self, tensor: torch.Tensor, site: int) -> None:
        """Compare examples, positions and units, or experts, where that is wanted."""
        if site in self._watch.relations and (found := relation_of(tensor, self._watch.relations[site])):
            self.seen.relations[site] = found
        if site in self._watch.routing and (chosen := routing_of(tensor, self._watch.routing[site])):
            self.seen.routing[site] = chosen

    def _attend(self, site: int, logits: torch.Tensor, probabilities: torch.Tensor) -> None:
        self.seen.attention[site] = attention_of(logits, probabilities, self._watch.attention[site])

    def _settle(self) -> None:
        """Put hooks on the last call's outputs; autograd attaches them to its graph only after the call."""
        for tensor, site in self._fresh:
            self._hook(tensor, site)
        self._fresh.clear()

    def _hook(self, tensor: torch.Tensor, site: int) -> None:
        if tensor.requires_grad and not tensor.is_leaf:
            tensor.register_hook(lambda gradient: self._take(gradient, site))

    def _take(self, gradient: torch.Tensor | None, site: int) -> None:
        if self._forward:  # a backward inside the forward: a gradient of something else than the loss
            return
        if gradient is not None and gradient.layout is torch.strided:  # None stands for zeros nobody wrote out
            self.seen.gradient[site] = self._memo(gradient)
            if site in self.seen.relations:
                varying, distinct = copies_of(gradient, self._watch.relations[site])
                known = self.seen.relations[site]
                self.seen.relations[site] = replace(known, gradient_varying=varying, gradient_distinct=distinct)


def _plan(graph: Graph, watch: Watch) -> dict[int, _Call]:
    """Lay out by call number what there is to look at."""
    plan: dict[int, _Call] = {}
    for node in graph.nodes:
        if node.call < 0 or node.kind is Kind.UPDATE:
            continue
        call = plan.setdefault(node.call, _Call(node.native))
        call.native = node.native
        floating = [(place, site) for place, site in enumerate(node.outputs) if _measurable(graph, node, site)]
        call.outputs += floating
        if _repeats(graph, node):
            call.derived.update(site for _, site in floating if site not in watch.units)
        call.reads += [
            (place, operand.site) for place, operand in enumerate(node.operands) if _seen_when_read(graph, operand.site)
        ]
        call.edges += [(place, each.site) for place, each in enumerate(node.operands) if each.site in watch.edges]
        call.attention = next((site for site in node.outputs if site in watch.attention), call.attention)
        if node.kind is Kind.LOSS:
            call.target = _target(graph, node)
    return plan


def _target(graph: Graph, node: Node) -> tuple[int, int, int | None] | None:
    """Position and site of what a loss compares with, and the class that it leaves out."""
    ignored = node.attributes.get("ignore_index")
    found = (
        (place, each.site, ignored if isinstance(ignored, int) else None)
        for place, each in enumerate(node.operands)
        if each.name == "target" and graph.sites[each.site].size and not graph.sites[each.site].dtype.startswith("c")
    )
    return next(found, None)


def _measurable(graph: Graph, node: Node, site: int) -> bool:
    """Say whether a site holds a signal: floating, not empty, not memory that nobody has written yet."""
    return graph.sites[site].floating and graph.sites[site].size > 0 and node.op != "empty"


def _seen_when_read(graph: Graph, site: int) -> bool:
    found = graph.sites[site]
    producer = graph.producer(site)
    late = found.role is Role.CONSTANT or (producer is not None and producer.kind is Kind.UPDATE)
    return late and found.floating and found.size > 0


def _repeats(graph: Graph, node: Node) -> int:
    """How often each element of its input a node's output holds, if the rest of its statistics is the same; else 0."""
    if not node.operands or len(node.outputs) != 1:
        return 0
    source, made = graph.sites[node.operands[0].site], graph.sites[node.outputs[0]]
    same_dtype = source.dtype == made.dtype and source.size > 0
    if not same_dtype or not (node.kind is Kind.VIEW or node.op in {"expand", "repeat"}):
        return 0
    return made.size // source.size if made.size % source.size == 0 else 0

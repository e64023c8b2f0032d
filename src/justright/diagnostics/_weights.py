"""What diagnostics of the weights share: their gain, and what lies on the plain way from one layer to the next."""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.depth import Layer
from justright.core.graph import Graph, Role
from justright.core.profile import ParameterRecord
from justright.core.vocabulary import Kind
from justright.diagnostics.base import Case

__all__ = ["fan_in", "following", "gain", "records", "unary_source"]

ALONG = frozenset({Kind.POINTWISE, Kind.VIEW, Kind.CAST, Kind.NORMALIZATION, Kind.POOLING, Kind.SELECTION})
"""Kinds through which a signal goes on to the next layer."""

UNARY = frozenset({Kind.POINTWISE, Kind.VIEW, Kind.CAST})
"""Kinds that leave a residual stream what it is when they read nothing else."""


def records(case: Case) -> Iterator[tuple[Layer, ParameterRecord]]:
    """Yield every layer whose weight is one parameter, with its record."""
    for layer in case.layers:
        if len(layer.weights) == 1:
            parameter = case.graph.parameter_sites.get(next(iter(layer.weights)))
            record = case.profile.parameter.get(parameter.name) if parameter else None
            if record is not None:
                yield layer, record


def fan_in(record: ParameterRecord) -> int:
    """Weights that one output unit sums over; 0 where the layout is not known."""
    return record.value.count // record.units if record.units else 0


def gain(record: ParameterRecord) -> float:
    """Factor by which the weight multiplies the RMS of a signal without structure: its RMS times sqrt(fan in).

    ``nan`` where the layout is not known.
    """
    return record.value.rms * math.sqrt(fan_in(record)) if record.units else math.nan


def following(graph: Graph, site: int) -> int | None:
    """Return the contraction that alone reads a signal, next after it without any way around; ``None`` if none does."""
    while len(readers := graph.consumers[site]) == 1:
        node = graph.nodes[readers[0]]
        signals = {operand.site for operand in node.operands if not graph.parameter_only[operand.site]}
        if node.kind is Kind.CONTRACTION:
            return node.index
        floating = {each for each in signals if graph.sites[each].differentiable}
        if node.kind not in ALONG or floating != {site}:
            return None
        site = node.outputs[0]
    return None


def _signal(graph: Graph, site: int) -> bool:
    """Say whether a site holds numbers that change with the input, by its role."""
    found = graph.sites[site]
    changes = found.role in {Role.INPUT, Role.ACTIVATION} and not graph.parameter_only[site]
    return changes and found.floating and len(found.shape) > 0


def unary_source(graph: Graph, site: int) -> int:
    """Follow functions of one signal, views and casts back to where this signal comes from."""
    while (node := graph.producer(site)) is not None and node.kind in UNARY:
        signals = {each.site for each in node.operands if _signal(graph, each.site)}
        if len(signals) != 1:
            break
        site = next(iter(signals))
    return site

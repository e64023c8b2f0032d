"""How attention logits and residual streams grow from block to block: what half precision will have to hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from justright.core.graph import Graph, Node
from justright.core.prediction import Series
from justright.core.profile import TensorStatistics
from justright.core.vocabulary import Kind

__all__ = ["FEWEST", "series"]

CARRIED: Final = frozenset({Kind.VIEW, Kind.CAST, Kind.POINTWISE})
"""Kinds of operators that hand a signal on element by element."""

FEWEST: Final = 3
"""Repetitions of a block from which on its tensors are a series: two are a difference."""

NUMBER: Final = re.compile(r"(?<=\.)\d+(?=[./]|$)|^\d+(?=[./])")
"""A module's number among its siblings, in the name of a site."""


def series(graph: Graph, forward: Mapping[int, TensorStatistics]) -> tuple[Series, ...]:
    """Return attention logits and residual streams over the repetitions of a block.

    Parameters
    ----------
    graph
        The graph.
    forward
        Predicted statistics of the tensors, by site.
    """
    found = [*_rows("attention logits", graph, _logits(graph)), *_rows("residual stream", graph, _streams(graph))]
    return tuple(
        Series(
            kind,
            name,
            tuple(graph.sites[site].name for site in sites),
            tuple(forward[site].rms for site in sites),
            tuple(forward[site].absmax for site in sites),
        )
        for kind, name, sites in found
        if all(site in forward for site in sites)
    )


def _rows(kind: str, graph: Graph, sites: Iterator[int]) -> Iterator[tuple[str, str, list[int]]]:
    """Group sites whose names differ in one module's number alone."""
    rows: dict[str, list[int]] = defaultdict(list)
    for site in sites:
        rows[NUMBER.sub("*", graph.sites[site].name, count=1)].append(site)
    for name, members in rows.items():
        if "*" in name and len(members) >= FEWEST:
            yield kind, name, members


def _logits(graph: Graph) -> Iterator[int]:
    """Yield what softmaxes over positions read: products of two signals, scaled and masked."""
    for node in graph.nodes:
        if node.op == "softmax" and len(graph.sites[node.operands[0].site].shape) > 2:  # noqa: PLR2004  heads, queries, keys
            yield node.operands[0].site


def _streams(graph: Graph) -> Iterator[int]:
    """Yield the last residual addition of every module: one that reads another, or is read by one."""
    sums = {node.outputs[0]: node for node in graph.nodes if node.op == "add" and _adds_signals(graph, node)}
    before = {site: {_unary_source(graph, each.site) for each in node.operands} for site, node in sums.items()}
    read = {source for sources in before.values() for source in sources}
    chained = (site for site in sums if site in read or not before[site].isdisjoint(sums))
    yield from {sums[site].module: site for site in chained}.values()


def _unary_source(graph: Graph, site: int) -> int:
    """Follow functions of one signal back to where it comes from."""
    while (node := graph.producer(site)) is not None and node.kind in CARRIED:
        signals = [each.site for each in node.operands if not graph.parameter_only[each.site]]
        if len(signals) != 1:
            return site
        site = signals[0]
    return site


def _adds_signals(graph: Graph, node: Node) -> bool:
    read = [graph.sites[each.site] for each in node.operands]
    own = [site.differentiable and not graph.parameter_only[site.index] for site in read]
    return len(read) > 1 and all(own) and read[0].shape == read[1].shape

"""What a site's record says beside its statistics; the same whether these were measured or predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping

from justright.core.depth import depths
from justright.core.graph import Graph, Role, Site
from justright.core.profile import SiteRecord, TensorStatistics
from justright.core.vocabulary import WITH_BYPRODUCTS

__all__ = ["Records"]


class Records:
    """Makes the records of a graph's sites.

    Parameters
    ----------
    graph
        The graph.
    forward
        Statistics of the tensors, by site.
    """

    def __init__(self, graph: Graph, forward: Mapping[int, TensorStatistics]) -> None:
        self._graph = graph
        self._forward = forward
        self._depths = depths(graph)
        inputs = (site.index for site in graph.floating_sites() if _is_input(site) and site.index in forward)
        self._start = next((forward[site].rms for site in inputs), math.nan)

    def of(self, site: Site) -> SiteRecord:
        """Return the record of a site: where it is, what made it, its statistics and its gain."""
        node = self._graph.producer(site.index)
        statistics = self._forward.get(site.index)
        rms = statistics.rms if statistics else math.nan
        return SiteRecord(
            site.name,
            op=node.op if node else site.role.value,
            module=node.module if node else site.name.rpartition(".")[0],
            source=self._graph.source_of(site.index),
            shape=site.shape,
            dtype=site.dtype,
            role=self._role(site),
            forward=statistics,
            gain=_ratio(rms, self._input_rms(site)),
            cumulative=_ratio(rms, self._start),
            depth=self._depths[site.index],
        )

    def _role(self, site: Site) -> str:
        """Say what a site is to a reader: what is made of parameters alone is a parameter too."""
        node = self._graph.producer(site.index)
        if node is not None and node.op in WITH_BYPRODUCTS and site.index != node.outputs[0]:
            return "byproduct"
        return Role.PARAMETER.value if self._graph.parameter_only[site.index] else site.role.value

    def _input_rms(self, site: Site) -> float:
        """RMS of the operator's signal: its first floating operand that does not come from parameters alone."""
        node = self._graph.producer(site.index)
        operands = [operand.site for operand in node.operands] if node else []
        signals = [each for each in operands if each in self._forward and not self._graph.parameter_only[each]]
        return self._forward[signals[0]].rms if signals else math.nan


def _is_input(site: Site) -> bool:
    return site.name.startswith("input") and site.node is None


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan

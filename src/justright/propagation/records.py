"""The sweeps' answer as records, the same that measuring gives: one a site and one a parameter."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from justright.core.graph import Graph, Parameter, Site
from justright.core.moments import Moments
from justright.core.prediction import Estimate, Predicted
from justright.core.profile import ParameterRecord, Provenance, SiteRecord, TensorStatistics
from justright.core.records import Records
from justright.core.signals import Signal
from justright.core.vocabulary import WITH_BYPRODUCTS
from justright.propagation.interval import estimate
from justright.propagation.marginals import Marginals, Shape
from justright.propagation.means import Sweep
from justright.propagation.spread import Spreads

__all__ = ["Written", "written"]


@dataclass(frozen=True)
class Written:
    """Records of a prediction.

    Parameters
    ----------
    sites, parameters
        As in a profile.
    forward
        Statistics of the tensors by site index.
    """

    sites: tuple[SiteRecord, ...]
    parameters: tuple[ParameterRecord, ...]
    forward: Mapping[int, TensorStatistics]


def written(graph: Graph, found: Sweep, *, drawn: Collection[int] = (), statistics: bool = True) -> Written:
    """Return the records of a prediction.

    Parameters
    ----------
    graph
        The graph.
    found
        What the sweeps found.
    drawn
        Sites of the leaves that were taken as random; the values of all others were given.
    statistics
        Whether to give the statistics of tensors and not their estimates alone.
    """
    writer = _Writer(graph, found, drawn)
    forward = writer.forward_statistics() if statistics else {}
    records = Records(graph, forward)
    sites = tuple(writer.record(records.of(site), site, full=statistics) for site in graph.floating_sites())
    parameters = tuple(filter(None, (writer.parameter(each, forward) for each in graph.parameters)))
    return Written(sites, parameters, forward)


class _Writer:
    def __init__(self, graph: Graph, found: Sweep, drawn: Collection[int]) -> None:
        self.graph = graph
        self.found = found
        self._marginals = Marginals()
        self._seen: dict[int, Shape] = {}
        self._spreads = Spreads(graph, found, self._shape, drawn)
        self._backward = _provenances(graph, found)

    def _shape(self, signal: Signal) -> Shape:
        key = id(signal)
        if key not in self._seen:
            self._seen[key] = self._marginals.shape(signal)
        return self._seen[key]

    def forward_statistics(self) -> dict[int, TensorStatistics]:
        return {
            site.index: self._marginals.of_signal(self.found.forward[site.index])
            for site in self.graph.floating_sites()
            if site.index in self.found.forward
        }

    def record(self, record: SiteRecord, site: Site, *, full: bool) -> SiteRecord:
        signal, gradient = self.found.forward.get(site.index), self._gradient(site)
        predicted = Predicted(
            self._estimate(site, signal) if signal is not None else None,
            self._slope(site, gradient) if gradient is not None else None,
        )
        slope = self._marginals.of_gaussian(gradient) if full and gradient is not None else None
        return replace(record, gradient=slope, predicted=predicted)

    def _gradient(self, site: Site) -> Moments | None:
        return self.found.gradient.get(site.index) if site.differentiable else None

    def _estimate(self, site: Site, signal: Signal) -> Estimate:
        how = "fallback" if site.node in self.found.sampled else "rule"
        origin = signal.provenance
        if self.graph.producer(self.graph.root(site.index)) is not None:
            origin = max(origin, Provenance.ASYMPTOTIC)  # its moments may be exact, its elements are not independent
        made = estimate(signal.moments.rms, self._spreads.forward[site.index], origin, how=how)
        node = self.graph.producer(site.index)
        if node is not None and node.op in WITH_BYPRODUCTS and site.index != node.outputs[0]:
            return replace(made, trusted=False, why="a byproduct, kept for the backward")
        if signal.visible is None or signal.shown is not signal.moments or not made.trusted:
            return made
        return replace(made, trusted=False, why="a mask hides elements, and only what it leaves was predicted")

    def _slope(self, site: Site, gradient: Moments) -> Estimate:
        readers = self.graph.consumers[site.index]
        how = "fallback" if any(node in self.found.sampled for node in readers) else "rule"
        spread = self._spreads.gradient[site.index]
        return estimate(gradient.rms, spread, self._backward[site.index], how=how, backward=True)

    def parameter(self, parameter: Parameter, forward: Mapping[int, TensorStatistics]) -> ParameterRecord | None:
        value = forward.get(parameter.site)
        if value is None:
            return None
        gradient = self.found.gradient.get(parameter.site) if parameter.trainable else None
        slope = self._marginals.of_gaussian(gradient) if gradient is not None else None
        closed = slope is not None and slope.rms == 0
        return ParameterRecord(parameter.name, parameter.trainable, value, slope, None if closed else 0)


def _provenances(graph: Graph, found: Sweep) -> dict[int, Provenance]:
    """Weakest origin of every gradient: of the gradients it is made of, and of what they were multiplied with."""
    origins = dict.fromkeys(found.gradient, Provenance.ASYMPTOTIC)
    for node in reversed(graph.nodes):
        arrived = [origins[site] for site in node.outputs if site in origins]
        if not arrived:
            continue
        used = [found.forward[each.site].provenance for each in node.operands if each.site in found.forward]
        weakest = max(*arrived, *used, Provenance.ASYMPTOTIC)
        for operand in node.operands:
            if operand.site in origins:
                origins[operand.site] = max(origins[operand.site], weakest)
    return origins

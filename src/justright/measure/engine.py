"""Measure: one real forward and backward for every batch, as a profile of the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from statistics import fmean

from justright.adapters.base import Adapter, Job, Observation, Watch
from justright.core.depth import depths
from justright.core.edges import edge_sites
from justright.core.graph import Graph, Role, Site
from justright.core.profile import ParameterRecord, Profile, SiteRecord, TensorStatistics
from justright.core.vocabulary import WITH_BYPRODUCTS
from justright.errors import TraceError
from justright.measure.merge import merged
from justright.measure.relations import attentions, relations, routings
from justright.measure.units import Nonlinearity, nonlinearities

__all__ = ["Measurement", "measure"]

OPENING_STEPS = 4
"""Trial steps granted to parameters whose gradient is exactly zero: more gates in series than any known design has."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Measurement:
    """What measuring gave.

    Parameters
    ----------
    graph
        The graph whose sites were measured: the given one, or, where the run left it, one recorded from the run.
    profile
        Statistics at its sites.
    scored
        What gradients started from, in words.
    notes
        What was assumed on the way, each a sentence.
    """

    graph: Graph
    profile: Profile
    scored: str
    notes: tuple[str, ...] = ()


def measure(
    adapter: Adapter, jobs: Sequence[Job], graph: Graph | None = None, *, progress: Progress | None = None
) -> Measurement:
    """Run forward and backward on every job and merge what was seen.

    Parameters
    ----------
    adapter
        The framework of the jobs' model.
    jobs
        One model with one or several batches of one structure; statistics of several are those of all their elements.
    graph
        Its traced graph; without one, it is recorded from a real forward of the first job.
    progress
        Called with a stage, what is done and what there is in all.

    Raises
    ------
    TraceError
        If two runs of the model make different operations, so that no graph describes both.
    ForwardError
        If the model's own forward or backward raises.
    """
    report = progress or (lambda *_: None)
    notes: list[str] = []
    if graph is None:
        graph = adapter.record(jobs[0])
    found = _observed(adapter, jobs, graph, report)
    if found is None:
        graph = adapter.record(jobs[0])
        notes.append("the structure was recorded from a real forward: this run made other operations than the trace")
        found = _observed(adapter, jobs, graph, report)
    if found is None:
        raise TraceError(
            "two forwards on one batch that make different operations",
            where="model",
            expected="a forward that makes the same operations every time, or batches of one structure",
            try_="switch random depth or random routing off (model.eval()) and check again",
        )
    places, seen = found
    opened = _opening(adapter, jobs[0], seen)
    return Measurement(graph, _profile(graph, places, seen, opened), seen.scored, tuple(notes))


Found = tuple[Mapping[int, Nonlinearity], Observation]


def _observed(adapter: Adapter, jobs: Sequence[Job], graph: Graph, progress: Progress) -> Found | None:
    places = nonlinearities(graph)
    watch = Watch(
        {site: (place.axis, place.zones) for site, place in places.items()},
        edge_sites(graph),
        relations=relations(graph),
        attention=attentions(graph),
        routing=routings(graph),
    )
    seen: list[Observation] = []
    for done, job in enumerate(jobs):
        progress("measure", done, len(jobs))
        observation = adapter.observe(job, graph, replace(watch, step=not done))
        if observation is None:
            return None
        seen.append(observation)
    progress("measure", len(jobs), len(jobs))
    return places, reduce(merged, seen)


def _opening(adapter: Adapter, job: Job, seen: Observation) -> Mapping[str, int]:
    """Ask about the parameters whose gradient is exactly zero."""
    closed = [name for name, summary in seen.parameter_gradients.items() if summary.zeros == summary.count]
    return adapter.opening(job, closed, OPENING_STEPS) if closed else {}


def _profile(graph: Graph, places: Mapping[int, Nonlinearity], seen: Observation, opened: Mapping[str, int]) -> Profile:
    depth = depths(graph)
    forward = {site: summary.finish() for site, summary in seen.forward.items()}
    start = next((forward[site.index].rms for site in graph.floating_sites() if _is_start(site, forward)), math.nan)
    sites = tuple(
        _record(graph, site, places.get(site.index), seen, forward, start, depth[site.index])
        for site in graph.floating_sites()
    )
    parameters = tuple(_parameter(graph, name, seen, opened) for name in seen.parameters)
    data = tuple(summary.finish(name) for name, summary in seen.data.items())
    return Profile(sites, parameters, fmean(seen.losses), data=data, step=seen.step)


def _is_start(site: Site, forward: Mapping[int, TensorStatistics]) -> bool:
    return site.name.startswith("input") and site.node is None and site.index in forward


def _record(
    graph: Graph,
    site: Site,
    place: Nonlinearity | None,
    seen: Observation,
    forward: Mapping[int, TensorStatistics],
    start: float,
    depth: int,
) -> SiteRecord:
    node = graph.producer(site.index)
    statistics = forward.get(site.index)
    gradient = seen.gradient.get(site.index)
    rms = statistics.rms if statistics else math.nan
    counts = seen.units.get(site.index)
    return SiteRecord(
        site.name,
        op=node.op if node else site.role.value,
        module=node.module if node else site.name.rpartition(".")[0],
        source=graph.source_of(site.index),
        shape=site.shape,
        dtype=site.dtype,
        role=_role(graph, site),
        forward=statistics,
        gradient=gradient.finish() if gradient else None,
        units=counts.finish(place.axis, place.function) if place and counts else None,
        gain=_ratio(rms, _input_rms(graph, site, forward)),
        cumulative=_ratio(rms, start),
        depth=depth,
        edge=seen.edges.get(site.index),
        relation=relation.finish() if (relation := seen.relations.get(site.index)) else None,
        attention=attention.finish() if (attention := seen.attention.get(site.index)) else None,
        routing=routing.finish() if (routing := seen.routing.get(site.index)) else None,
    )


def _role(graph: Graph, site: Site) -> str:
    """Say what a site is to a reader: what is made of parameters alone is a parameter too."""
    node = graph.producer(site.index)
    if node is not None and node.op in WITH_BYPRODUCTS and site.index != node.outputs[0]:
        return "byproduct"
    return Role.PARAMETER.value if graph.parameter_only[site.index] else site.role.value


def _input_rms(graph: Graph, site: Site, forward: Mapping[int, TensorStatistics]) -> float:
    """RMS of the operator's signal: its first floating operand that does not come from parameters alone."""
    node = graph.producer(site.index)
    operands = [operand.site for operand in node.operands] if node else []
    signals = [each for each in operands if each in forward and not graph.parameter_only[each]]
    return forward[signals[0]].rms if signals else math.nan


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _parameter(graph: Graph, name: str, seen: Observation, opened: Mapping[str, int]) -> ParameterRecord:
    parameter = graph.parameter_sites[graph.by_name[name].index]
    gradient = seen.parameter_gradients.get(name)
    closed = gradient is not None and gradient.zeros == gradient.count
    units, identical = seen.identical.get(name, (0, ()))
    return ParameterRecord(
        name,
        parameter.trainable,
        seen.parameters[name].finish(),
        gradient.finish() if gradient else None,
        opened.get(name) if closed else 0,
        identical,
        units,
        seen.same.get(name, ""),
    )

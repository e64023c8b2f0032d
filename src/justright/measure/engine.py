"""Measure: one real forward and backward for every batch, as a profile of the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from statistics import fmean

from justright.adapters.base import Adapter, Job, Observation, Watch
from justright.core.edges import edge_sites
from justright.core.graph import Graph
from justright.core.profile import ParameterRecord, Profile, SiteRecord
from justright.core.records import Records
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
    records = Records(graph, {site: summary.finish() for site, summary in seen.forward.items()})
    sites = tuple(
        _record(records.of(site), site.index, places.get(site.index), seen) for site in graph.floating_sites()
    )
    parameters = tuple(_parameter(graph, name, seen, opened) for name in seen.parameters)
    data = tuple(summary.finish(name) for name, summary in seen.data.items())
    return Profile(sites, parameters, fmean(seen.losses), data=data, step=seen.step)


def _record(record: SiteRecord, site: int, place: Nonlinearity | None, seen: Observation) -> SiteRecord:
    gradient = seen.gradient.get(site)
    counts = seen.units.get(site)
    return replace(
        record,
        gradient=gradient.finish() if gradient else None,
        units=counts.finish(place.axis, place.function) if place and counts else None,
        edge=seen.edges.get(site),
        relation=relation.finish() if (relation := seen.relations.get(site)) else None,
        attention=attention.finish() if (attention := seen.attention.get(site)) else None,
        routing=routing.finish() if (routing := seen.routing.get(site)) else None,
    )


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

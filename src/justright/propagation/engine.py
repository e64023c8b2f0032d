"""Predict: the operator graph alone, as a profile with the same sites that measuring would give."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from justright.core.coverage import Gap
from justright.core.graph import Graph, Node, Role, Site
from justright.core.prediction import Estimate, Forecast
from justright.core.profile import Profile, Provenance, SiteRecord
from justright.core.signals import Signal
from justright.propagation.constants import Constants
from justright.propagation.fallback import Apply, Fallback
from justright.propagation.interval import DEVIATIONS, FLOORS
from justright.propagation.leaves import drawn_sites, leaf_signals
from justright.propagation.loops import Loops, Run
from justright.propagation.means import Sweep
from justright.propagation.precision import series
from justright.propagation.records import Written, written
from justright.propagation.sweep import sweep

__all__ = ["Prediction", "kept_values", "predicted", "unknown_leaves", "usable"]

FEW: Final = 1 << 20
"""Elements of a buffer or input up to which its values are used: masks and token ids, no images."""

FOLLOWS: Final = "nothing is known of its operand"
"""How the reason of a node begins that was not predicted because what it reads was not."""


@dataclass(frozen=True)
class Prediction:
    """What a graph says before anything is run.

    Parameters
    ----------
    profile
        Predicted statistics at every site, without dead units, relations or a step: those need values.
    forecast
        What it says of the network as a whole.
    gaps
        What was not predicted, with the reasons.
    """

    profile: Profile
    forecast: Forecast
    gaps: tuple[Gap, ...]


def predicted(
    graph: Graph,
    arrays: Iterable[tuple[str, Any]] = (),
    *,
    without: Iterable[str] = (),
    apply: Apply | None = None,
    run: Run | None = None,
    statistics: bool = True,
) -> Prediction:
    """Predict every signal and gradient of a graph.

    Parameters
    ----------
    graph
        The graph; parameters are taken as their recorded initializers draw them.
    arrays
        Values of leaves by the name of their sites, for those without a recorded initializer.
    without
        Canonical names of operators whose rules are switched off.
    apply
        The framework's way to run one operator, for those without a rule; ``None`` leaves them out.
    run
        The framework's way to run the operators of a loop over time; ``None`` takes every step as independent.
    statistics
        Whether to predict gradients, histograms and largest magnitudes, and not the RMS of signals and its interval
        alone.
    """
    values = dict(arrays)
    leaves = leaf_signals(graph, values.items())
    fallback = Fallback(graph, apply) if apply is not None else None
    kept = kept_values(graph, values)
    known = Constants(graph, {site: each for site, each in kept.items() if usable(graph.sites[site])})
    loops = Loops(graph, run, kept, known) if run is not None else None
    found = sweep(graph, leaves, known, without=frozenset(without), fallback=fallback, loops=loops, backward=statistics)
    drawn = {parameter.site for parameter in graph.parameters if parameter.initializer is not None} | {
        site for site, leaf in leaves.items() if leaf.provenance is Provenance.UNKNOWN
    }
    records = written(graph, found, drawn=drawn, statistics=statistics)
    return Prediction(_profile(graph, found, records), _forecast(graph, found, records), tuple(_gaps(graph, found)))


def kept_values(graph: Graph, values: Mapping[str, Any]) -> dict[int, Any]:
    """Return the values of leaves that no known scheme draws: tables, masks, and what was given."""
    drawn = drawn_sites(graph)
    named = {graph.by_name[name].index: each for name, each in values.items() if name in graph.by_name}
    return {**{site: each for site, each in named.items() if site not in drawn}, **graph.known}


def usable(site: Site) -> bool:
    """Say whether the values of a leaf are used as they are: of few elements, and no parameter."""
    return site.role is not Role.PARAMETER and site.size <= FEW


def unknown_leaves(graph: Graph, arrays: Iterable[tuple[str, Any]] = ()) -> tuple[str, ...]:
    """Name the parameters and buffers of which neither an initializer nor values are known."""
    known = leaf_signals(graph, arrays)
    sites = (site for site in graph.floating_sites() if site.node is None and graph.consumers[site.index])
    return tuple(site.name for site in sites if site.index not in known)


def _profile(graph: Graph, found: Sweep, records: Written) -> Profile:
    loss = _loss_signal(graph, found)
    value = loss.moments.average_mean if loss is not None else math.nan
    worst = max((found.forward[site].provenance for site in records.forward), default=Provenance.UNKNOWN)
    return Profile(records.sites, records.parameters, value, worst)


def _loss_signal(graph: Graph, found: Sweep) -> Signal | None:
    return None if graph.loss is None else found.forward.get(graph.loss)


def _forecast(graph: Graph, found: Sweep, records: Written) -> Forecast:
    ways = Counter(_how(record) for record in records.sites)
    estimates = [record.predicted.forward for record in records.sites if record.predicted and record.predicted.forward]
    origins = Counter(each.provenance for each in estimates)
    return Forecast(
        _loss(graph, found),
        series(graph, records.forward),
        ways["rule"],
        ways["fallback"],
        ways["none"],
        sum(each.trusted for each in estimates),
        tuple((origin.name.lower(), origins[origin]) for origin in sorted(origins)),
    )


def _how(record: SiteRecord) -> str:
    forward = record.predicted.forward if record.predicted else None
    return forward.how if forward else "none"


def _loss(graph: Graph, found: Sweep) -> Estimate | None:
    """Return the loss itself, not its RMS over networks, with its interval."""
    loss = _loss_signal(graph, found)
    if loss is None:
        return None
    mean = loss.moments.average_mean
    deviation = math.sqrt(max(loss.moments.second_moment - mean * mean, 0.0))
    reach = DEVIATIONS * math.hypot(deviation, FLOORS[loss.provenance] * mean)
    how = "fallback" if graph.sites[graph.loss or 0].node in found.sampled else "rule"
    return Estimate(mean, mean - reach, mean + reach, how, loss.provenance)


def _gaps(graph: Graph, found: Sweep) -> Iterable[Gap]:
    yield from _failures(graph, found.failed, "signal")
    masks = [site for site in graph.floating_sites() if _hidden(site, found)]
    if masks:
        reason = "minus infinity that hides logits has no moments; what it hides is left out where it is read"
        yield Gap("signal of masks", reason, len(masks), masks[0].name)
    if graph.loss is not None and graph.loss not in found.forward:
        yield Gap("gradients", "the loss was not predicted, so no gradient was")
    yield from _failures(graph, found.failed_backward, "gradient")


def _hidden(site: Site, found: Sweep) -> bool:
    return site.node is not None and site.index not in found.forward and site.node not in found.failed


def _failures(graph: Graph, failed: Mapping[int, str], what: str) -> Iterable[Gap]:
    """Name what failed by itself, and count what failed because of that."""
    nodes = [(graph.nodes[index], reason) for index, reason in sorted(failed.items())]
    own: dict[tuple[str, str], list[Node]] = {}
    for node, reason in nodes:
        if not reason.startswith(FOLLOWS):
            own.setdefault((node.op, reason), []).append(node)
    for (op, reason), members in own.items():
        yield Gap(f"{what} of {op}", reason, len(members), graph.sites[members[0].outputs[0]].name)
    rest = [node for node, reason in nodes if reason.startswith(FOLLOWS)]
    if rest:
        reason = "nothing is known of what it is made from, which was not predicted"
        yield Gap(f"{what} of what follows", reason, len(rest), graph.sites[rest[0].outputs[0]].name)

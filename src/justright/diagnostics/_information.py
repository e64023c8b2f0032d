"""Which sites have lost what the input says, and whether all of it goes through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from justright.core.coverage import Gap
from justright.core.findings import Severity
from justright.core.graph import Graph, Role
from justright.core.information import RelationStatistics, read_sites
from justright.core.profile import SiteRecord
from justright.core.vocabulary import Kind
from justright.diagnostics._shrinking import GRADIENT
from justright.diagnostics._units import feeding
from justright.diagnostics.base import Case

__all__ = ["EPSILON", "ROUNDING", "Lost", "alike", "compared", "lost", "separated", "starts", "unknown"]

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Spacing of numbers at 1 in each dtype (IEEE 754-2019; bfloat16 has seven bits of mantissa)."""

ROUNDING = 4.0
"""Units of rounding that single features keep as noise: sums of a few hundred products err by several."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What is lost on the way, as seen where it is first lost.

    Parameters
    ----------
    severity
        How bad it is.
    record
        The shallowest of the sites through which everything goes.
    start, value
        The quantity where the network starts, and there.
    nats
        Logarithm of the factor between the two.
    """

    severity: Severity
    record: SiteRecord
    start: float
    value: float
    nats: float


Measure = Callable[[SiteRecord, RelationStatistics], float]
Gone = Callable[[SiteRecord, RelationStatistics], bool]


def compared(case: Case) -> list[tuple[int, SiteRecord, RelationStatistics]]:
    """Return the compared sites that weights read, in execution order, what the network starts from aside."""
    first = {record.name for record in starts(case)}
    found = [(site, case.record(site)) for site in read_sites(case.graph)]
    return [
        (site, record, record.relation)
        for site, record in found
        if record and record.relation and record.name not in first
    ]


def starts(case: Case) -> list[SiteRecord]:
    """Return the records of the model's floating inputs, and of what tables give for integer ones."""
    graph = case.graph
    return [
        record
        for record in case.profile.sites
        if record.relation and (record.role == "input" or _looked_up(graph, graph.by_name[record.name].index))
    ]


def alike(case: Case) -> bool:
    """Say whether the inputs of the batch do not differ by more than rounding, or could not be compared."""
    return not any(
        each.relation and each.relation.spread > ROUNDING * EPSILON.get(each.dtype, 0.0) for each in starts(case)
    )


def unknown(case: Case, what: str) -> Gap | None:
    """State the sites that weights read whose examples were not compared."""
    records = [case.record(site) for site in read_sites(case.graph)]
    finite = [record for record in records if record and record.forward and not record.forward.nonfinite]
    blind = [record for record in finite if not record.relation]
    reason = "it is not known along which axis its examples lie, or there are fewer than two"
    return Gap(what, reason, len(blind), blind[0].name) if blind else None


def lost(case: Case, start: float, measure: Measure, gone: Gone, *, steadily: bool = False) -> Lost | None:
    """Find whether a quantity is lost on every way from the input to the loss, and how badly.

    Parameters
    ----------
    case
        What to read.
    start
        The quantity where the network starts.
    measure
        The quantity at a site, from its record and its relation; ``nan`` where it says nothing.
    gone
        Says of the same whether nothing but rounding is left.
    steadily
        Whether a loss above rounding counts only if it goes on from layer to layer: a single layer that loses much
        still reads all of it, and so can learn to keep it.
    """
    records = [(site, record, measure(record, relation), relation) for site, record, relation in compared(case)]
    known = [each for each in records if not math.isnan(each[2])]
    below = [each for each in known if gone(each[1], each[3])]
    if separated(case, [site for site, *_ in below]):
        return _lost(below, start, Severity.ERROR)
    for severity, limit in ((Severity.WARNING, GRADIENT.warning), (Severity.NOTE, GRADIENT.note)):
        small = [each for each in known if _nats(start, each[2]) > limit]
        settled = _settled(case.graph, small, [site for site, *_ in known])
        enough = not steadily or (settled and _steady([start, *(each[2] for each in known)]) > limit)
        if enough and separated(case, [site for site, *_ in settled]):
            return _lost(settled, start, severity)
    return None


Known = list[tuple[int, SiteRecord, float, RelationStatistics]]


def _lost(found: Known, start: float, severity: Severity) -> Lost:
    _, record, value, _ = found[0]
    return Lost(severity, record, start, value, _nats(start, value))


def _nats(start: float, value: float) -> float:
    return math.log(start / value) if value > 0 else math.inf


def _steady(values: list[float]) -> float:
    """Nats lost from end to end without the largest step, as if it had been like the others."""
    steps = [_nats(before, after) for before, after in pairwise(values) if before > 0]
    return (sum(steps) - max(steps)) * len(steps) / (len(steps) - 1) if len(steps) > 1 else 0.0


def _settled(graph: Graph, small: Known, known: Iterable[int]) -> Known:
    """Leave out the sites behind which the quantity has recovered, as batch normalization can make it."""
    roots = {graph.root(site) for site, *_ in small}
    leads = {root for site in known if (root := graph.root(site)) not in roots}
    for node in reversed(graph.nodes):
        if any(output in leads for output in node.outputs):
            leads.update(operand.site for operand in node.operands)
    return [each for each in small if graph.root(each[0]) not in leads]


def separated(case: Case, sites: Iterable[int]) -> bool:
    """Say whether these sites lie on every way from the model's inputs to the loss.

    Targets, and inputs that reach the loss past all weights, are no ways.
    """
    blocked = {case.graph.root(site) for site in sites}
    return bool(blocked) and _reaches(case, frozenset()) and not _reaches(case, frozenset(blocked))


def _reaches(case: Case, blocked: frozenset[int]) -> bool:
    graph, fed = case.graph, feeding(case)
    alive = {
        site.index
        for site in graph.sites
        if site.role is Role.INPUT and site.index in fed and not site.name.startswith("target")
    } - blocked
    given = frozenset(alive)
    for node in graph.nodes:
        ignored = given if node.module == "loss" else frozenset[int]()
        reads = {each.site for each in node.operands if not (node.kind is Kind.LOSS and each.name == "target")}
        if not alive.isdisjoint(reads - ignored):
            alive.update(output for output in node.outputs if output not in blocked)
    ends = graph.outputs if graph.loss is None else (graph.loss,)
    return not alive.isdisjoint(ends)


def _looked_up(graph: Graph, site: int) -> bool:
    node = graph.producer(site)
    return node is not None and node.kind is Kind.LOOKUP

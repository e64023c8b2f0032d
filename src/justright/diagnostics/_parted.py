"""Where measurement and prediction part, and whether the weights or the data are why."""

from __future__ import annotations

from enum import Enum
from functools import cached_property

from justright.core.graph import Graph, Node, Role
from justright.core.prediction import Estimate
from justright.core.profile import SiteRecord
from justright.core.vocabulary import Kind
from justright.diagnostics._data import UNIT
from justright.diagnostics.base import Case

__all__ = ["FAR", "Blame", "Parted", "picks"]

FAR = 2.0
"""Factor outside the interval from which on chance and small errors of the theory explain nothing. [ours]"""

DROWNED = 10.0
"""Largest over middle standard deviation of features from which the signal is that of a few, 100 times the others."""

HANDING_ON = frozenset({Kind.VIEW, Kind.CAST, Kind.SELECTION, Kind.JOIN, Kind.LOOKUP})
"""Kinds of operators whose output is larger or smaller because a part of what they read is."""


class Blame(Enum):
    """What was not as the prediction assumed."""

    WEIGHTS = "weights"
    DATA = "data"


class Parted:
    """Sites of one case whose RMS lies far outside the interval that was predicted for it.

    Parameters
    ----------
    case
        Graph and measured profile, each record with what was predicted of it.
    """

    def __init__(self, case: Case) -> None:
        self._case = case

    def estimate(self, site: int) -> Estimate | None:
        """Return what was predicted of a site, ``None`` if the two cannot be compared."""
        return _estimate(self._case.record(site))

    def factor(self, site: int) -> float:
        """Factor by which a site lies outside its interval; 1 within, and where either is zero."""
        record, estimate = self._case.record(site), self.estimate(site)
        if record is None or record.forward is None or estimate is None or not record.forward.rms > 0:
            return 1.0
        return max(record.forward.rms / estimate.high, estimate.low / record.forward.rms, 1.0)

    @property
    def parameters(self) -> tuple[int, ...]:
        """Parameters that are not what their recorded initializers draw, the furthest first."""
        known = self._case.graph.parameter_sites
        drawn = (site for site, parameter in known.items() if parameter.initializer is not None)
        return tuple(sorted((site for site in drawn if self.factor(site) > FAR), key=lambda site: -self.factor(site)))

    def signals(self, blame: Blame) -> tuple[int, ...]:
        """Return the sites where signals part although all that is read there is as predicted.

        Parameters
        ----------
        blame
            Data, where an operator reads nothing that was learned but parameters that are as they should be; weights
            everywhere else.
        """
        return tuple(site for site, found in self._first.items() if found is blame)

    @cached_property
    def _first(self) -> dict[int, Blame]:
        graph = self._case.graph
        parted = ((site.index, site.node) for site in graph.sites if self.factor(site.index) > FAR)
        nodes = ((site, graph.nodes[node]) for site, node in parted if node is not None)
        return {site: found for site, node in nodes if (found := self._blame(node)) is not None}

    def _blame(self, node: Node) -> Blame | None:
        """Say why an operator's output parts; ``None`` where the reason lies before it."""
        picked = picks(node) and self._fed(node)
        if not self._near(node) or (node.kind in HANDING_ON and not picked) or self._collapsed(node):
            return None
        if picked or (self._fed(node) and self._uneven(node)):
            return Blame.DATA
        return None if any(self._unusual[operand.site] for operand in node.operands) else Blame.WEIGHTS

    def _fed(self, node: Node) -> bool:
        """Say whether an operator reads the batch, or what was made of it without parameters, and no other signal."""
        only = self._case.graph.parameter_only
        reads = [operand.site for operand in node.operands if not only[operand.site]]
        return any(self._varies[site] for site in reads) and not any(self._learned[site] for site in reads)

    def _uneven(self, node: Node) -> bool:
        """Say whether the batch is why: no weight is read, or a few of the batch's features drown the others."""
        graph = self._case.graph
        roots = {graph.sites[graph.root(operand.site)].name for operand in node.operands}
        spread = (record.spread > DROWNED for record in self._case.profile.data if record.name in roots)
        return not any(graph.parameter_only[operand.site] for operand in node.operands) or any(spread)

    def _near(self, node: Node) -> bool:
        """Say whether all that an operator reads is inside its interval, or silent as predicted."""
        graph = self._case.graph
        reads = [operand.site for operand in node.operands if graph.sites[operand.site].floating]
        return all(self._expected(site) for site in reads)

    def _collapsed(self, node: Node) -> bool:
        """Say whether a normalization's epsilon outweighs what it divides by.

        Its output is then a difference from the mean, of which the size of what it reads says nothing.
        """
        record = self._case.record(node.outputs[0])
        low = record is not None and record.forward is not None and record.forward.rms < UNIT
        return node.kind is Kind.NORMALIZATION and low

    def _expected(self, site: int) -> bool:
        record = self._case.record(site)
        silent = record is not None and record.forward is not None and record.forward.rms == 0
        return silent or (self.estimate(site) is not None and self.factor(site) <= FAR**0.5)

    @cached_property
    def _unusual(self) -> list[bool]:
        """For every site, whether it follows from rows of a table that are outside their interval, such as padding.

        Rows that are picked again and again add up where positions are averaged, however little they differ in size.
        """
        graph = self._case.graph
        start = [False] * len(graph.sites)
        for node in graph.nodes:
            if picks(node) and self._fed(node):
                start[node.outputs[0]] = self.factor(node.outputs[0]) > 1.0
        return _after(graph, start)

    @cached_property
    def _varies(self) -> list[bool]:
        """For every site, whether it follows from the batch."""
        graph = self._case.graph
        return _after(graph, [site.role is Role.INPUT for site in graph.sites])

    @cached_property
    def _learned(self) -> list[bool]:
        """For every site, whether a parameter is among what it is made from."""
        graph = self._case.graph
        return _after(graph, [site.role is Role.PARAMETER for site in graph.sites])


def _after(graph: Graph, start: list[bool]) -> list[bool]:
    """Return what follows from marked leaves."""
    found = list(start)
    for node in graph.nodes:
        if any(found[operand.site] for operand in node.operands):
            for output in node.outputs:
                found[output] = True
    return found


def _estimate(record: SiteRecord | None) -> Estimate | None:
    if record is None or record.predicted is None or record.forward is None or record.forward.nonfinite:
        return None
    estimate = record.predicted.forward
    return estimate if estimate is not None and estimate.trusted and estimate.low > 0 else None


def picks(node: Node) -> bool:
    """Say whether an operator looks up rows of a table, so that its output parts by which ones are picked."""
    return node.kind is Kind.LOOKUP or node.op in {"index", "index_select", "gather", "take"}

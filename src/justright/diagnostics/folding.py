"""Symptom to cause: findings that one cause explains fold into one, with the cause first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from justright.core.findings import Finding, Severity
from justright.core.graph import Graph

__all__ = ["folded"]

Causes = Mapping[str, tuple[str, ...]]


def folded(findings: Sequence[Finding], graph: Graph, causes: Causes) -> tuple[Finding, ...]:
    """Put every finding that another one explains among that one's symptoms.

    A finding is a symptom of another if its diagnostic names the other's among its causes, if the other is a warning at
    least or as severe as itself, and if a signal (and so a gradient) runs between the sites of the two. What is left is
    as severe as its worst symptom: a cause of something that ends training ends training.

    Parameters
    ----------
    findings
        In order, causes first among equals.
    graph
        The graph whose sites they name.
    causes
        For every code, the codes of what can bring it about; never in a circle.
    """
    reach = _Reach(graph)
    parents: dict[int, int] = {}
    for index, finding in enumerate(findings):
        able = (other for other, each in enumerate(findings) if _explains(each, finding, causes))
        found = next((other for other in able if reach.joined(findings[other], finding)), None)
        if found is not None:
            parents[index] = found
    symptoms: dict[int, list[Finding]] = defaultdict(list)
    for index, finding in enumerate(findings):
        if index in parents:
            symptoms[_root(index, parents)].append(finding)
    return tuple(
        _with_symptoms(finding, symptoms[index]) for index, finding in enumerate(findings) if index not in parents
    )


def _explains(cause: Finding, finding: Finding, causes: Causes) -> bool:
    matters = cause.severity >= min(Severity.WARNING, finding.severity)
    return matters and cause.code in causes.get(finding.code, ())


def _root(index: int, parents: Mapping[int, int]) -> int:
    while index in parents:
        index = parents[index]
    return index


def _with_symptoms(finding: Finding, symptoms: Sequence[Finding]) -> Finding:
    worst = max((each.severity for each in symptoms), default=finding.severity)
    return replace(finding, severity=max(finding.severity, worst), symptoms=tuple(symptoms))


class _Reach:
    """Which sites a signal can run between, found once for every set of sites that is asked about."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[tuple[str, ...], frozenset[int]] = {}

    def joined(self, one: Finding, other: Finding) -> bool:
        """Say whether a signal runs from a site of one to a site of the other, or back."""
        ends = self._indices(other.sites)
        return not self._around(one.sites).isdisjoint(ends) if ends and self._indices(one.sites) else True

    def _indices(self, names: Iterable[str]) -> frozenset[int]:
        sites = self._graph.by_name
        return frozenset(sites[name].index for name in names if name in sites)

    def _around(self, names: tuple[str, ...]) -> frozenset[int]:
        """Return all sites before, at and after these, with the parameters on the way.

        A parameter acts where it is read.
        """
        if names not in self._known:
            start = self._indices(names)
            self._known[names] = self._with_parameters(self._after(start) | self._before(start | self._acted_on(start)))
        return self._known[names]

    def _acted_on(self, parameters: frozenset[int]) -> frozenset[int]:
        """Return the signals that are made with one of these, through views and casts of it."""
        sites = self._graph.parameter_only
        nodes = (
            node
            for node in self._graph.nodes
            if any(not sites[each.site].isdisjoint(parameters) for each in node.operands)
        )
        return frozenset(output for node in nodes for output in node.outputs if not sites[output])

    def _with_parameters(self, found: frozenset[int]) -> frozenset[int]:
        nodes = (node for node in self._graph.nodes if not found.isdisjoint(node.outputs))
        return found.union(*(self._graph.parameter_only[each.site] for node in nodes for each in node.operands))

    def _after(self, start: frozenset[int]) -> frozenset[int]:
        found = set(start)
        for node in self._graph.nodes:
            if any(operand.site in found for operand in node.operands):
                found.update(node.outputs)
        return frozenset(found)

    def _before(self, start: frozenset[int]) -> frozenset[int]:
        found = set(start)
        for node in reversed(self._graph.nodes):
            if any(output in found for output in node.outputs):
                found.update(operand.site for operand in node.operands)
        return frozenset(found)

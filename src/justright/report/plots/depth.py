"""The depth profile: RMS of layer outputs and of their gradients, averaged geometrically per depth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING

from justright.core.depth import Layer, layers
from justright.core.findings import Severity

if TYPE_CHECKING:
    from justright.core.profile import TensorStatistics
    from justright.report.report import Report

__all__ = ["Column", "Level", "binned", "depth_columns"]


@dataclass(frozen=True, slots=True)
class Level:
    """RMS of several tensors, kept so that two levels merge exactly.

    Parameters
    ----------
    log_sum
        Sum of ln rms over the tensors whose RMS is finite and above zero.
    positive, zeros, nonfinite
        Numbers of tensors whose RMS is finite and above zero, exactly zero, not finite.
    """

    log_sum: float = 0.0
    positive: int = 0
    zeros: int = 0
    nonfinite: int = 0

    def __add__(self, other: Level) -> Level:
        """Merge two levels."""
        return Level(
            self.log_sum + other.log_sum,
            self.positive + other.positive,
            self.zeros + other.zeros,
            self.nonfinite + other.nonfinite,
        )

    @property
    def rms(self) -> float:
        """Geometric mean of what is above zero; 0 if all are zero, ``nan`` if there is none."""
        if self.positive:
            return math.exp(self.log_sum / self.positive)
        return 0.0 if self.zeros else math.nan

    @property
    def drawable(self) -> bool:
        """Whether a logarithmic axis can show it."""
        return self.positive > 0 and self.nonfinite == 0


@dataclass(frozen=True, slots=True)
class Column:
    """What a picture shows of one depth, or of several neighbouring ones.

    Parameters
    ----------
    first, last
        Depths that it covers, both included.
    forward, gradient
        RMS of the layer outputs and of their gradients.
    mark
        Worst severity of a finding that sits here; ``None`` without one.
    """

    first: int
    last: int
    forward: Level = Level()
    gradient: Level = Level()
    mark: Severity | None = None

    def __add__(self, other: Column) -> Column:
        """Merge two neighbouring columns."""
        return Column(
            min(self.first, other.first),
            max(self.last, other.last),
            self.forward + other.forward,
            self.gradient + other.gradient,
            max((mark for mark in (self.mark, other.mark) if mark), default=None),
        )


def depth_columns(report: Report) -> tuple[Column, ...]:
    """Return one column a depth, shallowest first; empty for a network without weights.

    Parameters
    ----------
    report
        Graph, profile and findings.
    """
    found = layers(report.graph)
    forward: defaultdict[int, Level] = defaultdict(Level)
    gradient: defaultdict[int, Level] = defaultdict(Level)
    for layer in found:
        for site in layer.outputs:
            record = report.profile.by_name.get(report.graph.sites[site].name)
            forward[layer.depth] += _level(record.forward if record else None)
            gradient[layer.depth] += _level(record.gradient if record else None)
    marks = _marks(report, found)
    return tuple(Column(depth, depth, forward[depth], gradient[depth], marks.get(depth)) for depth in sorted(forward))


def binned(columns: tuple[Column, ...], count: int) -> tuple[Column, ...]:
    """Merge neighbouring columns until at most `count` are left.

    Parameters
    ----------
    columns
        One a depth.
    count
        Largest number of columns, at least one.
    """
    total = len(columns)
    if total <= count:
        return columns
    edges = [index * total // count for index in range(count + 1)]
    return tuple(reduce(Column.__add__, columns[start:stop]) for start, stop in pairwise(edges))


def _level(statistics: TensorStatistics | None) -> Level:
    if statistics is None:
        return Level()
    if statistics.nonfinite or not math.isfinite(statistics.rms):
        return Level(nonfinite=1)
    return Level(math.log(statistics.rms), positive=1) if statistics.rms > 0 else Level(zeros=1)


def _marks(report: Report, found: Iterable[Layer]) -> Mapping[int, Severity]:
    """Worst severity of the findings at each depth."""
    graph = report.graph
    depths = {graph.sites[site].name: layer.depth for layer in found for site in (*layer.weights, *layer.outputs)}
    aliases = {alias: parameter.name for parameter in graph.parameters for alias in parameter.aliases}
    marks: dict[int, Severity] = {}
    for finding in report.findings:
        for name in finding.sites:
            depth = _depth_of(report, aliases.get(name, name), depths)
            if depth is not None:
                marks[depth] = max(finding.severity, marks.get(depth, finding.severity))
    return marks


def _depth_of(report: Report, name: str, depths: Mapping[str, int]) -> int | None:
    """Depth at which a site is drawn; one between two layers belongs to the layer before it."""
    site = report.graph.by_name.get(name)
    if name in depths or site is None:
        return depths.get(name)
    readers = report.graph.consumers[site.index] if site.node is None else ()
    made = report.graph.nodes[readers[0]].outputs if readers else ()
    record = report.profile.by_name.get(report.graph.sites[made[0]].name if made else name)
    return max(record.depth, min(depths.values(), default=1)) if record else None

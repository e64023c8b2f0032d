"""What a site still tells of its input: how different examples, positions and units are there.

Each class holds what one look at a tensor gave, over a deterministic subsample of it; the numbers are ratios, so that
their scale does not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

from justright.core.depth import layers
from justright.core.graph import Graph

__all__ = ["UNITS", "AttentionStatistics", "RelationStatistics", "RoutingStatistics", "read_sites"]

UNITS: Final = 256
"""Units that are compared at most, evenly spaced among all of a site."""


@dataclass(frozen=True, slots=True)
class RelationStatistics:
    """How far examples, positions and units differ at one site.

    Parameters
    ----------
    examples, positions, units
        How many there are; of each at most a few were compared.
    cosine
        Mean cosine between two examples.
    spread
        RMS of the deviation of an example from the mean example, over the RMS of the values; ``nan`` if all are zero.
    resolved
        The same for single features, each over its own RMS: what the tenth that differs most reaches.
    rank
        Effective rank of the deviations: the participation ratio of their spectrum, at most ``examples - 1``.
    third
        Third largest singular value of the deviations over the largest; ``nan`` with fewer than four examples or three
        features.
    position_spread
        RMS of the deviation of a position from its example's mean position, over the RMS; ``nan`` with one position.
    varying
        Units compared that are not constant over the batch.
    distinct
        How many different ones are among them: units that are equal wherever they were compared count once.
    gradient_varying, gradient_distinct
        The same for the gradient; 0 where there is none.
    """

    examples: int
    positions: int
    units: int
    cosine: float
    spread: float
    resolved: float
    rank: float
    third: float
    position_spread: float
    varying: int
    distinct: int
    gradient_varying: int = 0
    gradient_distinct: int = 0

    @property
    def compared(self) -> int:
        """How many of the units were compared."""
        return len(range(0, self.units, -(-self.units // UNITS) or 1))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return _data(self)


@dataclass(frozen=True, slots=True)
class AttentionStatistics:
    """How sharply attention chooses: over a subsample of rows that may choose between two positions or more.

    Parameters
    ----------
    rows
        Rows compared.
    positions
        Length of a row.
    entropy
        Mean entropy of a row over the logarithm of the number of positions it may choose from: 1 is uniform.
    sharp
        Share of rows that put nearly everything on one position.
    slope
        Mean of ``1 - sum(p**2)``, the trace of the softmax's Jacobian: what a gradient can pass through.
    """

    rows: int
    positions: int
    entropy: float
    sharp: float
    slope: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return _data(self)


@dataclass(frozen=True, slots=True)
class RoutingStatistics:
    """Which experts a router chooses, over a subsample of tokens.

    Parameters
    ----------
    tokens
        Tokens compared.
    chosen
        Experts a token is sent to.
    load
        Tokens that each expert gets.
    """

    tokens: int
    chosen: int
    load: tuple[int, ...]

    @property
    def used(self) -> int:
        """Number of experts that get any token."""
        return sum(count > 0 for count in self.load)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"tokens": self.tokens, "chosen": self.chosen, "load": list(self.load)}


def read_sites(graph: Graph) -> tuple[int, ...]:
    """Return the signals that weights read, in execution order.

    Of a weight used several times, what its last use reads; of several views of one tensor, as the query, the key and
    the value of attention read it, the first of each shape.

    Parameters
    ----------
    graph
        A traced graph.
    """
    reads = sorted(operand.site for layer in layers(graph) for operand in graph.nodes[layer.nodes[-1]].operands)
    found: dict[tuple[int, tuple[int, ...]], int] = {}
    for index in reads:
        site = graph.sites[index]
        if site.floating and site.shape and not graph.parameter_only[index]:
            found.setdefault((graph.root(index), site.shape), index)
    return tuple(found.values())


def _data(record: RelationStatistics | AttentionStatistics) -> dict[str, Any]:
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}

"""What several batches showed, as one: statistics merge, groups of identical units meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self, TypeVar

from justright.adapters.base import Observation

__all__ = ["merged"]


class _Mergeable(Protocol):
    def merge(self, other: Self) -> Self:
        """Combine two parts into the whole."""
        ...


Each = TypeVar("Each", bound=_Mergeable)
Key = TypeVar("Key", int, str)
Groups = tuple[tuple[int, ...], ...]


def merged(first: Observation, second: Observation) -> Observation:
    """Merge two observations of one graph; parameters, which no batch changes, come from the first.

    The gradients of several batches are pooled, not summed: their RMS is over the elements of all of them.
    """
    return Observation(
        _joined(first.forward, second.forward),
        _joined(first.gradient, second.gradient),
        _joined(first.units, second.units),
        first.parameters,
        _joined(first.parameter_gradients, second.parameter_gradients),
        {
            name: (units, _meet(groups, second.identical[name][1]))
            for name, (units, groups) in first.identical.items()
            if name in second.identical
        },
        [*first.losses, *second.losses],
        first.scored,
        data=_joined(first.data, second.data),
        edges=_joined(first.edges, second.edges),
        same=first.same,
        relations=_joined(first.relations, second.relations),
        attention=_joined(first.attention, second.attention),
        routing=_joined(first.routing, second.routing),
        step=first.step,
    )


def _joined(first: Mapping[Key, Each], second: Mapping[Key, Each]) -> dict[Key, Each]:
    both = {key: value.merge(second[key]) if key in second else value for key, value in first.items()}
    return both | {key: value for key, value in second.items() if key not in first}


def _meet(first: Groups, second: Groups) -> Groups:
    """Units stay identical only if they are so for every batch."""
    parts = (tuple(sorted(set(one) & set(other))) for one in first for other in second)
    return tuple(part for part in parts if len(part) > 1)

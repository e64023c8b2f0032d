"""Sources: random tensors of which nothing is known but their moments, and what two of them have in common.

A source that is a sum remembers its terms, and a view what it is a view of; so cross moments of two sources follow
from those of what they are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from justright.core.axes import Array
from justright.core.indexing import Piece
from justright.core.moments import Moments, align, outer_means
from justright.core.profile import Provenance

__all__ = ["Source", "cross", "related"]

CHANCE: Final = 0.01
"""Correlation of different elements below which they are taken as independent: the weights of a network of usual width
have as much by chance, and a product of such elements changes by its square."""

REMEMBERED: Final = 24
"""Ancestors that a sum remembers, the latest first."""


@dataclass(frozen=True, eq=False)
class Source:
    """A random tensor known by its moments.

    Parameters
    ----------
    moments
        Its moments.
    gaussian
        Whether its elements are Gaussian, as sums of many independent terms are.
    provenance
        Where its moments come from.
    terms
        If it is a sum of other sources: their factors and these.
    shift
        What is added to that sum.
    fan
        Independent weights over which each unit sums: the variance of a unit differs from others' by 2 / fan.
    parent
        If it is a view of another source: that source, what tells the view from others, and the view.
    views
        What became of it under views, so that two equal views of it are one source.
    """

    moments: Moments
    gaussian: bool = True
    provenance: Provenance = Provenance.ASYMPTOTIC
    terms: tuple[tuple[float, Source], ...] = ()
    shift: float = 0.0
    fan: float = math.inf
    parent: tuple[Source, Hashable, Callable[[Moments], Moments]] | None = None
    views: dict[Hashable, Source] = field(default_factory=dict)

    @cached_property
    def ancestors(self) -> tuple[Source, ...]:
        """Sources of which it is a sum, directly or through other sums."""
        found = dict.fromkeys(term for _, term in self.terms)
        for _, term in self.terms:
            found |= dict.fromkeys(term.ancestors)
        return tuple(found)[:REMEMBERED]

    def viewed(self, key: Hashable, view: Callable[[Moments], Moments]) -> Source:
        """Return what a view makes of it; the same source for the same key."""
        if key not in self.views:
            self.views[key] = Source(
                view(self.moments), self.gaussian, self.provenance, fan=self.fan, parent=(self, key, view)
            )
        return self.views[key]

    @cached_property
    def certain(self) -> bool:
        """Whether it is one number everywhere, and no random tensor."""
        pairs, mean = self.moments.pairs, self.moments.mean
        return bool(np.ptp(mean) == 0.0 and np.all(np.abs(pairs - mean.flat[0] ** 2) <= 1e-14 * np.max(np.abs(pairs))))


def cross(first: Source, second: Source, depth: int = 4) -> Array:
    """Return E[x y'] for every case of pairs of two sources, on the axes that `align` gives both."""
    one, two = align(first.moments, second.moments)
    if first is second:
        return one.pairs
    if depth and second in first.ancestors:
        terms = [factor * _onto(term, second, one, depth) for factor, term in first.terms]
        return np.asarray(sum(terms)) + first.shift * two.right(two.mean)
    if depth and first in second.ancestors:
        return one.mirror(cross(second, first, depth))
    return _of_views(first, second, one) if _alike(first, second) else outer_means(one, two)


def _alike(one: Source, two: Source) -> bool:
    """Say whether two sources are the same view, or alike pieces, of sources of one shape."""
    if one.parent is None or two.parent is None or one.moments.shape != two.moments.shape:
        return False
    same = one.parent[0].moments.shape == two.parent[0].moments.shape
    return same and _siblings(one.parent[1], two.parent[1])


def _siblings(one: Hashable, other: Hashable) -> bool:
    """Say whether two views are equal, or take pieces of one size along one dimension."""
    if isinstance(one, Piece) and isinstance(other, Piece):
        return (one.dim, one.length, one.count, one.dropped) == (other.dim, other.length, other.count, other.dropped)
    return one == other


def _of_views(first: Source, second: Source, like: Moments) -> Array:
    """Cross moments of views of two sources: what the view makes of those of the sources."""
    assert first.parent is not None
    assert second.parent is not None
    (parent, key, view), (other, key_of_other, _) = first.parent, second.parent
    whole, _ = align(parent.moments, other.moments)
    whole = whole.with_values(whole.mean, cross(parent, other))
    if isinstance(key, Piece) and isinstance(key_of_other, Piece) and key != key_of_other:
        found = key.beside(key_of_other, whole, first.moments)
    else:
        found = view(whole)
    return align(found, like)[0].pairs


def _onto(term: Source, other: Source, like: Moments, depth: int) -> Array:
    """Cross moments of a term of a sum, spread to the axes of the sum."""
    found = cross(term, other, depth - 1)
    one, _ = align(term.moments, other.moments)
    spread, _ = align(one.with_values(one.mean, found), like)
    return spread.pairs


def related(one: Source, two: Source) -> bool:
    """Say whether two sources have anything in common."""
    if one is two or two in one.ancestors or one in two.ancestors:
        return True
    if one.parent is None or two.parent is None or not _alike(one, two):
        return False
    (parent, key, _), (other, key_of_other, _) = one.parent, two.parent
    return related(parent, other) and (key == key_of_other or _covary(one, two))


def _covary(one: Source, two: Source) -> bool:
    """Say whether elements of two pieces covary by more than is found by chance."""
    first, second = align(one.moments, two.moments)
    covariance = cross(one, two) - outer_means(first, second)
    return bool(np.max(np.abs(covariance)) > CHANCE * np.sqrt(np.max(first.variance) * np.max(second.variance)))

"""Signals: tensors as functions of random sources, so that what two tensors share is known.

A `Source` is a random tensor that nothing is known about but its moments: the result of a contraction with weights,
an input, a parameter. A `Signal` is a source, or a pointwise function of signals. The moments of a sum or product of
signals without a common source follow from theirs; those of any other function are integrals over its sources:
exactly for one, over quasi-random draws for several.

>>> x = signal(Source(Moments.independent((64,), 0.0, 1.0)))
>>> gate = mapped("sigmoid", lambda u: 1.0 / (1.0 + np.exp(-1.702 * u)), x)
>>> round(times(x, gate).moments.second_moment, 4), round(plus(x, x).moments.second_moment, 12)
(0.422, 4.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array
from justright.core.indexing import Piece
from justright.core.joint import Function, expectation_of_pairs
from justright.core.moments import Moments, align, outer_means
from justright.core.profile import Provenance

__all__ = [
    "MOST_SOURCES",
    "Signal",
    "Source",
    "between",
    "cross",
    "mapped",
    "plus",
    "scaled",
    "shifted",
    "signal",
    "times",
    "viewed",
]

MOST_SOURCES: Final = 6
"""Sources of a function beyond which it is taken as a source of its own: integrals over more are noise."""

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


@dataclass(frozen=True, eq=False)
class Signal:
    """A pointwise function of sources.

    Parameters
    ----------
    name
        Name of the outermost function, ``"source"`` for a source itself.
    function
        The function of the values of the arguments.
    arguments
        Signals that it takes, or the source.
    known
        Moments, where they follow from those of the arguments.
    kinks
        Values of the first argument at which the function is not smooth.
    line
        Factor, source and shift, where it is an affine function of one source.
    visible
        Where it is masked with minus infinity: for every element, broadcast, whether it is not.
    square
        Whether it is the square of a signal, whose mean over many elements hardly varies.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    known: Moments | None = None
    kinks: tuple[float, ...] = ()
    line: tuple[float, Source, float] | None = None
    visible: NDArray[np.bool_] | None = None
    square: bool = False

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Sources it depends on, in order of appearance."""
        if self.name == "source":
            return self.arguments
        return tuple(dict.fromkeys(source for each in self.arguments for source in each.sources))

    @property
    def source(self) -> Source | None:
        """The source, if it is one itself."""
        return self.arguments[0] if self.name == "source" else None

    @cached_property
    def moments(self) -> Moments:
        """Its moments."""
        return self.known if self.known is not None else _integrated(self)

    @property
    def shown(self) -> Moments:
        """Moments without what a mask of finite numbers adds to the elements that it hides."""
        return self.arguments[0].moments if self.name == "hidden" else self.moments

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.moments.shape

    @cached_property
    def provenance(self) -> Provenance:
        """Weakest origin of what its moments are made of."""
        worst = max((source.provenance for source in self.sources), default=Provenance.EXACT)
        if self.known is None and len(self.sources) > 1:
            worst = max(worst, Provenance.NUMERICAL)
        if self.known is None and not all(source.gaussian for source in self.sources):
            worst = max(worst, Provenance.FITTED)
        return worst

    def values(self, draws: Mapping[Source, Array]) -> Any:  # noqa: ANN401
        """Compute it from values of its sources."""
        if self.name == "source":
            return draws[self.arguments[0]]
        return self.function(*(each.values(draws) for each in self.arguments))

    def signature(self, order: Mapping[Source, int]) -> Hashable:
        """Say what function of which sources it is; equal for equal functions."""
        if self.name == "source":
            return order[self.arguments[0]]
        return (self.name, *(each.signature(order) for each in self.arguments))

    def settled(self, *, gaussian: bool = False) -> Signal:
        """Return it as a source of its own, which forgets what it is a function of."""
        return signal(Source(self.moments, gaussian, self.provenance)) if self.source is None else self


def signal(source: Source) -> Signal:
    """Return a source as a signal."""
    return Signal("source", _same, (source,), source.moments, line=(1.0, source, 0.0))


def scaled(x: Signal, factor: float) -> Signal:
    """Return a number times a signal."""
    if factor == 1.0:
        return x
    if factor == 0.0:  # nothing is left of what it was a function of
        return signal(Source(x.moments.scaled(0.0), True, x.provenance))
    line = (x.line[0] * factor, x.line[1], x.line[2] * factor) if x.line else None
    known = x.moments.scaled(factor)
    return Signal(f"scaled {factor!r}", lambda u: factor * u, (x,), known, line=line, visible=x.visible)


def shifted(x: Signal, value: float) -> Signal:
    """Return a signal plus a number."""
    if value == 0.0:
        return x
    line = (x.line[0], x.line[1], x.line[2] + value) if x.line else None
    known = x.moments.shifted(value)
    return Signal(f"shifted {value!r}", lambda u: u + value, (x,), known, line=line, visible=x.visible)


def plus(x: Signal, y: Signal) -> Signal:
    """Return the sum of two signals, which broadcast."""
    for one, other in ((x, y), (y, x)):
        source = one.source
        if source is not None and source.certain and one.visible is None:
            return _broadcast(shifted(other, source.moments.average_mean), one.moments)
    if x.line and y.line:
        return _sum_of_lines(x, y, x.line, y.line)
    known = x.moments.plus(y.moments) if _apart(x, y) else None
    return _limited(Signal("plus", np.add, (x, y), known))


def _sum_of_lines(x: Signal, y: Signal, one: tuple[float, Source, float], two: tuple[float, Source, float]) -> Signal:
    (a, first, up), (b, second, on) = one, two
    if first is second and x.shape == y.shape:
        return shifted(scaled(signal(first), a + b), up + on)
    mixed = between(x, y)
    known = x.moments.plus(y.moments, mixed)
    if first.gaussian and second.gaussian:
        return signal(Source(known, True, max(first.provenance, second.provenance), ((a, first), (b, second)), up + on))
    return _limited(Signal("plus", np.add, (x, y), known))


def between(x: Signal, y: Signal) -> Array | None:
    """Return E[x y'] for every case of pairs of two affine functions, on the axes that `align` gives both.

    ``None`` if they are independent, or are no affine functions of single sources.
    """
    if not x.line or not y.line or not _related(x.line[1], y.line[1]):
        return None
    (a, first, up), (b, second, on) = x.line, y.line
    one, two = align(first.moments, second.moments)
    mixed = a * b * cross(first, second) + a * on * one.left(one.mean)
    return np.asarray(mixed + up * b * two.right(two.mean) + up * on)


def times(x: Signal, y: Signal) -> Signal:
    """Return the product of two signals, which broadcast."""
    for one, other in ((x, y), (y, x)):
        source = one.source
        if source is not None and source.certain:
            return _broadcast(scaled(other, source.moments.average_mean), one.moments)
    if _apart(x, y):
        return _limited(Signal("times", np.multiply, (x, y), x.moments.times(y.moments)))
    return _limited(Signal("times", np.multiply, (x, y)))


def mapped(name: str, function: Callable[..., Any], *arguments: Signal, kinks: tuple[float, ...] = ()) -> Signal:
    """Return a function of signals, which broadcast.

    Parameters
    ----------
    name
        What tells this function from others, attributes included.
    function
        Function of the arguments' values, elementwise.
    *arguments
        Signals.
    kinks
        Values of the first argument at which the function or its slope jumps.
    """
    return _limited(Signal(name, function, arguments, None, kinks))


def viewed(x: Signal, key: Hashable, view: Callable[[Moments], Moments]) -> Signal:
    """Return what becomes of a signal under a view of the tensor.

    Parameters
    ----------
    x
        The signal.
    key
        What tells this view from others.
    view
        What it does to moments.
    """
    source = x.source
    if source is not None:
        return signal(source.viewed(key, view))
    shape = x.moments.shape
    if any(source.moments.shape != shape for source in x.sources):
        return signal(Source(view(x.moments), x.line is not None and x.line[1].gaussian, x.provenance))
    arguments = tuple(viewed(each, key, view) for each in x.arguments)
    line = (x.line[0], x.line[1].viewed(key, view), x.line[2]) if x.line else None
    return Signal(x.name, x.function, arguments, view(x.known) if x.known is not None else None, x.kinks, line)


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


def _same(x: Any) -> Any:  # noqa: ANN401
    return x


def _apart(x: Signal, y: Signal) -> bool:
    return not any(_related(one, two) for one in x.sources for two in y.sources)


def _related(one: Source, two: Source) -> bool:
    if one is two or two in one.ancestors or one in two.ancestors:
        return True
    if one.parent is None or two.parent is None or not _alike(one, two):
        return False
    (parent, key, _), (other, key_of_other, _) = one.parent, two.parent
    return _related(parent, other) and (key == key_of_other or _covary(one, two))


def _covary(one: Source, two: Source) -> bool:
    """Say whether elements of two pieces covary by more than is found by chance."""
    first, second = align(one.moments, two.moments)
    covariance = cross(one, two) - outer_means(first, second)
    return bool(np.max(np.abs(covariance)) > CHANCE * np.sqrt(np.max(first.variance) * np.max(second.variance)))


def _broadcast(x: Signal, other: Moments) -> Signal:
    """Give a signal the shape it takes against another."""
    if len(x.moments.dims) >= len(other.dims) and all(
        mine or not theirs for mine, theirs in zip(x.moments.dims[::-1], other.dims[::-1], strict=False)
    ):
        return x
    moments, _ = align(x.moments, other)
    shape = moments.shape
    return viewed(x, ("expand", shape), lambda each: each.expanded(shape))


def _limited(x: Signal) -> Signal:
    return x if len(x.sources) <= MOST_SOURCES else x.settled()


def _integrated(x: Signal) -> Moments:
    """Integrate a function over its sources."""
    sources = [source for source in x.sources if not source.certain]
    fixed = {source: np.asarray(source.moments.average_mean) for source in x.sources if source.certain}
    order = {source: position for position, source in enumerate(x.sources)}
    key = (x.signature(order), *map(float, fixed.values()))

    def function(*values: Array) -> Any:  # noqa: ANN401
        with np.errstate(all="ignore"):
            return x.values({**fixed, **dict(zip(sources, values, strict=True))})

    bends = x.kinks if all(each.name == "source" for each in x.arguments) else ()
    shape = _whole([source.moments for source in x.sources])
    if not sources:
        value = float(function())
        return shape.with_values(np.full_like(shape.mean, value), np.full_like(shape.pairs, value * value))
    return expectation_of_pairs(
        Function(function, key, bends),
        _aligned([source.moments for source in sources], shape),
        _crosses(sources, shape),
    )


def _whole(moments: list[Moments]) -> Moments:
    """Return one of these moments broadcast against all others."""
    whole = moments[0]
    for each in moments[1:]:
        whole, _ = align(whole, each)
    for each in moments:
        whole, _ = align(whole, each)
    return whole


def _aligned(moments: list[Moments], whole: Moments) -> list[Moments]:
    return [align(each, whole)[0] for each in moments]


def _crosses(sources: list[Source], whole: Moments) -> dict[tuple[int, int], Array]:
    """Covariances between related sources, by their positions, on common axes."""
    found = {}
    for i, one in enumerate(sources):
        for j, two in enumerate(sources[:i]):
            if _related(one, two):
                first, _ = align(one.moments, two.moments)
                pairs = align(first.with_values(first.mean, cross(one, two)), whole)[0].pairs
                means = outer_means(align(one.moments, whole)[0], align(two.moments, whole)[0])
                found[i, j] = pairs - means
    return found

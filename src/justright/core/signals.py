"""Signals: tensors as functions of random sources, so that what two tensors share is known.

A `Signal` is a source, or a pointwise function of signals. The moments of a sum or product of signals without a common
source follow from theirs; those of any other function are integrals over its sources: exactly for one, over
quasi-random draws for several.

>>> x = signal(Source(Moments.independent((64,), 0.0, 1.0)))
>>> gate = mapped("sigmoid", lambda u: 1.0 / (1.0 + np.exp(-1.702 * u)), x)
>>> round(times(x, gate).moments.second_moment, 4), round(plus(x, x).moments.second_moment, 12)
(0.422, 4.0)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array
from justright.core.integrated import integrated
from justright.core.moments import Moments, align
from justright.core.profile import Provenance
from justright.core.sources import Source, cross, related

__all__ = ["MOST_SOURCES", "Signal", "between", "mapped", "plus", "scaled", "shifted", "signal", "times", "viewed"]

MOST_SOURCES: Final = 6
"""Sources of a function beyond which it is taken as a source of its own: integrals over more are noise."""


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
        if self.known is not None:
            return self.known
        order = {source: position for position, source in enumerate(self.sources)}
        bends = self.kinks if all(each.name == "source" for each in self.arguments) else ()
        return integrated(self.sources, self.values, self.signature(order), bends)

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
    return Signal("source", lambda x: x, (source,), source.moments, line=(1.0, source, 0.0))


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
    if not x.line or not y.line or not related(x.line[1], y.line[1]):
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
    known = x.moments.times(y.moments) if _apart(x, y) else None
    return _limited(Signal("times", np.multiply, (x, y), known))


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
    if x.source is not None:
        return signal(x.source.viewed(key, view))
    shape = x.moments.shape
    if any(source.moments.shape != shape for source in x.sources):
        return signal(Source(view(x.moments), x.line is not None and x.line[1].gaussian, x.provenance))
    arguments = tuple(viewed(each, key, view) for each in x.arguments)
    line = (x.line[0], x.line[1].viewed(key, view), x.line[2]) if x.line else None
    return Signal(x.name, x.function, arguments, view(x.known) if x.known is not None else None, x.kinks, line)


def _apart(x: Signal, y: Signal) -> bool:
    return not any(related(one, two) for one in x.sources for two in y.sources)


def _broadcast(x: Signal, other: Moments) -> Signal:
    """Give a signal the shape it takes against another."""
    mine, theirs = x.moments.dims[::-1], other.dims[::-1]
    if len(mine) >= len(theirs) and all(one or not two for one, two in zip(mine, theirs, strict=False)):
        return x
    shape = align(x.moments, other)[0].shape
    return viewed(x, ("expand", shape), lambda each: each.expanded(shape))


def _limited(x: Signal) -> Signal:
    return x if len(x.sources) <= MOST_SOURCES else x.settled()

"""Moments of functions of several sources, integrated over what these are and have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from justright.core.axes import Array
from justright.core.joint import Function, expectation_of_pairs
from justright.core.moments import Moments, align, outer_means
from justright.core.sources import Source, cross, related

__all__ = ["integrated"]


def integrated(
    everything: Sequence[Source],
    values: Callable[[Mapping[Source, Array]], Any],
    signature: Hashable,
    kinks: tuple[float, ...] = (),
) -> Moments:
    """Integrate a function over its sources.

    Parameters
    ----------
    everything
        The sources, in order of appearance.
    values
        The function, from values of the sources.
    signature
        What tells it from other functions, in terms of the sources' order.
    kinks
        Values of its only source at which it is not smooth.
    """
    sources = [source for source in everything if not source.certain]
    fixed = {source: np.asarray(source.moments.average_mean) for source in everything if source.certain}
    key = (signature, *map(float, fixed.values()))

    def function(*given: Array) -> Any:  # noqa: ANN401
        with np.errstate(all="ignore"):
            return values({**fixed, **dict(zip(sources, given, strict=True))})

    shape = _whole([source.moments for source in everything])
    if not sources:
        value = float(function())
        return shape.with_values(np.full_like(shape.mean, value), np.full_like(shape.pairs, value * value))
    return expectation_of_pairs(
        Function(function, key, kinks),
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
            if related(one, two):
                first, _ = align(one.moments, two.moments)
                pairs = align(first.with_values(first.mean, cross(one, two)), whole)[0].pairs
                means = outer_means(align(one.moments, whole)[0], align(two.moments, whole)[0])
                found[i, j] = pairs - means
    return found

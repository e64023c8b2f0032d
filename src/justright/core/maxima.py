"""Moments of the largest of several equally correlated elements, each a function of a Gaussian variable.

Given what the elements share, they are independent, and the distribution of the largest is a power of theirs; what they
share is integrated over. So nothing but the quadrature is approximate for elements of equal covariance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from scipy.special import eval_hermitenorm, gammaln, ndtr, roots_hermitenorm

from justright.core.axes import Array
from justright.core.moments import Moments

__all__ = ["chosen", "common", "largest", "maximum"]

EDGES: Final = np.linspace(-8.0, 8.0, 641)
"""Cells of the standard normal distribution; the midpoint rule on them is right to h²/24 = 3e-5 of f''."""

NODES: Final = 32
"""Nodes of the quadrature over what the elements share."""

ORDERS: Final = 8
"""Hermite polynomials in what two windows share: the terms fall like the power of their correlation."""

LEAST: Final = 0.05
"""Share of the variance that is taken as common to find the slope of the largest, where less is."""


def largest(
    function: Callable[[Array], Array], mean: float, variance: float, shared: float, sizes: Mapping[int, float]
) -> tuple[float, float, Array]:
    """Return mean, second moment and Hermite coefficients of the largest f(u) of a window.

    Parameters
    ----------
    function
        The function f, elementwise.
    mean, variance
        Of each u.
    shared
        Covariance of two different u of the window.
    sizes
        Number of elements of a window, with the share of the windows that have so many.

    Returns
    -------
    tuple
        Mean, second moment, and coefficients in the normalized Hermite polynomials of what the u share.

    Examples
    --------
    >>> mean, second, _ = largest(lambda u: u, 0.0, 1.0, 0.0, {4: 1.0})
    >>> round(mean, 3), round(second - mean * mean, 3)
    (1.029, 0.492)
    """
    nodes, weights = roots_hermitenorm(NODES)
    weights = weights / weights.sum()
    middle = (EDGES[1:] + EDGES[:-1]) / 2.0
    u = mean + np.sqrt(shared) * nodes[:, None] + np.sqrt(max(variance - shared, 0.0)) * middle
    with np.errstate(all="ignore"):
        values = np.asarray(function(u), dtype=np.float64)
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, 1)
    below = np.cumsum(np.diff(ndtr(EDGES))[order], axis=1)
    below = below / below[:, -1:]
    masses = sum(share * np.diff(below**size, axis=1, prepend=0.0) for size, share in sizes.items())
    given = np.sum(masses * values, axis=1)
    second = float(weights @ np.sum(masses * values**2, axis=1))
    coefficients = _polynomials() @ (weights * given)
    return float(coefficients[0]), second, coefficients


def chosen(variance: float, shared: float, sizes: Mapping[int, float]) -> Callable[[Array], Array]:
    """Return how probable it is that an element is the largest of its window, given its deviation from the mean.

    Parameters
    ----------
    variance, shared, sizes
        As of `largest`.

    Returns
    -------
    Callable
        Of the deviation; over all elements its mean is one, as if each window had one element to give.
    """
    nodes, weights = roots_hermitenorm(NODES)
    weights = weights / weights.sum()
    share = shared / variance if variance > 0.0 else 0.0

    def found(deviation: Array) -> Array:
        total = np.zeros(np.shape(deviation))
        own = np.asarray(deviation)[..., None] * np.sqrt((1.0 - share) / max(variance, np.finfo(np.float64).tiny))
        below = ndtr(own - np.sqrt(share) * nodes)
        for size, part in sizes.items():
            total += part * size * (below ** (size - 1)) @ weights
        return total

    return found


@lru_cache(1)
def _polynomials() -> Array:
    """Return the normalized Hermite polynomials at the nodes."""
    nodes, _ = roots_hermitenorm(NODES)
    return np.stack([eval_hermitenorm(k, nodes) / np.exp(gammaln(k + 1) / 2.0) for k in range(ORDERS)])


def maximum(
    function: Callable[[Array], Array], x: Moments, average: Moments, rank: int, sizes: Mapping[int, float]
) -> Moments:
    """Return the moments of the maximum over windows of f(x).

    Parameters
    ----------
    function
        The function f, elementwise.
    x
        Moments of a Gaussian tensor, with one stratum in each of the last `rank` dimensions.
    average
        Moments of its averages over the same windows: two windows share as much as these do.
    rank
        Number of dimensions that are pooled.
    sizes
        As of `largest`.
    """
    lead = len(x.axes) - sum(map(len, x.dims[len(x.dims) - rank :]))
    outer = (1,) * (len(average.axes) - lead)
    leading: tuple[Any, ...] = tuple(slice(0, axis.groups) for axis in x.axes[:lead])
    cell: tuple[Any, ...] = (*leading, *(0,) * (len(x.axes) - lead))
    own = average.covariance[(*leading, *(0,) * len(outer))]
    first, second, shares, coefficients = _cells(function, x.mean[cell], x.variance[cell], own, sizes)
    pairs = np.zeros(average.pairs.shape)
    sides = [np.ix_(*(getattr(axis, side) for axis in x.axes[:lead])) for side in ("left", "right")]
    one, other = (np.sqrt(shares[side]).reshape(*shares[side].shape, *outer) for side in sides)
    ratio = np.clip(average.covariance / np.maximum(one * other, np.finfo(np.float64).tiny), -1.0, 1.0)
    for order in range(ORDERS):
        one, other = (coefficients[order][side].reshape(*shares[side].shape, *outer) for side in sides)
        pairs += one * other * ratio**order
    pairs[tuple(slice(0, axis.groups) for axis in average.axes)] = second.reshape(*second.shape, *outer)
    return average.with_values(first.reshape(*first.shape, *outer), pairs)


def common(average: Any, variance: Any, sizes: Mapping[int, float]) -> Any:  # noqa: ANN401
    """Return the covariance of two elements of a window, given the variance of the window's average and of an element.

    The average over m elements has the variance (variance + (m - 1) covariance) / m. Numbers or arrays.
    """
    single = sum(share / size for size, share in sizes.items())
    if single == 1.0:
        return 1.0 * variance
    return np.clip((average - single * variance) / (1.0 - single), 0.0, variance)


def _cells(
    function: Callable[[Array], Array], mean: Array, variance: Array, own: Array, sizes: Mapping[int, float]
) -> tuple[Array, Array, Array, Array]:
    """Return mean, second moment, what is shared, and the coefficients, for every cell of the leading axes."""
    shares = np.asarray(common(own, variance, sizes))
    enough = np.maximum(shares, LEAST * variance)
    first, second, coefficients = np.empty(mean.shape), np.empty(mean.shape), np.empty((ORDERS, *mean.shape))
    for cell in np.ndindex(*mean.shape):
        whole = (slice(None), *cell)
        first[cell], second[cell], coefficients[whole] = largest(
            function, float(mean[cell]), float(variance[cell]), float(shares[cell]), sizes
        )
        if enough[cell] > shares[cell]:
            given = float(mean[cell]), float(variance[cell]), float(enough[cell])
            coefficients[whole] = largest(function, *given, sizes)[2]
            coefficients[(0, *cell)] = first[cell]
    return first, second, enough, coefficients

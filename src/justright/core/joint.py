"""Moments of a function of Gaussian tensors, for every case of two elements."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from justright.core.axes import Array
from justright.core.hermite import Expansion
from justright.core.moments import Moments
from justright.core.sobol import sobol
from justright.core.tails import expanded

__all__ = ["DRAWS", "Function", "expectation_of_pairs"]

DRAWS: Final = 2048
"""Quasi-random draws where a function has several sources; their error is below 1 % of the second moment."""

BATCH: Final = 64
"""Cases integrated at once."""

_EXPANSIONS: dict[Hashable, Expansion] = {}
_KEPT: Final = 4096


@dataclass(frozen=True)
class Function:
    """A pointwise function, with what tells it from others and where it is not smooth."""

    call: Callable[..., Any]
    key: Hashable
    kinks: tuple[float, ...] = ()


def expectation_of_pairs(
    function: Function, sources: Sequence[Moments], crosses: Mapping[tuple[int, int], Array]
) -> Moments:
    """Return the moments of a function of Gaussian sources on the same axes.

    Parameters
    ----------
    function
        Function of as many arrays as there are sources.
    sources
        Their moments, aligned; one of them alone may also stand for the axes of a function of nothing.
    crosses
        Covariance of source i and source j, shaped as `pairs`, for those that are not independent.
    """
    if len(sources) == 1:
        return _of_one(function, sources[0])
    return _of_several(function, sources, crosses)


def _of_one(function: Function, x: Moments) -> Moments:
    """Expand the function in Hermite polynomials in every cell, and sum over the pairs."""
    expansion = _expanded(function, x)
    left = expansion.at(np.ix_(*(axis.left for axis in x.axes)))
    right = expansion.at(np.ix_(*(axis.right for axis in x.axes)))
    spread = np.sqrt(x.left(x.variance) * x.right(x.variance))
    correlation = np.divide(x.covariance, spread, out=np.zeros_like(spread), where=spread > 0)
    pairs = left.pair(right, np.clip(correlation, -1.0, 1.0))
    return x.with_values(expansion.coefficients[..., 0], pairs)


def _expanded(function: Function, x: Moments) -> Expansion:
    variance = x.variance
    key = (function.key, x.mean.shape, x.mean.tobytes(), variance.tobytes())
    if key not in _EXPANSIONS:
        if len(_EXPANSIONS) >= _KEPT:
            _EXPANSIONS.clear()
        _EXPANSIONS[key] = expanded(function.call, x.mean, variance, function.kinks)
    return _EXPANSIONS[key]


def _of_several(function: Function, sources: Sequence[Moments], crosses: Mapping[tuple[int, int], Array]) -> Moments:
    like = sources[0]
    means, covariances = _systems(sources, crosses)
    unique, back = np.unique(
        np.concatenate([means, covariances.reshape(len(means), -1)], axis=1), axis=0, return_inverse=True
    )
    count = means.shape[1]
    found = np.empty((len(unique), 2))
    for start in range(0, len(unique), BATCH):
        rows = unique[start : start + BATCH]
        found[start : start + BATCH] = _drawn(function, rows[:, :count], rows[:, count:].reshape(-1, count, count))
    pairs = found[back.ravel(), 1].reshape(like.pairs.shape)
    first = found[back.ravel(), 0].reshape(like.pairs.shape)
    cells = tuple(slice(0, axis.groups) for axis in like.axes)
    return like.with_values(first[cells], pairs)


def _systems(sources: Sequence[Moments], crosses: Mapping[tuple[int, int], Array]) -> tuple[Array, Array]:
    """For every case of pairs the means and the covariance of all sources at both elements."""
    count, cases = len(sources), sources[0].pairs.size
    means = np.stack([side.ravel() for each in sources for side in (each.left(each.mean), each.right(each.mean))], 1)
    covariances = np.zeros((cases, 2 * count, 2 * count))
    for i, each in enumerate(sources):
        covariances[:, 2 * i, 2 * i] = each.left(each.variance).ravel()
        covariances[:, 2 * i + 1, 2 * i + 1] = each.right(each.variance).ravel()
        covariances[:, 2 * i, 2 * i + 1] = covariances[:, 2 * i + 1, 2 * i] = each.covariance.ravel()
    for (i, j), between in crosses.items():
        _put(covariances, i, j, sources[0], between)
    return means, covariances


def _put(covariances: Array, i: int, j: int, like: Moments, between: Array) -> None:
    """Enter the covariance of two sources: at the same element on either side, and across."""
    cells = between[tuple(slice(0, axis.groups) for axis in like.axes)]
    blocks = (
        (0, 0, like.left(cells)),
        (1, 1, like.right(cells)),
        (0, 1, between),
        (1, 0, like.mirror(between)),
    )
    for first, second, values in blocks:
        covariances[:, 2 * i + first, 2 * j + second] = values.ravel()
        covariances[:, 2 * j + second, 2 * i + first] = values.ravel()


def _drawn(function: Function, means: Array, covariances: Array) -> Array:
    """Average the function at the first element, and its product over both."""
    values, vectors = np.linalg.eigh(covariances)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    draws = np.einsum("cij,nj->cin", roots, _normals(means.shape[1])) + means[:, :, None]
    with np.errstate(all="ignore"):
        first = np.asarray(function.call(*(draws[:, 2 * i] for i in range(means.shape[1] // 2))), dtype=np.float64)
        second = np.asarray(function.call(*(draws[:, 2 * i + 1] for i in range(means.shape[1] // 2))), dtype=np.float64)
    return np.stack((first.mean(axis=-1), (first * second).mean(axis=-1)), axis=1)


@lru_cache(16)
def _normals(dimensions: int) -> Array:
    """Quasi-random standard normal draws, mirrored and with a sample covariance of exactly one."""
    points = sobol(dimensions, DRAWS // 2)
    half = ndtri(np.clip(points, 1e-12, 1.0 - 1e-12))
    both = np.concatenate((half, -half))
    root = np.linalg.cholesky(both.T @ both / len(both))
    return np.asarray(np.linalg.solve(root, both.T).T)

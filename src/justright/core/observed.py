"""Moments of given values, for every case of two elements."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.moments import Moments

__all__ = ["observed"]


def observed(values: Any, cut: tuple[tuple[int, ...], ...] = ()) -> Moments:  # noqa: ANN401
    """Return the moments of given values: averages over all pairs of elements that lie alike.

    Parameters
    ----------
    values
        Array of numbers.
    cut
        Strata of every dimension; one stratum each if empty.

    Returns
    -------
    Moments
        The mean and, for every case, the average product over the pairs that exist.

    Examples
    --------
    >>> rows = observed(np.array([[1.0, 1.0], [-1.0, -1.0]]))  # equal within a row
    >>> rows.pairs
    array([[ 1.,  1.],
           [-1., -1.]])
    """
    x = np.asarray(values, dtype=np.float64)
    strata = cut or tuple((length,) for length in x.shape)
    kept = [dim for dim, length in enumerate(x.shape) if length != 1]
    axes = [Axis(strata[dim]) for dim in kept]
    dims = tuple((Axis(strata[dim]),) if length != 1 else () for dim, length in enumerate(x.shape))
    x = x.reshape([axis.size for axis in axes])
    pairs = _products(x, axes) / np.maximum(_counted(axes), 1.0)
    for at, axis in enumerate(axes):  # a stratum of one element has no two different ones
        for case in np.flatnonzero(axis.counts == 0):
            index = [slice(None)] * len(axes)
            source = list(index)
            index[at], source[at] = case, axis.left[case]  # type: ignore[call-overload]
            pairs[tuple(index)] = pairs[tuple(source)]
    mean = _folded(x, axes) / np.asarray(_outer([np.asarray(axis.strata, dtype=np.float64) for axis in axes]))
    return Moments(dims, mean, pairs)


def _folded(x: Array, axes: list[Axis]) -> Array:
    """Sum over the elements of each stratum, along every axis."""
    for at, axis in enumerate(axes):
        x = np.add.reduceat(x, axis.bounds[:-1], axis=at)
    return x


def _products(x: Array, axes: list[Axis]) -> Array:
    """Sum of products over the pairs of each case."""
    total = np.zeros([axis.cases for axis in axes])
    for together in product((True, False), repeat=len(axes)):
        sums = x
        for at, (axis, same) in enumerate(zip(axes, together, strict=True)):
            if not same:
                sums = np.add.reduceat(sums, axis.bounds[:-1], axis=at)
        _add_products(total, sums, axes, together)
    return total


def _add_products(total: Array, sums: Array, axes: list[Axis], together: tuple[bool, ...]) -> None:
    """Enter products of sums over free axes; pairs with equal index are taken off where they must differ."""
    letters = iter(range(3 * len(axes)))
    first, second, out = [], [], []
    for same in together:
        one = next(letters)
        other = one if same else next(letters)
        first.append(one)
        second.append(other)
        out += [one] if same else [one, other]
    operands: list[Any] = [sums, first, sums, second, out]  # NumPy's stubs know only the form with letters
    found = np.einsum(*operands)
    for at, (axis, same) in enumerate(zip(axes, together, strict=True)):
        if same:
            found = np.add.reduceat(found, axis.bounds[:-1], axis=at)
            cases = np.zeros((axis.cases, axis.groups))
            cases[np.arange(axis.groups), np.arange(axis.groups)] = 1.0
            different = axis.groups + np.arange(axis.groups) * (axis.groups + 1)
            cases[different, np.arange(axis.groups)] = -1.0
        else:
            shape = (*found.shape[:at], axis.groups**2, *found.shape[at + 2 :])
            found = found.reshape(shape)
            cases = np.zeros((axis.cases, axis.groups**2))
            cases[axis.groups + np.arange(axis.groups**2), np.arange(axis.groups**2)] = 1.0
        found = np.moveaxis(np.tensordot(cases, found, (1, at)), 0, at)
    total += found


def _counted(axes: list[Axis]) -> Array:
    return _outer([axis.counts for axis in axes])


def _outer(factors: list[Array]) -> Array:
    found = np.ones(())
    for factor in factors:
        found = np.multiply.outer(found, factor)
    return found

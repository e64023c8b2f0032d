"""Gaussian tensors with given moments, and the moments of drawn ones on given axes.

The covariance of a tensor whose axes are exchangeable within strata commutes with every exchange of alike elements.
So it splits along each axis into two kinds of directions: contrasts within a stratum, which sum to zero over it, and
the means of the strata. For each choice of one kind an axis, what is left is a small matrix over the strata, and white
noise times the roots of these matrices has exactly the given covariance, at any finite size (Diaconis 1988, Group
Representations in Probability and Statistics, chapter 8: spectral analysis of designs).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.laid import Dims
from justright.core.moments import Moments
from justright.core.observed import observed

__all__ = ["draw", "observed_as", "resized", "unreachable"]


def draw(moments: Moments, generator: np.random.Generator) -> Array:
    """Draw a Gaussian tensor.

    Parameters
    ----------
    moments
        Its moments.
    generator
        Where the numbers come from.

    Returns
    -------
    Array
        Of the tensor's shape, in float64. Covariances that no random tensor has are moved to the nearest that one has;
        `unreachable` says by how much.

    Examples
    --------
    >>> x = draw(Moments.constant((2, 3), 1.5), np.random.default_rng(0))
    >>> x.shape, float(x.min()), float(x.max())
    ((2, 3), 1.5, 1.5)
    """
    axes = moments.axes
    modes = _modes(moments)
    found = _spread(moments.mean, axes, (False,) * len(axes), means=True)
    for contrasts in product((False, True), repeat=len(axes)):
        matrices = _matrices(modes, axes, contrasts)
        if any(flag and axis.size == axis.groups for flag, axis in zip(contrasts, axes, strict=True)):
            continue  # strata of one element have no contrasts
        if np.any(matrices):
            found = found + _effect(_roots(matrices), axes, contrasts, generator)
    shape = [axis.size for axis in axes]
    return np.ascontiguousarray(np.broadcast_to(found, shape)).reshape(moments.shape)


def unreachable(moments: Moments) -> float:
    """Return the share of the variance that belongs to negative variance components, which no random tensor has."""
    axes = moments.axes
    modes, lost, total = _modes(moments), 0.0, 0.0
    for contrasts in product((False, True), repeat=len(axes)):
        values = np.linalg.eigvalsh(_matrices(modes, axes, contrasts))
        count = np.ones(())
        for flag, axis in zip(contrasts, axes, strict=True):
            count = np.multiply.outer(count, np.asarray(axis.strata) - 1.0 if flag else np.ones(()))
        weighted = values * count.reshape(-1, 1)
        lost, total = lost - float(weighted[weighted < 0].sum()), total + float(np.abs(weighted).sum())
    return lost / total if total else 0.0


def resized(moments: Moments, strata: Dims) -> Moments:
    """Return the same moments for a tensor with other numbers of elements: the cases stay what they are."""
    return Moments(strata, moments.mean, moments.pairs)


def observed_as(values: Array, dims: Dims) -> Moments:
    """Return the moments of given values on given axes.

    Parameters
    ----------
    values
        Array whose shape the axes have.
    dims
        Axes of every dimension.

    Returns
    -------
    Moments
        Averages over all pairs of elements that lie alike, as by `justright.core.observed.observed`.
    """
    axes = [axis for dim in dims for axis in dim]
    flat = np.reshape(values, [axis.size for axis in axes])
    found = observed(flat, tuple(axis.strata for axis in axes))
    mean, pairs = found.mean, found.pairs
    for at, axis in enumerate(axes):
        if axis.size == 1:  # which `observed` drops
            mean, pairs = np.expand_dims(mean, at), np.repeat(np.expand_dims(pairs, at), 2, at)
    return Moments(dims, mean, pairs)


def _modes(moments: Moments) -> Array:
    """Return the covariance by kind of direction: for each axis its contrasts, then pairs of its strata's means."""
    found = moments.covariance
    for at, axis in enumerate(moments.axes):
        found = np.moveaxis(np.tensordot(_transform(axis), found, (1, at)), 0, at)
    return found


def _transform(axis: Axis) -> Array:
    """Return the matrix from the cases of an axis to the variance of its contrasts and of its strata's means."""
    groups = axis.groups
    matrix = np.zeros((axis.cases, axis.cases))
    sizes = np.asarray(axis.strata, dtype=np.float64)
    for group in range(groups):
        equal = groups + group * (groups + 1)
        matrix[group, group] = matrix[equal, group] = 1.0
        matrix[group, equal] = matrix[equal, equal] = -1.0
    for case in range(groups, axis.cases):
        matrix[case, case] += np.sqrt(sizes[axis.left[case]] * sizes[axis.right[case]])
    return matrix


def _matrices(modes: Array, axes: tuple[Axis, ...], contrasts: tuple[bool, ...]) -> Array:
    """Return for every cell of the contrasted axes the covariance of the strata's means along the other ones."""
    index = tuple(
        slice(0, axis.groups) if flag else slice(axis.groups, None) for flag, axis in zip(contrasts, axes, strict=True)
    )
    shape: list[int] = []
    cells: list[int] = []
    left: list[int] = []
    right: list[int] = []
    for flag, axis in zip(contrasts, axes, strict=True):
        if flag:
            cells.append(len(shape))
        else:
            left, right = [*left, len(shape)], [*right, len(shape) + 1]
        shape += [axis.groups] if flag else [axis.groups, axis.groups]
    order = [*cells, *left, *right]
    means = int(np.prod([shape[at] for at in left], dtype=int))
    return np.asarray(modes[index]).reshape(shape).transpose(order).reshape(-1, means, means)


def _roots(matrices: Array) -> Array:
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def _effect(roots: Array, axes: tuple[Axis, ...], contrasts: tuple[bool, ...], generator: np.random.Generator) -> Array:
    """Draw the part of a tensor that has contrasts along some axes and means of strata along the others."""
    lengths = [axis.size if flag else axis.groups for flag, axis in zip(contrasts, axes, strict=True)]
    noise = generator.standard_normal(lengths)
    for at, (flag, axis) in enumerate(zip(contrasts, axes, strict=True)):
        if flag:
            sums = np.add.reduceat(noise, axis.bounds[:-1], axis=at)
            noise = noise - _along(sums / _column(axis.strata, at, noise.ndim), axis, at)
    return _spread(_rooted(roots, noise, axes, contrasts), axes, contrasts, means=False)


def _rooted(roots: Array, noise: Array, axes: tuple[Axis, ...], contrasts: tuple[bool, ...]) -> Array:
    """Multiply noise with the roots, along the axes of means in every cell of the contrasted ones."""
    grouped = [axis.groups for axis in axes]
    if roots.shape[1] == 1:
        cells = roots.reshape([groups if flag else 1 for flag, groups in zip(contrasts, grouped, strict=True)])
        return noise * _cells(cells, axes, contrasts)
    last = [at for at, flag in enumerate(contrasts) if not flag]
    first = [at for at, flag in enumerate(contrasts) if flag]
    turned = noise.transpose([*first, *last])
    ahead = turned.shape[: len(first)]
    count = roots.shape[1]
    shaped = roots.reshape([grouped[at] for at in first] + [count, count])
    for place, at in enumerate(first):
        shaped = _along(shaped, axes[at], place)
    found = np.einsum("...ij,...j->...i", shaped, turned.reshape(*ahead, count))
    return np.asarray(found.reshape(turned.shape).transpose(np.argsort([*first, *last])))


def _cells(cells: Array, axes: tuple[Axis, ...], contrasts: tuple[bool, ...]) -> Array:
    for at, (flag, axis) in enumerate(zip(contrasts, axes, strict=True)):
        if flag and axis.groups > 1:
            cells = _along(cells, axis, at)
    return cells


def _spread(values: Array, axes: tuple[Axis, ...], contrasts: tuple[bool, ...], *, means: bool) -> Array:
    """Give every element of a stratum its mean; along axes of one stratum broadcasting does."""
    for at, (flag, axis) in enumerate(zip(contrasts, axes, strict=True)):
        if not flag:
            values = values if means else values / np.sqrt(_column(axis.strata, at, values.ndim))
            values = _along(values, axis, at) if axis.groups > 1 else values
    return np.asarray(values)


def _along(values: Array, axis: Axis, at: int) -> Array:
    return np.repeat(values, axis.strata, axis=at)


def _column(strata: tuple[int, ...], at: int, rank: int) -> Array:
    shape = [1] * rank
    shape[at] = -1
    return np.asarray(strata, dtype=np.float64).reshape(shape)

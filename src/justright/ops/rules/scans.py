"""Running sums and products along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.indexing import Piece
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.ops.made import arrived, gaussian, made
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

LONGEST = 512
"""Terms of a product beyond which it is sampled: all pairs of them are looked at."""


def _octaves(length: int) -> Axis:
    """Cut an axis at 1, 2, 4, 8 …, at most eleven strata: what a running sum holds grows along it."""
    bounds, step = [0], 1
    while bounds[-1] + step < length and len(bounds) < 11:
        bounds.append(bounds[-1] + step)
        step = max(step, bounds[-1])
    return Axis(tuple(int(size) for size in np.diff([*bounds, length])))


@lru_cache(256)
def _running(length: int) -> tuple[Axis, Array, Array]:
    """Return the axis of running sums, and the matrices to its cases and its elements from one stratum.

    The sums up to t and t' share min(t, t') terms, and t t' - min(t, t') pairs of their terms differ.
    """
    target = _octaves(length)
    sizes = np.asarray(target.strata, dtype=np.float64)
    terms = np.arange(1.0, length + 1.0)
    ends = np.repeat(target.bounds[1:], target.strata)
    sums, squares, inside = (
        np.add.reduceat(each, target.bounds[:-1]) for each in (terms, terms**2, terms * (2.0 * (ends - terms) + 1.0))
    )
    products = np.outer(sums, sums)
    least = np.minimum(
        np.outer(sums, sizes), np.outer(sizes, sums)
    )  # of disjoint strata the earlier one has the lesser
    np.fill_diagonal(least, inside)
    same = np.stack((sums, squares - sums), 1) / sizes[:, None]
    pairs = np.maximum(np.outer(sizes, sizes) - np.diag(sizes), 1.0)
    shared = (least - np.diag(sums)) / pairs
    apart = (products - np.diag(squares)) / pairs - shared
    cases = np.concatenate((same, np.stack((shared.ravel(), apart.ravel()), 1)))
    for case in np.flatnonzero(target.counts == 0):
        cases[case] = cases[target.left[case]]
    return target, cases, (sums / sizes)[:, None]


def _scanned(x: Moments, dim: int) -> Moments:
    """Sum along a dimension up to every position."""
    if x.shape[dim] == 1:
        return x
    whole = x.in_one_axis(dim)
    at = whole.position(dim)
    whole = whole.strata_at(at, (whole.axes[at].size,))
    target, cases, single = _running(whole.axes[at].size)
    pairs = np.moveaxis(np.tensordot(cases, whole.pairs, (1, at)), 0, at)
    mean = np.moveaxis(np.tensordot(single, whole.mean, (1, at)), 0, at)
    return whole.replaced(dim, (target,), mean, pairs)


def _dim(call: Call) -> int:
    return int(call.attributes.get("dim", 0)) % max(len(call.shapes[0]), 1)


def _sum(call: Call) -> Signal:
    x = call.needed("input")
    if not call.shapes[0]:
        return x
    return made(_scanned(x.moments, _dim(call)), x, normal=gaussian(x))


def _sum_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = arrived(gradients)
    if not call.shapes[0]:
        return {"input": gradient}
    dim, length = _dim(call), call.shapes[0][_dim(call)]
    turn = Piece(dim, length, length - 1, -1, length)
    return {"input": turn.view(_scanned(turn.view(gradient), dim))}


rule("cumulative_sum", _sum, _sum_back)


def _product(call: Call) -> Signal:
    """Multiply along a dimension, as if elements at different places of it were independent."""
    x = call.needed("input")
    if not call.shapes[0] or call.shapes[0][_dim(call)] == 1:
        return x
    dim = _dim(call)
    whole = x.moments.in_one_axis(dim)
    at, length = whole.position(dim), call.shapes[0][dim]
    whole = whole.strata_at(at, (length,))
    if length > LONGEST:
        raise Unpredictable(f"it is a product of {length} terms")
    same, mean = np.take(whole.pairs, 0, at), np.take(whole.mean, 0, at)
    left, right = (np.take(each(whole.mean), 0, at) for each in (whole.left, whole.right))
    target = _octaves(length)
    steps = np.arange(1, length + 1)
    stratum = np.repeat(np.arange(target.groups), target.strata)
    cells = _averaged(mean[None] ** steps.reshape(-1, *[1] * mean.ndim), stratum, target.groups)
    pairs = np.empty((target.cases, *same.shape))
    for case in range(target.cases):
        rows, columns = (steps[stratum == side[case]] for side in (target.left, target.right))
        first, second = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
        kept = (first == second) if case < target.groups else (first != second)
        first, second = (first[kept], second[kept]) if kept.any() else (first, second)
        shape = (-1, *[1] * same.ndim)
        least = np.minimum(first, second).reshape(shape)
        values = same[None] ** least * left[None] ** (first.reshape(shape) - least)
        pairs[case] = (values * right[None] ** (second.reshape(shape) - least)).mean(axis=0)
    found = whole.replaced(dim, (target,), np.moveaxis(cells, 0, at), np.moveaxis(pairs, 0, at))
    return made(found, x, normal=False)


def _averaged(values: Array, stratum: Any, groups: int) -> Array:
    return np.stack([values[stratum == group].mean(axis=0) for group in range(groups)])


def _product_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    raise Unpredictable("its gradient is a sum of products of all other elements")


rule("cumulative_product", _product, _product_back)

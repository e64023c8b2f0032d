"""Largest and smallest elements, medians and log-sums: one element's share of the gradient, or a soft one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.extremes import log_sum_exp, maximum_of_normals, median_variance
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.ops.made import arrived, chosen_dims, gaussian, made
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []


def _dims(call: Call) -> tuple[list[int], bool]:
    """Dimensions that go, and whether they stay with length one."""
    return chosen_dims(call, len(call.shapes[0])), bool(call.attributes.get("keepdim", False))


def _count(call: Call) -> int:
    return math.prod(call.shapes[0][dim] for dim in _dims(call)[0])


def _apart(x: Moments, dims: list[int]) -> tuple[Moments, Array, Array]:
    """Average over groups of elements.

    Returns
    -------
    tuple
        The averages of each group, whose axes the other two have, and the covariance of two elements that lie at the
        same place of their groups and at different ones.
    """
    covariances = x.with_values(x.mean, x.covariance)
    count = math.prod(x.shape[dim] for dim in dims)
    total = covariances.sum(dims, keep=True)
    same = x.covariance
    for position in reversed(range(len(x.axes))):
        if any(x.position(dim) <= position < x.position(dim) + len(x.dims[dim]) for dim in dims):
            axis = x.axes[position]
            first = np.moveaxis(same, position, 0)[: axis.groups]
            same = np.tensordot(axis.weights, first, (0, 0))
    different = (total.pairs - count * same) / (count * (count - 1)) if count > 1 else same
    return x.averaged(dims, keep=True), same, different


def _standard(call: Call, spread: float) -> tuple[float, float]:
    """Mean and variance of the result for independent elements of mean zero."""
    count, deviation = _count(call), math.sqrt(spread)
    if call.node.op == "median":
        return 0.0, spread * median_variance(count)
    if call.node.op == "logsumexp":
        return log_sum_exp(count, float(f"{spread:.4g}"))  # rounded, so that one answer serves alike layers
    mean, variance = maximum_of_normals(count)
    sign = -1.0 if call.node.op in ("min", "amin") else 1.0
    return sign * deviation * mean, spread * variance


def _extreme(call: Call) -> list[Signal | None]:
    x = call.needed("input")
    if not gaussian(x):
        raise Unpredictable("its elements are not Gaussian")
    dims, keep = _dims(call)
    average, same, different = _apart(x.moments, dims)
    own = tuple(slice(0, axis.groups) for axis in average.axes)
    spread = average.average(np.maximum(same[own] - different[own], 0.0))
    mean, variance = _standard(call, spread)
    alike = np.clip((same - different) / spread, -1.0, 1.0) if spread > 0 else np.zeros_like(same)
    means = average.mean + mean
    pairs = average.left(means) * average.right(means) + different + variance * alike * np.abs(alike)
    found = average.with_values(means, pairs)
    found = found if keep else found.sum(dims)
    return [made(found, x, normal=call.node.op == "median"), *[None] * (len(call.outputs) - 1)]


def _weights(call: Call, others: Moments) -> Moments:
    """Return the derivative of the result by its elements: for one of a group one, or shares that add up to one."""
    dims, count = _dims(call)[0], _count(call)
    square = 1.0 / count
    if call.node.op == "logsumexp":
        average, same, different = _apart(others, dims)
        own = tuple(slice(0, axis.groups) for axis in average.axes)
        spread = average.average(np.maximum(same[own] - different[own], 0.0))
        square = min(math.exp(min(spread, 50.0)) / count**2, 1.0 / count)  # E p² of a softmax whose sum concentrates
    rest = (1.0 - count * square) / (count * (count - 1)) if count > 1 else square
    shape = call.shapes[0]
    axes = [Axis((shape[dim],)) for dim in range(len(shape)) if shape[dim] != 1]
    outer = [at for at, dim in enumerate(dim for dim in range(len(shape)) if shape[dim] != 1) if dim not in dims]
    pairs = np.full((2,) * len(axes), 1.0 / count**2)
    alike = tuple(0 if at in outer else slice(None) for at in range(len(axes)))
    inner = np.full(pairs[alike].shape, rest)
    inner[(0,) * inner.ndim] = square
    pairs[alike] = inner
    parts = iter(axes)
    laid = tuple((next(parts),) if length != 1 else () for length in shape)
    return Moments(laid, np.full((1,) * len(axes), 1.0 / count), pairs)


def _extreme_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, (dims, keep) = arrived(gradients), _dims(call)
    if not keep:
        axes = iter(gradient.dims)
        laid = tuple(() if dim in dims else next(axes) for dim in range(len(call.shapes[0])))
        gradient = Moments(laid, gradient.mean, gradient.pairs)
    return {"input": gradient.times(_weights(call, call.needed("input").moments))}


rule("max min amax amin median logsumexp", _extreme, _extreme_back)

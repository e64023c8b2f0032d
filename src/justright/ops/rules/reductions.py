"""Sums, means and variances: linear and quadratic in the elements that they are taken over."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from justright.core.moments import Moments, align
from justright.core.signals import Signal, mapped, times
from justright.ops.made import arrived, chosen_dims, gaussian, made
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

MANY = 8
"""Terms beyond which a sum is taken as Gaussian: a sum of 8 exponential terms has an excess kurtosis of 6 / 8."""


def _dims(call: Call) -> tuple[list[int], bool]:
    return chosen_dims(call, len(call.shapes[0])), bool(call.attributes.get("keepdim", False))


def _count(call: Call) -> int:
    return math.prod(call.shapes[0][dim] for dim in _dims(call)[0])


def _spread(gradient: Moments, call: Call) -> Moments:
    """Repeat the gradient of a reduction over what it was reduced over."""
    dims, keep = _dims(call)
    shape = call.shapes[0]
    if not keep:
        axes = iter(gradient.dims)
        laid = tuple(() if dim in dims else next(axes) for dim in range(len(shape)))
        gradient = Moments(laid, gradient.mean, gradient.pairs)
    return gradient.expanded(shape)


def _sum(call: Call) -> Signal:
    x = call.needed("input")
    dims, keep = _dims(call)
    found = x.moments.sum(dims, keep=keep)
    if call.node.op == "mean":
        found = found.scaled(1.0 / max(_count(call), 1))
    if x.square:  # What is divided by its root has this very mean square: as a number it makes that product exact.
        found = found.with_values(found.mean, found.left(found.mean) * found.right(found.mean))
    return made(found, x, normal=gaussian(x) or _count(call) >= MANY)


def _sum_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _spread(arrived(gradients), call)
    return {"input": gradient.scaled(1.0 / max(_count(call), 1)) if call.node.op == "mean" else gradient}


rule("sum mean", _sum, _sum_back)


def _centred(x: Moments, dims: list[int]) -> Moments:
    """Take the average over dimensions away from every element."""
    average, whole = align(x.averaged(dims, keep=True), x)
    return whole.with_values(whole.mean - average.mean, whole.pairs - average.pairs)


def _squared(x: Moments) -> Moments:
    """Square elements, as if they were Gaussian: E x² y² = E x² E y² + 2 (E x y)² - 2 (E x)² (E y)²."""
    means = x.left(x.mean) * x.right(x.mean)
    pairs = x.left(x.second) * x.right(x.second) + 2.0 * (x.pairs**2 - means**2)
    return x.with_values(x.second, pairs)


def _freedom(call: Call) -> float:
    """Return by what a sum of squares is divided: the number of elements less the correction."""
    given = call.attributes.get("correction")
    if given is None:
        given = 1 if call.attributes.get("unbiased", True) else 0
    return max(_count(call) - float(given), 0.0)


def _variance(call: Call) -> Signal:
    x = call.needed("input")
    dims, keep = _dims(call)
    freedom = _freedom(call)
    if not freedom:
        raise Unpredictable("it divides by zero: the variance of one element")
    return made(_squared(_centred(x.moments, dims)).sum(dims, keep=keep).scaled(1.0 / freedom), x, normal=True)


def _root(x: Signal) -> Signal:
    return mapped("root", lambda u: np.sqrt(np.maximum(u, 0.0)), x, kinks=(0.0,))


def _variances(call: Call) -> list[Signal | None]:
    found = _variance(call)
    if call.node.op == "standard_deviation":
        found = _root(found)
    return [found, _sum_over(call)] if len(call.outputs) > 1 else [found]


def _sum_over(call: Call) -> Signal:
    """Return the mean, which some frameworks return along with the variance."""
    x = call.needed("input")
    dims, keep = _dims(call)
    return made(x.moments.averaged(dims, keep=keep), x, normal=gaussian(x) or _count(call) >= MANY)


def _variances_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    x = call.needed("input")
    parts = []
    if gradients[0] is not None:
        gradient = gradients[0].scaled(2.0 / _freedom(call))
        if call.node.op == "standard_deviation":
            gradient = gradient.times(mapped("half over", lambda u: 0.5 / u, _rooted(results)).moments)
        parts.append(_spread(gradient, call).times(_centred(x.moments, _dims(call)[0])))
    if len(gradients) > 1 and gradients[1] is not None:
        parts.append(_spread(gradients[1], call).scaled(1.0 / _count(call)))
    if not parts:
        raise Unpredictable("no gradient arrived at its outputs")
    return {"input": parts[0] if len(parts) == 1 else parts[0].plus(parts[1])}


def _rooted(results: Sequence[Signal | None]) -> Signal:
    if not results or results[0] is None:
        raise Unpredictable("nothing is known of its result")
    return results[0]


rule("variance standard_deviation", _variances, _variances_back)


def _order(call: Call) -> float:
    given = call.attributes.get("ord", call.attributes.get("p", 2))
    order = 2.0 if given is None else float(given)
    if order not in (1.0, 2.0):
        raise Unpredictable(f"it is the norm of order {order:g}")
    return order


def _norm(call: Call) -> Signal:
    x = call.needed("input")
    dims, keep = _dims(call)
    if _order(call) == 1.0:
        size = mapped("size", np.abs, x, kinks=(0.0,)).moments
        return made(size.sum(dims, keep=keep), x, normal=_count(call) >= MANY)
    square = times(x, x).moments if x.source is None else mapped("square", np.square, x).moments
    total = made(square.sum(dims, keep=keep), x, normal=_count(call) >= MANY)
    return _root(total)


def _norm_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    x, gradient = call.needed("input"), arrived(gradients)
    if _order(call) == 1.0:
        sign = mapped("sign", np.sign, x, kinks=(0.0,)).moments
        return {"input": _spread(gradient, call).times(sign)}
    length = _rooted(results).moments.rms
    direction = x.moments.scaled(1.0 / length if length else 0.0)  # of length one, however few terms there are
    return {"input": _spread(gradient, call).times(direction)}


rule("norm", _norm, _norm_back)


def _product(call: Call) -> Signal:
    x = call.needed("input")
    if call.attributes.get("dim") is None:
        raise Unpredictable("it is a product of all elements")
    dim = int(call.attributes["dim"]) % len(call.shapes[0])
    whole = x.moments.in_one_axis(dim)
    whole = whole.strata_at(whole.position(dim), (whole.shape[dim],))
    at, count = whole.position(dim), whole.shape[dim]
    same, different = (np.take(whole.pairs, case, at) for case in (0, 1))
    mean = np.take(whole.mean, 0, at)
    if np.any(np.abs(different[(0,) * different.ndim] - mean.flat[0] ** 2) > 1e-9 * abs(same.flat[0])):
        raise Unpredictable("its factors are correlated")
    found = whole.replaced(dim, (), mean**count, same**count)
    return made(found if call.attributes.get("keepdim") else found.sum((dim,)), x, normal=False)


def _product_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    raise Unpredictable("its gradient is the product of all other elements")


rule("product", _product, _product_back)

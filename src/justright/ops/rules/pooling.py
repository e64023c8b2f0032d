"""Average and maximum over windows of positions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from justright.core.axes import Array
from justright.core.grids import adaptive, averaging
from justright.core.links import Links, linked
from justright.core.maxima import chosen, common, maximum
from justright.core.moments import Moments, align
from justright.core.profile import Provenance
from justright.core.signals import Signal, mapped, signal
from justright.core.sources import Source
from justright.ops.rule import Call, Gradients, Sloped, Unpredictable, rule

__all__: list[str] = []


def _numbers(call: Call, name: str, rank: int, default: Sequence[int]) -> list[int]:
    found = call.attributes.get(name)
    values = [found] if isinstance(found, int) else list(found or default)
    return values * rank if len(values) == 1 else values


def _rank(call: Call) -> int:
    """Return how many dimensions are pooled, which the framework says in the operator's name: ``max_pool2d``."""
    found = re.search(r"pool(\d)d", call.node.native)
    if found is None:
        raise Unpredictable(f"how many dimensions {call.node.native} pools is not known")
    return int(found[1])


def _links(call: Call) -> tuple[Links, ...]:
    """Return the links of the average over the windows, for every dimension that is pooled."""
    x, y = call.shapes[0], call.outputs[0]
    rank = _rank(call)
    if call.node.op.startswith("adaptive"):
        return tuple(adaptive(size, out) for size, out in zip(x[-rank:], y[-rank:], strict=True))
    kernel = _numbers(call, "kernel_size", rank, ())
    stride, dilation = _numbers(call, "stride", rank, kernel), _numbers(call, "dilation", rank, (1,))
    pad = _numbers(call, "padding", rank, (0,))
    whole = call.node.op == "average_pool" and bool(call.attributes.get("count_include_pad", True))
    sizes = zip(x[-rank:], y[-rank:], kernel, stride, pad, dilation, strict=True)
    return tuple(averaging(i, k, s, p, o, d, whole=whole) for i, o, k, s, p, d in sizes)


def _factor(call: Call) -> float:
    """Return what the average is multiplied with, if the sum is divided by a number that was chosen."""
    divisor = call.attributes.get("divisor_override")
    return math.prod(_numbers(call, "kernel_size", _rank(call), ())) / float(divisor) if divisor else 1.0


def _mixed(x: Moments, links: Sequence[Links], here: str, there: str, like: Moments | None = None) -> Moments:
    """Sum over the links of the last dimensions."""
    begin = len(x.dims) - len(links)
    for d, each in enumerate(links):
        axes = like.dims[begin + d] if like is not None else ()
        x = linked(x, each, {here: begin + d}, there, axes[0].strata if len(axes) == 1 else None)
    return x


def _average(call: Call) -> Signal:
    x = call.needed("input")
    gaussian = x.line is not None and x.line[1].gaussian
    return signal(Source(_mixed(x.moments, _links(call), "i", "o").scaled(_factor(call)), gaussian, x.provenance))


def _average_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    like = call.needed("input").moments
    return {"input": _mixed(gradient, _links(call), "o", "i", like).scaled(_factor(call))}


rule("average_pool adaptive_average_pool", _average, _average_backward)


def _whole(x: Moments, rank: int) -> Moments:
    """Make one axis with one stratum of each of the last dimensions."""
    for dim in range(len(x.dims) - rank, len(x.dims)):
        x = x.in_one_axis(dim)
        x = x.strata_at(x.position(dim), (x.shape[dim],))
    return x


def _maximum(call: Call) -> list[Signal | None]:
    x, links = call.needed("input"), _links(call)
    below = _below(x)
    inner = _whole(below.moments, len(links))
    fixed = {source: np.asarray(source.moments.average_mean) for source in x.sources if source.certain}

    def function(u: Array) -> Array:
        return u if below is x else np.asarray(x.values({**fixed, below.sources[0]: u}), np.float64)

    found = maximum(function, inner, _mixed(inner, links, "i", "o"), len(links), _window_sizes(links))
    provenance = max(x.provenance, Provenance.NUMERICAL)
    return [signal(Source(found, False, provenance)), *(None for _ in call.outputs[1:])]


def _below(x: Signal) -> Signal:
    """Return the Gaussian tensor of which a signal is a function; one of several is taken as Gaussian itself."""
    live = [source for source in x.sources if not source.certain]
    if len(live) != 1 or not live[0].gaussian or live[0].moments.shape != x.shape:
        return x
    return signal(live[0])


def _window_sizes(links: Sequence[Links]) -> dict[int, float]:
    """Return the share of the windows of each number of elements."""
    found = {1: 1.0}
    for each in links:
        sizes, counts = np.unique(np.bincount(each.places["o"], minlength=each.sizes["o"]), return_counts=True)
        wider: dict[int, float] = {}
        for size, count in zip(sizes, counts / each.sizes["o"], strict=True):
            for before, share in found.items():
                wider[before * int(size)] = wider.get(before * int(size), 0.0) + share * float(count)
        found = wider
    return found


def _maximum_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    """Give the gradient of each window to its largest element, so large elements have more of it."""
    if gradients[0] is None:
        raise Unpredictable("it has no gradient")
    links = _links(call)
    found = _handed_down(_whole(gradients[0], len(links)), links)
    slope = _chosen(_below(call.needed("input")), links)
    base, of_slope = align(found, slope.moments)
    mean, pairs = (_over(*each) for each in ((base.mean, of_slope.mean), (base.pairs, of_slope.pairs)))
    return {"input": Sloped(base.with_values(mean, pairs), slope)}


def _over(found: Array, slope: Array) -> Array:
    return np.divide(found, slope, out=np.zeros_like(found), where=slope > 0)


def _chosen(below: Signal, links: Sequence[Links]) -> Signal:
    """Return the root of how much of the gradient an element gets, as a function of it; its mean square is one."""
    inner, sizes = _whole(below.moments, len(links)), _window_sizes(links)
    average = _mixed(inner, links, "i", "o")
    variance = inner.average(inner.variance)
    shared = common(average.average(average.variance), variance, sizes)
    mean, given = inner.average_mean, chosen(variance, shared, sizes)
    return mapped(f"chosen {(mean, variance, shared, sizes)}", lambda u: np.sqrt(given(u - mean)), below)


def _handed_down(gradient: Moments, links: Sequence[Links]) -> Moments:
    """Give the gradient of each window to one of its elements.

    Were it spread evenly, sums over pairs of elements would be the same; what a window gives to pairs of its own
    elements all falls on one.
    """
    lead = len(gradient.axes) - sum(len(axes) for axes in gradient.dims[-len(links) :])
    others: tuple[slice | int, ...] = tuple(slice(0, axis.groups) for axis in gradient.axes[:lead])
    same: tuple[slice | int, ...] = (*others, *(0,) * (len(gradient.axes) - lead))
    alone = np.zeros_like(gradient.pairs)
    alone[same] = gradient.pairs[same]
    even = _mixed(gradient, links, "o", "i")
    pairs = even.pairs - _mixed(gradient.with_values(gradient.mean, alone), links, "o", "i").pairs
    share = math.prod(each.sizes["o"] / each.sizes["i"] for each in links)
    pairs[(*others, *(0,) * (even.pairs.ndim - lead))] += share * gradient.pairs[same]
    return even.with_values(even.mean, pairs)


rule("max_pool adaptive_max_pool", _maximum, _maximum_backward)

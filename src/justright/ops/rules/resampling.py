"""Resampling of positions, windows laid out as units, and units laid out as positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from justright.core.grids import interpolation
from justright.core.links import Links, linked, unlinked, windows
from justright.core.moments import Moments
from justright.core.signals import Signal, signal, viewed
from justright.core.sources import Source
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

KINDS = {"nearest_exact": "nearest-exact", "nearest": "nearest", "linear": "linear", "cubic": "cubic"}
"""Kinds of interpolation by a part of the operator's native name."""

SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}
"""Names of the scales by the number of dimensions."""


def _interpolations(call: Call) -> tuple[Links, ...]:
    native = call.node.native
    kind = next((kind for part, kind in KINDS.items() if part in native), None)
    if kind is None or "grid" in native:
        raise Unpredictable("its sampling points are computed")
    x, y = call.shapes[0][2:], call.outputs[0][2:]
    scales = call.attributes.get("scale_factors") or [call.attributes.get(name) for name in SCALES[len(x)]]
    align, smooth = bool(call.attributes.get("align_corners")), "_aa" in native
    return tuple(
        interpolation(size, out, kind, align=align, scale=float(scale or 0.0), smooth=smooth)
        for size, out, scale in zip(x, y, scales, strict=True)
    )


def _resampled(x: Moments, links: Sequence[Links], here: str, there: str, like: Moments | None = None) -> Moments:
    for dim, each in enumerate(links, start=2):
        axes = like.dims[dim] if like is not None else ()
        x = linked(x, each, {here: dim}, there, axes[0].strata if len(axes) == 1 else None)
    return x


def _resample(call: Call) -> Signal:
    x = call.needed("input")
    gaussian = x.line is not None and x.line[1].gaussian
    return signal(Source(_resampled(x.moments, _interpolations(call), "i", "o"), gaussian, x.provenance))


def _given(gradients: Sequence[Moments | None]) -> Moments:
    if gradients[0] is None:
        raise Unpredictable("it has no gradient")
    return gradients[0]


def _resample_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    like = call.needed("input").moments
    return {"input": _resampled(_given(gradients), _interpolations(call), "o", "i", like)}


rule("resample", _resample, _resample_backward)

View = Callable[[Moments], Moments]


def _shuffles(call: Call) -> tuple[View, View]:
    """Return what a pixel shuffle does to moments, and what undoes it."""
    up = call.node.op == "pixel_shuffle"
    fine, coarse = (call.outputs[0], call.shapes[0]) if up else (call.shapes[0], call.outputs[0])
    factor = int(call.attributes["upscale_factor" if up else "downscale_factor"])
    *lead, channels, height, width = fine
    begin = len(lead)
    cut = (*lead, channels, factor, factor, height // factor, width // factor)
    laid = (*lead, channels, height // factor, factor, width // factor, factor)
    order = [*range(begin + 1), begin + 3, begin + 1, begin + 4, begin + 2]
    back = [order.index(dim) for dim in range(len(order))]

    def shuffle(x: Moments) -> Moments:
        return x.reshaped(cut).permuted(order).reshaped(fine)

    def unshuffle(x: Moments) -> Moments:
        return x.reshaped(laid).permuted(back).reshaped(coarse)

    return (shuffle, unshuffle) if up else (unshuffle, shuffle)


def _shuffle(call: Call) -> Signal:
    return viewed(call.needed("input"), (call.node.op, call.outputs[0]), _shuffles(call)[0])


def _shuffle_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    return {"input": _shuffles(call)[1](_given(gradients))}


rule("pixel_shuffle pixel_unshuffle", _shuffle, _shuffle_backward)


def _windows(call: Call) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Links, ...]]:
    """Return numbers of taps and of windows along both dimensions, and the links."""
    image = call.outputs[0] if call.node.op == "fold" else call.shapes[0]
    kernel, stride, padding, dilation = (
        list(call.attributes[name]) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    counts = tuple(
        (image[d - 2] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d in range(2)
    )
    links = tuple(windows(image[d - 2], kernel[d], stride[d], padding[d], dilation[d], counts[d]) for d in range(2))
    return tuple(kernel), counts, links


def _as_windows(call: Call, x: Moments) -> Moments:
    """Lay the windows of an image side by side: units and taps in one dimension, windows in the other."""
    kernel, counts, links = _windows(call)
    *lead, channels, _, _ = x.shape
    begin = len(lead) + 1
    x = unlinked(unlinked(x, links[1], begin + 1), links[0], begin)
    order = [*range(begin), begin + 1, begin + 3, begin, begin + 2]
    return x.permuted(order).reshaped((*lead, channels * math.prod(kernel), math.prod(counts)))


def _as_image(call: Call, x: Moments, shape: tuple[int, ...]) -> Moments:
    """Add up windows where they overlap."""
    kernel, counts, links = _windows(call)
    *lead, channels, _, _ = shape
    begin = len(lead) + 1
    x = x.reshaped((*lead, channels, *kernel, *counts))
    x = linked(x, links[0], {"t": begin, "o": begin + 2}, "i")
    return linked(x, links[1], {"t": begin + 1, "o": begin + 2}, "i")


def _is_view(call: Call) -> bool:
    return "dimension" in call.attributes  # aten::unfold, of one dimension; aten::im2col has a kernel


def _slide(call: Call) -> tuple[int, Links]:
    rank = len(call.shapes[0])
    dim, size, step = (int(call.attributes[name]) for name in ("dimension", "size", "step"))
    return dim % rank, windows(call.shapes[0][dim], size, step, 0, 1, call.outputs[0][dim % rank])


def _unfold(call: Call) -> Signal:
    x = call.needed("input")
    gaussian = x.line is not None and x.line[1].gaussian
    if not _is_view(call):
        return signal(Source(_as_windows(call, x.moments), gaussian, x.provenance))
    dim, links = _slide(call)
    found = unlinked(x.moments, links, dim)
    order = [at for at in range(len(found.dims)) if at != dim + 1]
    return signal(Source(found.permuted([*order, dim + 1]), gaussian, x.provenance))


def _unfold_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _given(gradients)
    if not _is_view(call):
        return {"input": _as_image(call, gradient, call.shapes[0])}
    dim, links = _slide(call)
    return {"input": linked(gradient, links, {"o": dim, "t": len(gradient.dims) - 1}, "i")}


rule("unfold", _unfold, _unfold_backward)


def _fold(call: Call) -> Signal:
    x = call.needed("input")
    gaussian = x.line is not None and x.line[1].gaussian
    return signal(Source(_as_image(call, x.moments, call.outputs[0]), gaussian, x.provenance))


def _fold_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    return {"input": _as_windows(call, _given(gradients))}


rule("fold", _fold, _fold_backward)

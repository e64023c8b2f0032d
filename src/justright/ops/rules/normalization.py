"""Normalizations: layer, root mean square, group, instance and batch normalization, and normalized weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from justright.core.moments import Moments
from justright.core.normalized import Normalization, uneven
from justright.core.signals import Signal, mapped, plus, scaled, shifted, signal, times, viewed
from justright.core.sources import Source
from justright.ops.rule import Call, Divided, Gradients, Unpredictable, rule

__all__: list[str] = []


def _normalized(call: Call, x: Moments) -> Normalization:
    """Return the normalization that a call does, of its input or of that cut into groups."""
    op, rank, eps = call.node.op, len(call.shapes[0]), float(call.attributes.get("eps") or 0.0)
    if op == "batch_norm":
        return Normalization.of(x, [0, *range(2, rank)], eps)
    if op == "group_norm":
        n, channels, *space = call.shapes[0]
        groups = int(call.attributes["group"])
        x = x.reshaped((n, groups, channels // groups, *space))
        return Normalization.of(x, range(2, rank + 1), eps)
    last = len(call.attributes["normalized_shape"])
    return Normalization.of(x, range(rank - last, rank), eps, centre=op == "layer_norm")


def _forward(call: Call) -> list[Signal | None]:
    x = call.needed("input")
    if _frozen(call):
        return [_with_parameters(call, _by_buffers(call, x))] + [None] * (len(call.outputs) - 1)
    normalization = _normalized(call, x.moments)
    moments = normalization.result.reshaped(call.outputs[0])
    result = signal(Source(moments, _is_gaussian(x), x.provenance))
    return [_with_parameters(call, result), *_statistics(call, x, normalization)]


def _statistics(call: Call, x: Signal, normalization: Normalization) -> list[Signal]:
    """Return the mean and one over the standard deviation, which the operator keeps for its gradient."""
    mean = x.moments.reshaped(normalization.inner.shape).averaged(normalization.dims)
    inverse = normalization.inverse().scaled(uneven(_fan(call, x)))
    kept = [inverse] if call.node.op == "rms_norm" else [mean, inverse]
    return [
        signal(Source(each.reshaped(shape), True, x.provenance))
        for each, shape in zip(kept, call.outputs[1:], strict=False)
    ]


def _is_gaussian(x: Signal) -> bool:
    return x.line is not None and x.line[1].gaussian


def _frozen(call: Call) -> bool:
    """Whether a batch normalization divides by what it has kept, as it does outside of training."""
    return call.node.op == "batch_norm" and not call.attributes.get("training", "no_training" not in call.node.native)


def _by_buffers(call: Call, x: Signal) -> Signal:
    mean = _along_channels(call, call.needed("running_mean"))
    return times(plus(x, scaled(mean, -1.0)), _kept_scale(call))


def _kept_scale(call: Call) -> Signal:
    """One over the standard deviation that was kept."""
    variance = shifted(call.needed("running_var"), float(call.attributes.get("eps") or 0.0))
    return mapped("rsqrt", lambda u: 1.0 / np.sqrt(u), _along_channels(call, variance))


def _along_channels(call: Call, parameter: Signal) -> Signal:
    """Give a parameter of one number a channel the shape in which it broadcasts; of other rules leave it as it is."""
    if call.node.op not in {"batch_norm", "group_norm"}:
        return parameter
    shape = (call.shapes[0][1], *(1,) * (len(call.shapes[0]) - 2))
    return viewed(parameter, ("view", shape), lambda each: each.reshaped(shape))


def _with_parameters(call: Call, result: Signal) -> Signal:
    for name, join in (("weight", times), ("bias", plus)):
        parameter = call.signal(name)
        if parameter is not None:
            result = join(result, _along_channels(call, parameter))
    return result


def _backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    x = call.needed("input")
    found: dict[str, Moments | Divided] = {}
    inner = _by_buffers(call, x).moments if _frozen(call) else _normalized(call, x.moments).result
    inner = inner.reshaped(call.shapes[0])
    weight, bias = call.signal("weight"), call.signal("bias")
    if weight is not None:
        found["weight"] = _to_parameter(call, gradient.times(inner), "weight")
    if bias is not None:
        found["bias"] = _to_parameter(call, gradient, "bias")
    if weight is not None:
        gradient = gradient.times(_along_channels(call, weight).moments)
    found["input"] = _to_input(call, x, gradient)
    return found


def _to_input(call: Call, x: Signal, gradient: Moments) -> Moments | Divided:
    if _frozen(call):
        return gradient.times(_kept_scale(call).moments)
    normalization = _normalized(call, x.moments)
    passed = normalization.backward(gradient.reshaped(normalization.inner.shape)).reshaped(call.shapes[0])
    fan = _fan(call, x)
    return Divided(passed.scaled(uneven(fan)), fan) if math.isfinite(fan) else passed


def _fan(call: Call, x: Signal) -> float:
    """Return the number of weights that made the deviation by which each unit is divided."""
    return x.line[1].fan if call.node.op == "batch_norm" and x.line is not None else math.inf


def _to_parameter(call: Call, gradient: Moments, name: str) -> Moments:
    """Sum over the dimensions that a parameter lacks."""
    rank = len(gradient.dims)
    if call.node.op in {"batch_norm", "group_norm"}:
        return gradient.sum([0, *range(2, rank)])
    return gradient.sum(range(rank - len(call.shape(name))))


rule("layer_norm rms_norm batch_norm group_norm", _forward, _backward)


def _direction(call: Call) -> tuple[Normalization, float]:
    """Return the normalization of a weight to length one, but for the root of the number of its elements."""
    v = call.needed("v").moments
    kept = int(call.attributes.get("dim", 0)) % len(v.dims)
    dims = [dim for dim in range(len(v.dims)) if dim != kept]
    return Normalization.of(v, dims, 0.0, centre=False), math.prod(v.shape[dim] for dim in dims)


def _weight_norm(call: Call) -> list[Signal | None]:
    v, g = call.needed("v"), call.needed("g")
    normalization, count = _direction(call)
    direction = signal(Source(normalization.result.scaled(count**-0.5), _is_gaussian(v), v.provenance))
    return [times(direction, g), None][: len(call.outputs)]


def _weight_norm_backward(
    call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]
) -> Gradients:
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    normalization, count = _direction(call)
    along = gradient.times(normalization.result.scaled(count**-0.5)).sum(normalization.dims, keep=True)
    scaled_by = gradient.times(call.needed("g").moments.scaled(count**-0.5))
    return {"v": normalization.backward(scaled_by), "g": along}


rule("weight_norm", _weight_norm, _weight_norm_backward)

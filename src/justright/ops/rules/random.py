"""Noise, as functions of Gaussian sources of their own, and tensors filled with one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import Signal, mapped, scaled, shifted, signal, times, viewed
from justright.core.sources import Source
from justright.ops.made import arrived
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

MOST_STEPS: Final = 64
"""Steps of an integer draw that quadrature is told of; of more, each is below 2 % of the whole."""


def _normal(shape: Sequence[int]) -> Signal:
    return signal(Source(Moments.independent(shape, 0.0, 1.0), True, Provenance.EXACT))


def _noise(
    name: str,
    function: Callable[[Any], Any],
    shape: Sequence[int],
    numbers: tuple[float, float],
    kinks: tuple[float, ...] = (),
) -> Signal:
    """Return a function of standard normal elements, whose mean and second moment are known."""
    known = Moments.independent(shape, *numbers)
    return Signal(name, function, (_normal(shape),), known, kinks)


def _number(call: Call, *names: str, default: float) -> float:
    for name in names:
        value = call.attributes.get(name)
        if isinstance(value, int | float):
            return float(value)
        if call.place(name) is not None:
            raise Unpredictable(f"its {name} is a tensor")
    return default


def _random_normal(call: Call) -> Signal:
    noise = _normal(call.outputs[0])
    std, mean = _number(call, "std", default=1.0), _number(call, "mean", default=0.0)
    return shifted(scaled(noise, std), mean)


def _random_uniform(call: Call) -> Signal:
    low, high = _number(call, "from", default=0.0), _number(call, "to", default=1.0)
    unit = _noise("uniform", ndtr, call.outputs[0], (0.5, 1.0 / 3.0))
    return shifted(scaled(unit, high - low), low)


def _random_integers(call: Call) -> Signal:
    low, high = _number(call, "low", default=0.0), _number(call, "high", default=math.nan)
    count, mean = high - low, (low + high - 1.0) / 2.0
    if not count >= 1.0:
        raise Unpredictable("its bounds are not known")
    second = mean * mean + (count * count - 1.0) / 12.0
    edges = tuple(float(ndtri(step / count)) for step in range(1, int(min(count, MOST_STEPS))))
    name = f"integers {low!r} {high!r}"
    return _noise(name, lambda u: low + np.floor(ndtr(u) * count), call.outputs[0], (mean, second), edges)


def _random_exponential(call: Call) -> Signal:
    unit = _noise("exponential", lambda u: -np.log(ndtr(-u)), call.outputs[0], (1.0, 2.0))
    return scaled(unit, 1.0 / _number(call, "lambd", default=1.0))


def _coin(shape: Sequence[int], chance: float) -> Signal:
    edge = float(ndtri(min(max(chance, 0.0), 1.0)))
    if not np.isfinite(edge):
        return signal(Source(Moments.constant(shape, chance), False, Provenance.EXACT))
    return _noise(f"coin {chance!r}", lambda u: np.where(u < edge, 1.0, 0.0), shape, (chance, chance), (edge,))


def _random_bernoulli(call: Call) -> Signal:
    chance = call.attributes.get("p")
    if isinstance(chance, int | float):
        return _coin(call.outputs[0], float(chance))
    chances = call.needed("input")
    source = chances.source
    if source is not None and source.certain:
        return _coin(call.outputs[0], chances.moments.average_mean)
    return mapped("flip", lambda u, p: np.where(ndtr(u) < p, 1.0, 0.0), _normal(call.outputs[0]), chances)


def _nothing(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    """Pass nothing on: what was drawn or filled in depends on no operand."""
    return {}


rule("random_normal", _random_normal, _nothing)
rule("random_uniform", _random_uniform, _nothing)
rule("random_integers", _random_integers, _nothing)
rule("random_exponential", _random_exponential, _nothing)
rule("random_bernoulli", _random_bernoulli, _nothing)


def _filled(call: Call) -> list[Signal | None]:
    value = {"zeros": 0.0, "ones": 1.0}.get(call.node.op)
    if value is None and call.place("value") is not None:
        return [viewed(call.needed("value"), ("expand", call.outputs[0]), lambda x: x.expanded(call.outputs[0]))]
    if value is None:
        value = next((call.attributes[name] for name in ("fill_value", "value", "s") if name in call.attributes), None)
    if not isinstance(value, int | float) or not np.isfinite(value):
        return [None]
    return [signal(Source(Moments.constant(call.outputs[0], float(value)), False, Provenance.EXACT))]


def _filled_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    if call.place("value") is None:
        return {}
    gradient = arrived(gradients)
    return {"value": gradient.sum(range(len(gradient.dims)))}


rule("zeros ones full scalar", _filled, _filled_back)


def _unwritten(call: Call) -> Signal:
    """Take memory that nothing was written to as zeros: whatever reads it writes to it first."""
    return signal(Source(Moments.constant(call.outputs[0], 0.0), False, Provenance.UNKNOWN))


rule("empty", _unwritten, _nothing)


def _dropped(call: Call) -> list[Signal | None]:
    x, chance = call.needed("input"), float(call.attributes.get("p", 0.5))
    if not call.attributes.get("train", True):
        return [x, None]
    mask = _coin(call.outputs[0], 1.0 - chance)
    return [times(x, scaled(mask, 1.0 / (1.0 - chance) if chance < 1.0 else 0.0)), None]


def _dropped_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, chance = arrived(gradients), float(call.attributes.get("p", 0.5))
    if not call.attributes.get("train", True):
        return {"input": gradient}
    keep = 1.0 - chance
    mask = Moments.independent(call.outputs[0], 1.0, 1.0 / keep) if keep else Moments.constant(call.outputs[0], 0.0)
    return {"input": gradient.times(mask)}


rule("dropout", _dropped, _dropped_back)

"""Losses: pointwise ones as functions of output and target, and the negative log-likelihood of classes.

The loss itself is the mean of its signal; the gradient at the output keeps its dependence on the output, so that the
slope of the activation before it multiplies the right thing: binary cross-entropy after a sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from justright.core.axes import Array
from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import Signal, mapped, plus, scaled, signal
from justright.core.sources import Source
from justright.ops.rule import Call, Gradients, Sloped, Unpredictable, rule

__all__: list[str] = []

NONE: Final = 0
"""The reduction that leaves one loss an element; 1 is their mean and 2 their sum, in PyTorch's schema."""
MEAN: Final = 1


@dataclass(frozen=True)
class Loss:
    """A pointwise loss: function and derivative by the output, of output and target or of their difference alone.

    Where the target takes two values only, the functions are written linear in it: its first two moments are enough.
    """

    value: Callable[..., Any]
    slope: Callable[..., Any]
    difference: bool = False
    kinks: Callable[[float], tuple[float, ...]] = lambda _: ()


def _softplus(x: Any) -> Any:
    return np.logaddexp(0.0, x)


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0.0, -x))


def _huber(d: Any, width: float) -> Any:
    inner = np.minimum(np.abs(d), width)
    return inner * (np.abs(d) - inner / 2)


def _smooth(d: Any, width: float) -> Any:
    return _huber(d, width) / width if width else np.abs(d)


def _smooth_slope(d: Any, width: float) -> Any:
    return np.clip(d / width, -1.0, 1.0) if width else np.sign(d)


def _binary(p: Any, y: Any, _: float) -> Any:
    inside = np.clip(p, 0.0, 1.0)  # outside, the framework refuses
    return -(y * np.maximum(np.log(inside), -100.0) + (1 - y) * np.maximum(np.log1p(-inside), -100.0))


LOSSES: Final[dict[str, Loss]] = {
    "mse_loss": Loss(lambda d, _: d * d, lambda d, _: 2 * d, difference=True),
    "l1_loss": Loss(lambda d, _: np.abs(d), lambda d, _: np.sign(d), True, lambda _: (0.0,)),
    "huber_loss": Loss(_huber, lambda d, width: np.clip(d, -width, width), True, lambda width: (-width, width)),
    "smooth_l1_loss": Loss(_smooth, _smooth_slope, True, lambda width: (-width, width) if width else (0.0,)),
    "binary_cross_entropy": Loss(_binary, lambda p, y, _: (p - y) / np.maximum(p * (1 - p), 1e-12)),
    "soft_margin_loss": Loss(
        lambda x, y, _: _softplus(x) - (1 + y) / 2 * x,
        lambda x, y, _: _sigmoid(x) - (1 + y) / 2,
    ),
}
"""The losses; 1e-12 and -100 are PyTorch's own bounds."""


def _pointwise(call: Call) -> tuple[Signal, Signal]:
    """Return a loss of every element, and its slope by the output."""
    loss, name = LOSSES[call.node.op], call.node.op
    width = float(call.attributes.get("delta", call.attributes.get("beta", 1.0)))
    x, y = call.needed("input"), call.needed("target")
    arguments = (plus(x, scaled(y, -1.0)),) if loss.difference else (x, y)
    found = [
        mapped(f"{name}{mark} {width}", lambda *u, f=f: f(*u, width), *arguments, kinks=loss.kinks(width))
        for mark, f in (("", loss.value), ("'", loss.slope))
    ]
    return _weighted(call, *found)


def _logits(call: Call) -> tuple[Signal, Signal]:
    """Return binary cross-entropy of logits, ``(1 - y) z + (1 + (p - 1) y) ln(1 + exp(-z))``, and its slope."""
    arguments = [call.needed("input"), call.needed("target")]
    if call.place("pos_weight") is not None:
        arguments.append(call.needed("pos_weight"))

    def value(z: Any, y: Any, p: Any = 1.0) -> Any:
        return (1 - y) * z + (1 + (p - 1) * y) * _softplus(-z)

    def slope(z: Any, y: Any, p: Any = 1.0) -> Any:
        return (1 - y) - (1 + (p - 1) * y) * _sigmoid(-z)

    return _weighted(call, mapped("logits", value, *arguments), mapped("logits'", slope, *arguments))


def _weighted(call: Call, value: Signal, slope: Signal) -> tuple[Signal, Signal]:
    weight = call.signal("weight")
    if weight is None:
        return value, slope
    return mapped("weighted", np.multiply, value, weight), mapped("weighted", np.multiply, slope, weight)


def _reduced(call: Call, elements: Moments) -> Moments:
    every = range(len(elements.dims))
    reduction = int(call.attributes.get("reduction", MEAN))
    return elements if reduction == NONE else elements.averaged(every) if reduction == MEAN else elements.sum(every)


def _forward(parts: Callable[[Call], tuple[Signal, Signal]]) -> Callable[[Call], Signal]:
    def forward(call: Call) -> Signal:
        value, _ = parts(call)
        reduced = _reduced(call, value.moments)
        return signal(Source(reduced, not reduced.axes, value.provenance))

    return forward


def _backward(parts: Callable[[Call], tuple[Signal, Signal]]) -> Callable[..., Gradients]:
    def backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
        gradient = _needed(gradients)
        _, slope = parts(call)
        mean = int(call.attributes.get("reduction", MEAN)) == MEAN
        gradient = gradient.scaled(1.0 / slope.moments.size) if mean else gradient
        whole = gradient.expanded(call.shapes[0]) if not gradient.dims else gradient
        found: dict[str, Any] = {"input": Sloped(whole, slope)}
        if LOSSES.get(call.node.op, Loss(_sigmoid, _sigmoid)).difference:
            found["target"] = Sloped(whole.scaled(-1.0), slope)
        return found

    return backward


def _needed(gradients: Sequence[Moments | None]) -> Moments:
    if gradients[0] is None:
        raise Unpredictable("it has no gradient")
    return gradients[0]


for _name in LOSSES:
    rule(_name, _forward(_pointwise), _backward(_pointwise))
rule("binary_cross_entropy_with_logits", _forward(_logits), _backward(_logits))


# --- classes ----------------------------------------------------------------------------------------------------------


def _nll(call: Call) -> list[Signal | None]:
    x = call.needed("input")
    picks, total = _picks(call)
    product = x.moments.times(picks)
    dims = range(len(picks.dims)) if call.attributes.get("reduction", MEAN) != NONE else [_class_dim(call)]
    count = signal(Source(Moments.constant((), total), provenance=Provenance.EXACT))
    return [signal(Source(product.sum(dims), True, x.provenance)), count]


def _nll_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _needed(gradients)
    if gradient.dims:
        shape = list(call.shapes[0])
        shape[_class_dim(call)] = 1
        gradient = gradient.reshaped(shape)
    return {"input": _picks(call)[0].times(gradient)}


def _class_dim(call: Call) -> int:
    return min(1, len(call.shapes[0]) - 1)


def _picks(call: Call) -> tuple[Moments, float]:
    """Return what the loss multiplies the log-probabilities with, zero but at the targets; and the total weight."""
    shape, dim = call.shapes[0], _class_dim(call)
    if shape[dim] == 1:
        raise Unpredictable("it has a single class")
    factors, rows = _factors(call, shape[dim]), int(np.prod(shape)) // shape[dim]
    share, step = _shares(call, shape[dim], rows)
    total = rows * float(share @ factors)
    if call.attributes.get("reduction", MEAN) == MEAN:
        factors = factors / total
    like = Moments.constant(shape, 0.0)
    at = like.position(dim)
    along = [-1 if place == at else 1 for place in range(like.pairs.ndim)]
    pairs = np.broadcast_to(_cases(share, step, factors).reshape(along), like.pairs.shape).copy()
    own = np.array([share @ factors**2 / factors.size, 0.0])
    pairs[tuple(slice(None) if place == at else 0 for place in range(pairs.ndim))] = own
    mean = np.full(like.mean.shape, -float(share @ factors) / factors.size)
    return like.with_values(mean, pairs), total


def _factors(call: Call, classes: int) -> Array:
    weight = call.values("weight")
    if weight is None and call.place("weight") is not None:
        raise Unpredictable("the weights of the classes are not known")
    return np.ones(classes) if weight is None else np.asarray(weight, dtype=np.float64)


def _shares(call: Call, classes: int, rows: int) -> tuple[Array, float]:
    """Return the share of rows whose target is each class, and the share of one row where targets are known.

    Targets that are not known are taken as independent and uniform.
    """
    target = call.values("target")
    if target is None:
        return np.full(classes, 1.0 / classes), 0.0
    target = target.ravel()
    kept = target[(target != call.attributes.get("ignore_index", -100)) & (target >= 0) & (target < classes)]
    return np.bincount(kept.astype(np.int64), minlength=classes) / rows, 1.0 / rows


def _cases(share: Array, step: float, factors: Array) -> Array:
    """Second moments of two rows: of the same class, and of different ones.

    With n_c of N rows in class c there are ``n_c (n_c - 1)`` pairs of them in it, and ``n_c n_d`` in two classes.
    """
    taken = share * factors
    scale = 1.0 / (1.0 - step) if step < 1.0 else 0.0
    same = scale * float(np.sum(taken**2 - step * share * factors**2)) / factors.size
    rest = scale * float(np.sum(taken) ** 2 - np.sum(taken**2))
    return np.array([same, rest / (factors.size * max(factors.size - 1, 1))])


rule("nll_loss", _nll, _nll_backward)

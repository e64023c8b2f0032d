"""Elementwise operators: their value and slope as functions of the forward signals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from justright.core.moments import Moments
from justright.core.recent import Recent
from justright.core.signals import Signal, mapped, plus, scaled, shifted, signal, times
from justright.core.sources import Source
from justright.ops.base import OPERATORS
from justright.ops.rule import Call, Unpredictable, given
from justright.propagation.leaves import by_values

__all__ = ["forward", "slope"]

SQUARE: Final = 2

SHUT: Final = -30.0
"""Where nothing but zeros and numbers below this is added to logits, it hides some: exp(-30) is 1e-13."""

HIDDEN: Final = -1e4
"""What is added to a logit to hide it is below this: frameworks use minus infinity or a dtype's lowest number."""


def forward(call: Call) -> Signal:
    """Return the signal of an elementwise operator's output."""
    special = SPECIAL.get(call.node.op)
    if special is not None:
        found = special(call)
        if found is not None:
            return _shaped(found, call.outputs[0])
    found = _applied(call, OPERATORS[call.node.op].phi, "")
    return _shaped(replace(found, square=True) if _squares(call) else found, call.outputs[0])


def _squares(call: Call) -> bool:
    """Say whether an operator squares its operand."""
    if call.node.op == "multiply":
        return len(call.node.operands) > 1 and call.node.operands[0].site == call.node.operands[1].site
    return call.node.op == "square" or (call.node.op == "power" and call.attributes.get("exponent") == SQUARE)


def slope(call: Call, at: int) -> Signal:
    """Return the derivative of an elementwise operator with respect to one operand, as a signal."""
    name = call.node.operands[at].name
    partial = OPERATORS[call.node.op].partials.get(name)
    if partial is None:
        raise Unpredictable(f"its derivative with respect to {name!r} is not known")
    if call.node.op == "masked_fill" and name == "input" and (values := call.values("mask")) is not None:
        return _kept(call, values)
    used = inspect.signature(partial).parameters
    constant = _number(partial, used, call)
    if constant is not None:
        return signal(Source(Moments.constant((1,) * len(call.outputs[0]), constant)))
    if call.node.op == "multiply":
        return _argument(call, "other" if name == "input" else "input")
    return _applied(call, partial, f"'{name}")


def _number(partial: Callable[..., Any], used: Mapping[str, Any], call: Call) -> float | None:
    """Return a derivative that depends on no tensor."""
    if any(call.place(name) is not None for name in used):
        return None
    value = partial(**call.attributes)
    return float(value) if np.ndim(value) == 0 else None


def _argument(call: Call, name: str) -> Signal:
    found = call.signal(name)
    if found is not None:
        return found
    value = call.attributes.get(name)
    if value is None:
        raise Unpredictable(f"nothing is known of its operand {name!r}")
    return signal(Source(Moments.constant((1,) * len(call.outputs[0]), float(value))))


def _applied(call: Call, function: Callable[..., Any], mark: str) -> Signal:
    """Apply a function of named arguments to the operands."""
    accepted = inspect.signature(function).parameters
    names = [each.name for each in call.node.operands if each.name in accepted]
    if len(set(names)) < len(names):
        raise Unpredictable("two of its operands have one name")
    attributes = {name: value for name, value in call.attributes.items() if name in accepted and name not in names}
    kinks: tuple[float, ...] = ()
    if names == ["input"] and _arguments_of_kinks(call.node.op) <= attributes.keys():
        kinks = OPERATORS[call.node.op].kinks(**attributes)
    shown = f"{call.node.op}{mark} {sorted(attributes.items(), key=str)}"

    def apply(*values: Any) -> Any:
        return function(**dict(zip(names, values, strict=True)), **attributes)

    return mapped(shown, apply, *(call.needed(name) for name in names), kinks=kinks)


def _arguments_of_kinks(op: str) -> set[str]:
    """Return the attributes without which the kinks of an operator are not known: such as another operand."""
    needed = inspect.signature(OPERATORS[op].kinks).parameters.values()
    return {each.name for each in needed if each.default is inspect.Parameter.empty}


def _shaped(x: Signal, shape: tuple[int, ...]) -> Signal:
    """Repeat a signal whose operands were all smaller than the output."""
    if x.moments.shape == shape:
        return x
    return signal(Source(x.moments.expanded(shape), False, x.provenance))


def _add(call: Call, sign: float = 1.0) -> Signal | None:
    factor = sign * float(call.attributes.get("alpha", 1.0))
    x, other = call.needed("input"), call.attributes.get("other")
    if call.place("other") is None:
        return shifted(x, factor * float(other or 0.0))
    hidden = _masking(call, "other") or _masking(call, "input")
    if hidden is not None:
        return hidden
    return plus(x, scaled(call.needed("other"), factor))


def _masking(call: Call, name: str) -> Signal | None:
    """Return the other operand with a mask, if this one adds nothing but zero or minus infinity."""
    values = call.values(name)
    seen = None if values is None else _MASKS.get(values, "mask", lambda: _visible(values))
    rest = call.signal("input" if name == "other" else "other")
    if values is None or seen is None or rest is None:
        return None
    visible, endless = seen
    hidden = masked(rest, visible if rest.visible is None else visible & rest.visible)
    return hidden if endless else replace(hidden, known=plus(rest, given(values)).moments, line=None)


_MASKS: Final[Recent[tuple[Any, bool] | None]] = Recent(8)


def _visible(values: Any) -> tuple[Any, bool] | None:
    """Say where a mask hides nothing, and whether it hides without end; ``None`` if it is no mask."""
    shown = values > SHUT
    if not values.size or np.all(shown) or np.any(values[shown] != 0):
        return None
    return shown, bool(np.any(values <= HIDDEN))


def masked(x: Signal, visible: Any) -> Signal:
    """Return a signal with some of its elements hidden."""
    return Signal("hidden", lambda u: u, (x,), x.moments, line=x.line, visible=visible)


def _subtract(call: Call) -> Signal | None:
    return _add(call, -1.0)


def _reverse_subtract(call: Call) -> Signal | None:
    factor = -float(call.attributes.get("alpha", 1.0))
    x = scaled(call.needed("input"), factor)
    if call.place("other") is None:
        return shifted(x, float(call.attributes.get("other") or 0.0))
    return plus(call.needed("other"), x)


def _multiply(call: Call) -> Signal | None:
    if call.place("other") is None:
        return scaled(call.needed("input"), float(call.attributes["other"]))
    if call.node.operands[0].site == call.node.operands[1].site:
        return None
    return times(call.needed("input"), call.needed("other"))


def _divide(call: Call) -> Signal | None:
    if call.attributes.get("rounding_mode"):
        return None
    if call.place("other") is None:
        return scaled(call.needed("input"), 1.0 / float(call.attributes["other"]))
    values = call.values("other")
    if values is not None and values.size and np.all(values != 0):
        return times(call.needed("input"), given(1.0 / values))
    reciprocal = mapped("reciprocal", np.reciprocal, call.needed("other"))
    return times(call.needed("input"), reciprocal)


def _negative(call: Call) -> Signal | None:
    return scaled(call.needed("input"), -1.0)


def _masked_fill(call: Call) -> Signal | None:
    values, fill = call.values("mask"), call.attributes.get("value")
    if values is None or fill is None:
        return None
    x = call.needed("input")
    if float(fill) <= HIDDEN:
        shown = values == 0
        return masked(x, shown if x.visible is None else shown & x.visible)
    kept = by_values(values == 0)
    filled = times(x, kept)
    return filled if float(fill) == 0.0 else plus(filled, scaled(shifted(kept, -1.0), -float(fill)))


def _kept(call: Call, mask: Any) -> Signal:
    """Return the share of a gradient that passes a mask: all where logits are hidden, for softmax holds it back."""
    if float(call.attributes.get("value") or 0.0) <= HIDDEN:
        return signal(Source(Moments.constant((1,) * len(call.outputs[0]), 1.0)))
    return by_values(mask == 0)


SPECIAL: Final[Mapping[str, Callable[[Call], Signal | None]]] = {
    "add": _add,
    "subtract": _subtract,
    "reverse_subtract": _reverse_subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "masked_fill": _masked_fill,
}
"""Operators whose moments follow from those of their operands, or that hide elements."""

"""Comparisons, and one of two values where a condition holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from justright.core.axes import Array
from justright.core.moments import Moments, align, outer_means
from justright.core.signals import Signal, between, mapped
from justright.ops.made import arrived, gaussian, made, summed_to
from justright.ops.rule import Call, Gradients, Unpredictable, given, rule

__all__: list[str] = []

HIDDEN = -1e4
"""What takes the place of a logit to hide it is below this: minus infinity or a dtype's lowest number."""

COMPARED = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
            "ge": np.greater_equal}  # fmt: skip

LOGICAL = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_not": np.logical_not,
           "logical_xor": np.logical_xor}  # fmt: skip


def _base(call: Call) -> str:
    return call.node.native.split(".")[1].strip("_") if "." in call.node.native else call.node.native


def _compare(call: Call) -> Signal:
    function = COMPARED.get(_base(call))
    if function is None:
        raise Unpredictable(f"the comparison {call.node.native!r} is not known")
    x = call.needed("input")
    if call.place("other") is not None:
        both = (x, call.needed("other"))
        return mapped(_base(call), lambda u, v: np.where(function(u, v), 1.0, 0.0), *both)
    edge = float(call.attributes["other"])
    return mapped(f"{_base(call)} {edge!r}", lambda u: np.where(function(u, edge), 1.0, 0.0), x, kinks=(edge,))


def _logical(call: Call) -> Signal:
    function: Any = LOGICAL.get(_base(call))
    if function is None:
        raise Unpredictable(f"the condition {call.node.native!r} is not known")
    both = [call.needed(each.name) for each in call.node.operands]
    return mapped(_base(call), lambda *values: np.where(function(*(each > 0.5 for each in values)), 1.0, 0.0), *both)


def _nothing(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    """Pass nothing on: a step has no slope."""
    return {}


rule("compare", _compare, _nothing)
rule("logical", _logical, _nothing)


def _where(call: Call) -> Signal:
    condition = call.values("condition")
    if condition is None:
        chosen = [call.needed(name) for name in ("condition", "input", "other")]
        return mapped("where", lambda c, u, v: np.where(c > 0.5, u, v), *chosen)
    shown = _masked(call, condition)
    if shown is not None:
        return shown
    x, other = (call.needed(name) for name in ("input", "other"))
    moments = _mixed(x, other, given(condition).moments)
    if moments.shape != call.outputs[0]:
        moments = moments.expanded(call.outputs[0])
    return made(moments, x, other, normal=gaussian(x) and gaussian(other))


def _masked(call: Call, condition: Array) -> Signal | None:
    """Return one operand with a mask, if the other one hides elements."""
    for kept, hiding, visible in (
        ("input", "other", condition),
        ("other", "input", ~np.asarray(condition, dtype=bool)),
    ):
        values = call.values(hiding)
        if values is None or not np.size(values) or np.any(values > HIDDEN) or call.signal(kept) is None:
            continue
        x = call.needed(kept)
        shown = np.asarray(visible, dtype=bool)
        shown = shown if x.visible is None else shown & x.visible
        return Signal("hidden", lambda u: u, (x,), x.moments, line=x.line, visible=shown)
    return None


def _mixed(x: Signal, other: Signal, chosen: Moments) -> Moments:
    """Return the moments of one signal where a condition holds, and of another one elsewhere."""
    one, two = align(x.moments, other.moments)
    shared = between(x, other)
    across = one.with_values(one.mean, outer_means(one, two) if shared is None else shared)
    rest = chosen.scaled(-1.0).shifted(1.0)
    edge = chosen.with_values(chosen.mean, chosen.left(chosen.mean) - chosen.pairs)
    crossed, edges = align(across, edge)
    mixed = crossed.with_values(crossed.mean, crossed.pairs * edges.pairs)
    first, second = one.times(chosen), two.times(rest)
    first, mixed = align(first, mixed)
    return first.plus(second, align(mixed, align(first, second)[0])[0].pairs)


def _where_back(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient, condition = arrived(gradients), call.values("condition")
    chosen = call.needed("condition").moments
    found = {}
    for name, share in (("input", chosen), ("other", chosen.scaled(-1.0).shifted(1.0))):
        if call.place(name) is not None:
            hidden = condition is not None and _masked(call, condition) is not None
            found[name] = summed_to(gradient if hidden else gradient.times(share), call.shape(name))
    return found


rule("where", _where, _where_back)

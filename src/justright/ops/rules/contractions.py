"""Products of other kinds: of vectors, of three tensors, of groups of rows with a matrix each; and distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters

import numpy as np

from justright.core.contraction import contract
from justright.core.moments import Moments, align
from justright.core.profile import Provenance
from justright.core.signals import Signal, plus, scaled, signal
from justright.core.sources import Source
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

SPECS = {"outer": "a,b->ab", "dot": "a,a->"}
"""Products of two vectors as an einsum."""


def _factors(call: Call) -> tuple[Signal, Signal]:
    """Return the last two operands; a first one of three is added to their product."""
    found = call.signals[-2:]
    if found[0] is None or found[1] is None:
        raise Unpredictable("nothing is known of one of its factors")
    return found[0], found[1]


def _given(gradients: Sequence[Moments | None]) -> Moments:
    if gradients[0] is None:
        raise Unpredictable("it has no gradient")
    return gradients[0]


def _product(call: Call) -> Signal:
    x, y = _factors(call)
    gaussian = call.node.op == "dot"
    found = signal(
        Source(contract(x.moments, y.moments, SPECS[call.node.op]), gaussian, max(x.provenance, y.provenance))
    )
    found = scaled(found, float(call.attributes.get("alpha", 1.0)))
    added = call.signals[0] if call.signals[:-2] else None
    return found if added is None else plus(scaled(added, float(call.attributes.get("beta", 1.0))), found)


def _product_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _given(gradients)
    x, y = _factors(call)
    left, right, out = *SPECS[call.node.op].split("->")[0].split(","), SPECS[call.node.op].split("->")[1]
    inner = gradient.scaled(float(call.attributes.get("alpha", 1.0)))
    names = [operand.name for operand in call.node.operands]
    found = {
        names[-2]: contract(inner, y.moments, f"{out},{right}->{left}"),
        names[-1]: contract(inner, x.moments, f"{out},{left}->{right}"),
    }
    if names[:-2]:
        found[names[0]] = gradient.scaled(float(call.attributes.get("beta", 1.0)))
    return found


rule("outer dot", _product, _product_backward)


def _letters(call: Call) -> tuple[list[str], str]:
    """Return the letters of the dimensions of the three factors, and those of the result."""
    extra = [set(call.attributes[f"expand{position}"]) for position in (1, 2, 3)]
    rank = len(call.shapes[0]) + len(extra[0])
    whole = ascii_letters[:rank]
    summed = set(call.attributes["sumdim"])
    sides = ["".join(letter for at, letter in enumerate(whole) if at not in each) for each in extra]
    return sides, "".join(letter for at, letter in enumerate(whole) if at not in summed)


def _in_turn(tensors: Sequence[Moments], sides: Sequence[str], out: str) -> Moments:
    """Multiply three tensors, two at a time."""
    kept = "".join(sorted({*sides[0], *sides[1]} & {*sides[2], *out}))
    first = contract(tensors[0], tensors[1], f"{sides[0]},{sides[1]}->{kept}")
    return contract(first, tensors[2], f"{kept},{sides[2]}->{out}")


def _three(call: Call) -> Signal:
    found = [call.needed(f"i{position}") for position in (1, 2, 3)]
    sides, out = _letters(call)
    moments = _in_turn([each.moments for each in found], sides, out)
    return signal(Source(moments, True, max(each.provenance for each in found)))


def _three_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _given(gradients)
    sides, out = _letters(call)
    tensors = [call.needed(f"i{position}").moments for position in (1, 2, 3)]
    found = {}
    for at in range(3):
        others = [other for other in range(3) if other != at]
        parts = [gradient, *(tensors[other] for other in others)]
        found[f"i{at + 1}"] = _in_turn(parts, [out, *(sides[other] for other in others)], sides[at])
    return found


rule("bilinear", _three, _three_backward)


def _experts(call: Call) -> tuple[Signal, Signal, str]:
    """Return rows, matrices, and the product of every row with one of the matrices, as if all had the same ones."""
    x, w = call.signals[:2]
    if x is None or w is None or (len(x.shape), len(w.shape)) != (2, 3):
        raise Unpredictable("only rows of one tensor with one matrix a group are covered")
    return x, w, "bi,io->bo"


def _one(w: Moments) -> Moments:
    """One of the matrices, whichever it is."""
    return w.merged_strata().sliced(0, 0, 1).reshaped(w.shape[1:])


def _grouped(call: Call) -> Signal:
    x, w, spec = _experts(call)
    moments = _routed(x.moments, w.moments, spec)
    return signal(Source(moments, True, max(x.provenance, w.provenance)))


def _routed(x: Moments, w: Moments, spec: str) -> Moments:
    """Multiply every row with a matrix drawn blindly: a row meets one, and two rows the same one as often as chance."""
    alike = contract(x, _one(w), spec)
    pairs = np.array(contract(x, w.averaged([0]), spec).pairs)
    own = tuple(slice(0, axis.groups) for axis in alike.dims[0])
    pairs[own] = alike.pairs[own]
    return alike.with_values(alike.mean, pairs)


def _grouped_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _given(gradients)
    x, w, _ = _experts(call)
    groups, rows = w.shape[0], x.shape[0]
    mine = (max(rows // groups, 1), *x.shape[1:]), (max(rows // groups, 1), w.shape[2])
    parts = [
        moments.merged_strata().sliced(0, 0, shape[0]).reshaped(shape)
        for moments, shape in zip((x.moments, gradient), mine, strict=True)
    ]
    single = contract(parts[0], parts[1], "bi,bo->io")
    names = [operand.name for operand in call.node.operands]
    to_weight = contract(Moments.independent((groups,), 0.0, 1.0), single, "g,io->gio")  # groups have rows of their own
    return {names[0]: _routed(gradient, w.moments, "bo,io->bi"), names[1]: to_weight}


rule("grouped_matmul", _grouped, _grouped_backward)


EUCLIDEAN = 2.0
"""Power of which the distance is the root of a sum."""


def _squares(call: Call) -> tuple[Moments, Moments, float]:
    """Return both sets of points against each other, their difference, and the mean square of a distance."""
    x, y = (call.needed(name).moments for name in ("x1", "x2"))
    if float(call.attributes.get("p", EUCLIDEAN)) != EUCLIDEAN:
        raise Unpredictable("only the Euclidean distance is covered")
    first = x.reshaped((*x.shape[:-2], x.shape[-2], 1, x.shape[-1]))
    second = y.reshaped((*y.shape[:-2], 1, *y.shape[-2:]))
    difference, _ = align(first.plus(second.scaled(-1.0)), first)
    return x, difference, difference.second_moment * x.shape[-1]


def _distance(call: Call) -> Signal:
    x, difference, square = _squares(call)
    units = x.shape[-1]
    spread = 2.0 * float(np.mean(difference.variance)) ** 2 * units  # of a sum of squares of Gaussian differences
    mean = math.sqrt(max(square - spread / (4.0 * square), 0.0)) if square > 0 else 0.0
    lengths = Moments.independent(call.outputs[0], mean, square)
    return signal(Source(lengths, True, Provenance.ASYMPTOTIC))


def _distance_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = _given(gradients)
    _, difference, square = _squares(call)
    wide = gradient.reshaped((*gradient.shape, 1)).times(difference.scaled(1.0 / math.sqrt(max(square, 1e-300))))
    rank = len(wide.dims)
    return {"x1": wide.sum([rank - 2]), "x2": wide.sum([rank - 3])}


rule("distance", _distance, _distance_backward)

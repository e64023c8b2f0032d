"""Softmax and its logarithm: attention, classes, routers.

The weights ``a`` of a row of n Gaussian logits of variance v have mean 1 / n and second moment E sum a² / n, exactly at
every n (`justright.core.participation`). Of a gradient g that is independent of the logits, only what it does not
share along the row passes: for such a part of variance w, ``dL/dz_i = a_i (g_i - sum a g)`` has the second moment
``w E[a_i² (1 - 2 a_i + sum a²)]``, and sums to zero over the row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from justright.core.axes import Array
from justright.core.moments import Moments, align
from justright.core.profile import Provenance
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.ops.rows import Rows, normalized, rows_of
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []


def _rows(call: Call, gradient: Moments | None = None) -> tuple[Rows, Moments | None]:
    """Return the rows of a call's logits, and a gradient on the same axes; classes of a logarithm are all alike."""
    x = call.needed("input")
    key = int(call.attributes.get("dim", -1)) % max(len(call.outputs[0]), 1)
    alike = call.node.op == "log_softmax"
    logits = _merged(x.shown, key) if alike else x.shown
    if gradient is None:
        return rows_of(logits, key, x.visible), None
    logits, gradient = align(logits, _merged(gradient, key) if alike else gradient)
    rows = rows_of(logits, key, x.visible)
    for dim in (rows.key, rows.query):
        if dim is not None:
            gradient = gradient.in_one_axis(dim)
            gradient = gradient.strata_at(gradient.position(dim), rows.logits.dims[dim][0].strata)
    return rows, gradient


def _made(moments: Moments, x: Signal) -> Signal:
    return signal(Source(moments, False, max(x.provenance, Provenance.NUMERICAL)))


def _softmax(call: Call) -> Signal:
    rows, _ = _rows(call)
    mean = rows.seen.share / np.asarray(rows.seen.keys.strata)
    mean = np.broadcast_to(mean, (*rows.variance.shape, rows.seen.keys.groups))
    same = rows.agreement[..., None] * rows.shared
    return _made(rows.balanced(mean, same, rows.total), call.needed("input"))


def _softmax_backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    if gradients[0] is None:
        raise Unpredictable("it has no gradient")
    rows, gradient = _rows(call, gradients[0])
    assert gradient is not None
    own, others = _centred(rows, rows.cases(gradient.pairs))
    common = np.sum(own * normalized(rows.shared), axis=-1)
    local, shared = _passed(rows)
    same = rows.shared * (own * local[..., None] + (common * shared)[..., None])
    mean = np.zeros((*rows.variance.shape, rows.seen.keys.groups))
    left = rows.total - rows.agreement * rows.shared.sum(axis=-1)
    return {"input": rows.balanced(mean, same, 0.0, left[..., None] * normalized(rows.distinct) * others)}


def _centred(rows: Rows, pairs: Array) -> tuple[Array, Array]:
    """Covariance of two rows' gradients, less their means over the rows: at one key, and at keys of two strata."""
    groups = rows.seen.keys.groups
    weights = rows.distinct.reshape(-1, groups, groups)
    different = pairs[..., groups:].reshape(*pairs.shape[:-1], groups, groups)
    first = np.sum(different * normalized(weights), axis=-1)
    second = np.sum(different * normalized(weights.swapaxes(-1, -2)).swapaxes(-1, -2), axis=-2)
    every = np.sum(pairs[..., groups:] * normalized(rows.distinct), axis=-1)
    levels = first[..., :, None] + second[..., None, :] - every[..., None, None]
    others = (different - levels).reshape(pairs[..., groups:].shape)
    return pairs[..., :groups] - np.einsum("...bb->...b", levels), others


def _passed(rows: Rows) -> tuple[Array, Array]:
    """Return n E sum a a' (1 - a - a') and n E sum a a' sum a a' for two rows.

    Both are exact for equal and for independent rows, and lie between with the agreement of the weights.
    """
    weights = rows.weights
    n, squares = weights.count, weights.squares
    local = rows.both(1 - 2 * squares), rows.both(n * (squares - 2 * weights.cubes))
    equal = np.sqrt(np.maximum(n * (squares - 2 * weights.cubes + weights.squared), 0.0))
    others = np.sqrt(np.maximum(n - 1, 1.0))
    whole = (
        rows.product(1 - squares) + rows.product((1 - squares) / others),
        rows.product(equal),
    )
    own, every = (far + rows.closeness * (near - far) for far, near in (local, whole))
    return own, every - own


def _log_softmax(call: Call) -> Signal:
    rows, n = _whole_rows(call)
    weights = rows.weights
    spread = np.sqrt(rows.product(weights.log_variance))
    level = rows.product(weights.log_mean) + spread * rows.closeness
    different = level - 2 * rows.covariance / n  # E[z_i ln Z] = v E[a_i], by partial integration
    moments = rows.assembled(
        -weights.log_mean[..., None], (different + rows.covariance)[..., None], different[..., None]
    )
    return _made(moments, call.needed("input"))


def _whole_rows(call: Call) -> tuple[Rows, int]:
    if call.needed("input").visible is not None:
        raise Unpredictable("the logarithm of hidden weights is minus infinity")
    rows, _ = _rows(call)
    return rows, rows.seen.keys.size


def _merged(x: Moments, key: int) -> Moments:
    return x.in_one_axis(key).strata_at(x.position(key), (x.shape[key],))


def _log_softmax_backward(
    call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]
) -> Gradients:
    _, n = _whole_rows(call)
    if gradients[0] is None:
        raise Unpredictable("it has no gradient")
    rows, gradient = _rows(call, gradients[0])
    assert gradient is not None
    pairs = rows.cases(gradient.pairs)
    same, different = pairs[..., 0], pairs[..., 1]
    summed = n * same + n * (n - 1) * different  # E[(sum g)(sum g')]; E[g_i sum g'] is its n-th part
    agreed = rows.agreement / n
    other = (1 - agreed) / max(n * (n - 1), 1)
    found = [each + summed * (weight - 2 / n**2) for each, weight in ((same, agreed / n), (different, other))]
    moments = rows.assembled(np.zeros((*rows.variance.shape, 1)), *(each[..., None] for each in found))
    return {"input": moments}


rule("softmax", _softmax, _softmax_backward)
rule("log_softmax", _log_softmax, _log_softmax_backward)

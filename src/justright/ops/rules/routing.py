"""The largest elements of a row, and sorted rows: order statistics, by draws of rows with the right moments.

A router keeps the k largest of its weights or scores. Which ones these are is, for all that moments tell, a matter of
chance: every element is kept with probability k / n, and gets the gradient of its place if it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.moments import Moments, align
from justright.core.participation import participation
from justright.core.profile import Provenance
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.ops.rows import Rows, rows_of
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

DRAWN: Final = 2**17
"""Elements drawn: with 8 of them a row the averages are right to 1 / sqrt(2^14) = 1 % of a standard deviation."""


def _chosen(call: Call) -> tuple[int, int, int]:
    """Return the dimension, its length and how many of its elements are kept."""
    dim = int(call.attributes.get("dim", -1)) % max(len(call.shapes[0]), 1)
    return dim, call.shapes[0][dim], call.outputs[0][dim]


def _rows(moments: Moments, dim: int) -> Rows:
    moments = moments.in_one_axis(dim)
    at = moments.position(dim)
    return rows_of(moments.strata_at(at, (moments.axes[at].size,)), dim, None)


def _forward(call: Call) -> list[Signal | None]:
    if not call.shapes[0]:
        return [call.needed("input"), None]
    x = call.needed("input")
    dim, size, kept = _chosen(call)
    rows = _rows(x.moments, dim)
    largest = bool(call.attributes.get("largest", call.attributes.get("descending", False) or call.node.op == "top_k"))
    places = _places(x, rows, size)
    places = np.sort(places, axis=1)[:, ::-1] if largest else np.sort(places, axis=1)
    moments = _of_places(rows, places[:, :kept])
    return [signal(Source(_resized(moments, dim, kept), False, max(x.provenance, Provenance.FITTED))), None]


def _places(x: Signal, rows: Rows, size: int) -> Array:
    """Draw rows: [draws, elements]."""
    pairs = rows.cases(x.moments.pairs if x.moments.dims == rows.logits.dims else rows.logits.pairs)
    same, different = (float(pairs[..., case].ravel()[0]) for case in (0, 1))
    total = size * same + size * (size - 1) * different
    normals = _normals(size)
    if size > 1 and abs(total - 1.0) < 1e-6:
        spread = np.sqrt(_logit_variance(size, size * same))
        return _weights(spread * normals)
    source = x.sources[0] if len(x.sources) == 1 else None
    if source is not None and source.gaussian and source.moments.shape == x.moments.shape:
        return np.asarray(x.values({source: _levelled(_rows(source.moments, rows.key), normals)}))
    return _levelled(rows, normals)


def _levelled(rows: Rows, normals: Array) -> Array:
    """Give normal draws the mean of the rows, what varies along them, and what is common to a row."""
    x = rows.logits
    mean, own = x.average_mean, float(np.mean(rows.variance))
    common = max(x.second_moment - mean**2 - own, 0.0)
    return np.asarray(mean + np.sqrt(own) * normals + np.sqrt(common) * _levels(len(normals))[:, None])


def _weights(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _logit_variance(size: int, squares: float) -> float:
    """Return the variance of logits whose weights have this sum of squares."""
    variances, known = _table(size)
    return float(np.interp(squares, known, variances))


@lru_cache(32)
def _table(size: int) -> tuple[Array, Array]:
    variances = np.concatenate(([0.0], np.geomspace(1e-4, 1e4, 97)))
    return variances, participation(variances, size).squares


@lru_cache(8)
def _normals(size: int) -> Array:
    half = np.random.default_rng(0).standard_normal((max(DRAWN // (2 * size), 2), size))
    return np.concatenate((half, -half))


@lru_cache(8)
def _levels(count: int) -> Array:
    return np.random.default_rng(1).standard_normal(count)


def _of_places(rows: Rows, places: Array) -> Moments:
    """Moments of the elements at some places of sorted rows; two rows are as much alike as before sorting."""
    kept = places.shape[1]
    means = places.mean(axis=0)
    near = _two(np.mean(places**2, axis=0).sum(), np.mean(places.sum(axis=1) ** 2), kept)
    far = _two(float(means @ means), float(means.sum() ** 2), kept)
    common, alike = rows.cases(rows.logits.covariance)[..., 1:], _alike(rows)[..., None]
    level = common.ravel()[0]  # of one row: the draws have it
    same, different = (apart + alike * (equal - level - apart) + common for equal, apart in zip(near, far, strict=True))
    mean = np.full((*rows.variance.shape, 1), means.mean())
    return rows.assembled(mean, same, different)


def _two(squares: float, total: float, count: int) -> tuple[float, float]:
    """Average over pairs of one element and of different ones, from the sum of squares and the square of the sum."""
    return squares / count, (total - squares) / (count * (count - 1)) if count > 1 else squares / count


def _alike(rows: Rows) -> Array:
    """Correlation of two rows, of what varies along them."""
    spread = np.sqrt(rows.left(rows.variance) * rows.right(rows.variance))
    found = np.divide(rows.covariance, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.clip(found, 0.0, 1.0)


def _resized(moments: Moments, dim: int, size: int) -> Moments:
    if not moments.dims[dim]:
        return moments
    at = moments.position(dim)
    found = moments.replaced(dim, (Axis((size,)),), moments.mean, moments.pairs)
    return found.without_axis(at) if size == 1 else found


def _backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    if not call.shapes[0]:
        return {"input": gradient}
    dim, size, kept = _chosen(call)
    gradient = _widened(gradient, dim, size)
    logits, gradient = align(call.needed("input").moments, gradient)
    rows, places = _rows(logits, dim), _rows(gradient, dim).logits
    pairs = rows.cases(places.pairs)
    same, different = pairs[..., 0], pairs[..., 1]
    share = kept / size
    other = share * (kept - 1) / max(size - 1, 1)
    anyhow = share**2 * (same + (kept - 1) * different) / kept
    alike = _alike(rows) ** 2  # which elements are kept agrees less than their values do
    found = [anyhow + alike * (equal - anyhow) for equal in (share * same, other * different)]
    mean = share * np.moveaxis(places.mean, rows.moved[-1], -1)
    mean = mean if rows.query is not None else mean[..., None, :]
    return {"input": rows.assembled(mean, *(each[..., None] for each in found))}


def _widened(gradient: Moments, dim: int, size: int) -> Moments:
    """Give the dimension of the kept elements the length of the whole row, with the same moments."""
    whole = gradient.in_one_axis(dim)
    at = whole.position(dim)
    whole = whole.strata_at(at, (whole.axes[at].size,))
    return whole.replaced(dim, (Axis((size,)),), whole.mean, whole.pairs)


rule("top_k sort", _forward, _backward)

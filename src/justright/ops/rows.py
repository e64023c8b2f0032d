"""Rows of logits: the state in which softmax finds them, whatever their dimensions and their mask.

Only differences along a row matter to softmax. For every case of two rows (the same query or another, the same head or
another, ...) the covariance of the same key's logits less that of different keys' is the covariance of what is left of
them when everything shared along the row is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array, Axis
from justright.core.moments import Moments
from justright.core.participation import Agreement, Participation, participation
from justright.core.recent import Recent
from justright.ops.visibility import Visibility, everything, visibility

__all__ = ["Rows", "rows_of"]


@dataclass(frozen=True)
class Rows:
    """Logits in rows along one dimension.

    Parameters
    ----------
    logits
        Moments, with one axis along the row and one along the queries of the mask.
    key, query
        Dimensions of both; ``None`` where the mask is the same for all rows.
    seen
        What rows see.
    """

    logits: Moments
    key: int
    query: int | None
    seen: Visibility

    @cached_property
    def moved(self) -> tuple[int, ...]:
        """Positions of the axes of queries and of keys among all axes."""
        ends = (self.key,) if self.query is None else (self.query, self.key)
        return tuple(self.logits.position(dim) for dim in ends)

    def cases(self, pairs: Array) -> Array:
        """Move the axes of an array of pairs: others, then the case of two queries, then that of two keys."""
        last = np.moveaxis(pairs, self.moved, range(-len(self.moved), 0))
        return last if self.query is not None else np.expand_dims(last, -2)

    @property
    def _axes(self) -> tuple[Axis, ...]:
        """Axes of the rows: others, then queries."""
        others = tuple(axis for at, axis in enumerate(self.logits.axes) if at not in self.moved)
        return others if self.query is None else (*others, self.seen.queries)

    def left(self, cells: Array) -> Array:
        """Spread an array over kinds of rows to cases of two rows, by the first."""
        return self._spread(cells, [axis.left for axis in self._axes])

    def right(self, cells: Array) -> Array:
        """Spread an array over kinds of rows to cases of two rows, by the second."""
        return self._spread(cells, [axis.right for axis in self._axes])

    def _spread(self, cells: Array, sides: list[np.ndarray]) -> Array:
        return np.asarray(cells[np.ix_(*sides, *([] if self.query is not None else [np.array([0])]))])

    @cached_property
    def shared(self) -> Array:
        """`Visibility.shared` for the cases that occur."""
        return self.seen.shared if self.query is not None else self.seen.shared[:1]

    @cached_property
    def distinct(self) -> Array:
        """`Visibility.distinct` for the cases that occur."""
        return self.seen.distinct if self.query is not None else self.seen.distinct[:1]

    @cached_property
    def total(self) -> Array:
        """Weight of all that two rows see: one, unless rows are blank."""
        return np.asarray(self.shared.sum(-1) + self.distinct.sum(-1))

    @cached_property
    def covariance(self) -> Array:
        """Covariance of two rows' logits of the same key, less what is shared along the rows."""
        pairs, groups = self.cases(self.logits.pairs), self.seen.keys.groups
        same = np.sum(pairs[..., :groups] * normalized(self.shared), axis=-1)
        different = np.sum(pairs[..., groups:] * normalized(self.distinct), axis=-1)
        found = same - different
        noise = 1e-13 * np.abs(pairs).max(initial=0.0)  # rounding of a common level that is taken off
        meaning = (self.shared.sum(-1) > 0) & (self.distinct.sum(-1) > 0)
        return np.where(meaning & (np.abs(found) > noise), found, 0.0)

    @cached_property
    def variance(self) -> Array:
        """Variance of the logits along the row, for every kind of row."""
        cells = tuple(slice(0, axis.groups) for axis in self._axes)
        return np.maximum(self.covariance[cells], 0.0)

    @cached_property
    def weights(self) -> Participation:
        """Moments of the weights, for every kind of row."""
        return participation(self.variance, self.seen.counts)

    @cached_property
    def agreement(self) -> Array:
        """Return n E sum a_i a'_i for every case of two rows that see the same keys."""
        kinds = Agreement.of(self.weights)
        fields = (kinds.slope, kinds.curve, kinds.rest)
        one, two = (Agreement(*map(side, fields)) for side in (self.left, self.right))
        spread = np.sqrt(self.left(self.variance) * self.right(self.variance))
        correlation = np.divide(self.covariance, spread, out=np.zeros_like(spread), where=spread > 0)
        found = one.between(two).at(correlation)
        overlap = self.shared.sum(-1)
        most = np.divide(self.total, overlap, out=np.ones_like(overlap), where=overlap > 0)
        return np.asarray(np.minimum(found, most))

    @cached_property
    def closeness(self) -> Array:
        """Where `agreement` lies between rows that are independent, zero, and equal rows, one."""
        most = Agreement.of(self.weights).most - 1.0
        whole = np.sqrt(self.left(most) * self.right(most))
        return np.divide(self.agreement - 1.0, whole, out=np.zeros_like(self.agreement), where=whole > 1e-12)  # noqa: PLR2004

    def product(self, cells: Array) -> Array:
        """Multiply an array over kinds of rows at the two rows of each case."""
        return self.left(cells) * self.right(cells)

    def both(self, cells: Array) -> Array:
        """Average an array over kinds of rows over the two rows of each case."""
        return (self.left(cells) + self.right(cells)) / 2

    def assembled(self, mean: Array, same: Array, different: Array) -> Moments:
        """Return moments on the logits' axes from those of each case of rows and keys."""
        pairs = np.concatenate((same, different), axis=-1)
        if self.query is None:
            pairs, mean = pairs[..., 0, :], mean[..., 0, :]
        places = range(-len(self.moved), 0)
        found = self.logits.with_values(np.moveaxis(mean, places, self.moved), np.moveaxis(pairs, places, self.moved))
        return found.without_axis(found.position(self.key)) if self.seen.keys.size == 1 else found

    def balanced(self, mean: Array, same: Array, total: Array | float, known: Array | None = None) -> Moments:
        """Return moments of which the sums over the keys of each stratum, and over all pairs of keys, are known.

        Parameters
        ----------
        mean
            Mean of an element for every kind of row and key stratum.
        same
            For every case of rows, sum over the keys of each stratum of the pairs of the same key.
        total
            Sum over all pairs of keys; what the same keys leave of it falls to different ones as they are seen.
        known
            Sum over the pairs of different keys in every two strata, as far as something is known of it.
        """
        keys = self.seen.keys
        known = np.zeros(1) if known is None else known
        rest = np.asarray(total - same.sum(-1) - known.sum(-1))[..., None] * normalized(self.distinct) + known
        each, counts = same / np.asarray(keys.strata), keys.counts[keys.groups :]
        different = np.divide(rest, counts, out=np.zeros_like(rest), where=counts > 0)
        different = np.where(counts > 0, different, each[..., keys.left[keys.groups :]])
        return self.assembled(mean, each, different)


def normalized(weights: Array) -> Array:
    """Divide by the sum over the last axis; zeros stay."""
    total = weights.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


_SEEN: Final[Recent[Visibility]] = Recent(16)


def rows_of(logits: Moments, key: int, visible: NDArray[np.bool_] | None) -> Rows:
    """Return the rows of logits along a dimension, under a mask that broadcasts with them."""
    logits = logits.in_one_axis(key)
    rank = len(logits.dims)
    shape = (1,) * rank if visible is None else (1,) * (rank - np.ndim(visible)) + np.shape(visible)
    if shape[key] == 1 or visible is None:
        return Rows(logits, key, None, everything(logits.axes[logits.position(key)]))
    others = [dim for dim in range(rank) if dim != key and shape[dim] > 1]
    if not others:
        mask = np.reshape(visible, (1, 1, -1))
        seen = visibility(mask, Axis((1,)), logits.axes[logits.position(key)])
        return Rows(_cut(logits, key, seen.keys), key, None, seen)
    query = others[-1]
    logits = logits.in_one_axis(query)
    stack = np.moveaxis(np.reshape(visible, shape), (query, key), (-2, -1)).reshape(-1, shape[query], shape[key])
    queries, keys = (logits.axes[logits.position(dim)] for dim in (query, key))
    seen = _SEEN.get(visible, (shape, query, key, queries, keys), lambda: visibility(stack, queries, keys))
    return Rows(_cut(_cut(logits, key, seen.keys), query, seen.queries), key, query, seen)


def _cut(logits: Moments, dim: int, axis: Axis) -> Moments:
    return logits.strata_at(logits.position(dim), axis.strata)

"""How examples, positions, units, rows of attention and experts differ: small dense statistics of a subsample.

Sums of several batches merge, so that the statistics of all of them are those pooled within each: an example is
compared with the others of its own batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from justright.core.information import AttentionStatistics, RelationStatistics, RoutingStatistics
from justright.statistics.pairs import copies, gram

__all__ = [
    "AttentionSums",
    "RelationSums",
    "RoutingSums",
    "attention_sums",
    "magnitude",
    "relation_sums",
    "routing_sums",
]

Array = NDArray[np.float64]

DIRECTIONS: Final = 8
"""Singular values kept of each batch: verdicts ask for the third."""

UPPER: Final = 0.9
"""Quantile of the features' own spreads: a tenth of them, at whatever scale, is enough to tell examples apart."""

SHARP: Final = 0.99
"""Probability from which on a row of attention is one choice: its Jacobian has lost 98 % of the trace it can have."""

MASKED: Final = -9e3
"""Logits below are masks: code writes -1e4, -1e9, the smallest number of the dtype, or minus infinity."""


@dataclass(frozen=True, slots=True, eq=False)
class RelationSums:
    """Mergeable form of `RelationStatistics`.

    Parameters
    ----------
    sizes
        Examples, positions and units of the whole tensor.
    cosines, pairs
        Sum of the cosines of pairs of examples, and number of pairs.
    energy, between, across
        Sums of squares of the values, of the deviations from the mean example, and from the mean position (``nan`` with
        one position); both corrected for the mean.
    resolved
        Largest seen; see `RelationStatistics`.
    moments
        Sum of the squared singular values of the deviations, and of their squares.
    spectrum
        Squared singular values of the deviations, largest first, shape ``[DIRECTIONS]``.
    directions
        How many of them this many examples and features can have.
    varying, distinct, gradient_varying, gradient_distinct
        See `RelationStatistics`.
    """

    sizes: tuple[int, int, int]
    cosines: float
    pairs: int
    energy: float
    between: float
    across: float
    resolved: float
    moments: tuple[float, float]
    spectrum: Array
    directions: int
    varying: int
    distinct: int
    gradient_varying: int = 0
    gradient_distinct: int = 0

    def merge(self, other: RelationSums) -> RelationSums:
        """Return the sums of both; units are copies only if they are so in both."""
        examples, positions, units = self.sizes
        return replace(
            self,
            sizes=(examples + other.sizes[0], positions, units),
            cosines=self.cosines + other.cosines,
            pairs=self.pairs + other.pairs,
            energy=self.energy + other.energy,
            between=self.between + other.between,
            across=self.across + other.across,
            resolved=max(self.resolved, other.resolved),
            moments=(self.moments[0] + other.moments[0], self.moments[1] + other.moments[1]),
            spectrum=self.spectrum + other.spectrum,
            directions=max(self.directions, other.directions),
            varying=max(self.varying, other.varying),
            distinct=max(self.distinct, other.distinct),
            gradient_varying=max(self.gradient_varying, other.gradient_varying),
            gradient_distinct=max(self.gradient_distinct, other.gradient_distinct),
        )

    def finish(self) -> RelationStatistics:
        """Return the statistics."""
        third = math.nan
        if self.directions >= 3 and self.spectrum[0] > 0:  # noqa: PLR2004  the third
            third = math.sqrt(max(self.spectrum[2], 0.0) / self.spectrum[0])
        return RelationStatistics(
            *self.sizes,
            cosine=self.cosines / self.pairs,
            spread=_root(self.between, self.energy),
            resolved=self.resolved,
            rank=self.moments[0] ** 2 / self.moments[1] if self.moments[1] else 0.0,
            third=third,
            position_spread=_root(self.across, self.energy),
            varying=self.varying,
            distinct=self.distinct,
            gradient_varying=self.gradient_varying,
            gradient_distinct=self.gradient_distinct,
        )


@dataclass(frozen=True, slots=True, eq=False)
class AttentionSums:
    """Mergeable form of `AttentionStatistics`: sums over rows."""

    rows: int
    positions: int
    entropy: float
    sharp: int
    slope: float

    def merge(self, other: AttentionSums) -> AttentionSums:
        """Return the sums of both."""
        return AttentionSums(
            self.rows + other.rows,
            max(self.positions, other.positions),
            self.entropy + other.entropy,
            self.sharp + other.sharp,
            self.slope + other.slope,
        )

    def finish(self) -> AttentionStatistics | None:
        """Return the statistics; `None` if no row may choose."""
        if not self.rows:
            return None
        means = (self.entropy / self.rows, self.sharp / self.rows, self.slope / self.rows)
        return AttentionStatistics(self.rows, self.positions, *means)


@dataclass(frozen=True, slots=True, eq=False)
class RoutingSums:
    """Mergeable form of `RoutingStatistics`; `load` has shape ``[experts]``, int64."""

    tokens: int
    chosen: int
    load: NDArray[np.int64]

    def merge(self, other: RoutingSums) -> RoutingSums:
        """Return the sums of both."""
        return RoutingSums(self.tokens + other.tokens, self.chosen, self.load + other.load)

    def finish(self) -> RoutingStatistics:
        """Return the statistics."""
        return RoutingStatistics(self.tokens, self.chosen, tuple(map(int, self.load)))


def relation_sums(values: Array, sizes: tuple[int, int, int], epsilon: float) -> RelationSums | None:
    """Compare examples, positions and units.

    Parameters
    ----------
    values
        Shape ``[examples, positions, units]``.
    sizes
        Examples, positions and units of the tensor that these were drawn from.
    epsilon
        Spacing of the dtype at 1, in which the values were computed.

    Returns
    -------
    RelationSums or None
        `None` if some value is not finite, or there is one example only.
    """
    largest = magnitude(values)
    if len(values) < 2 or not np.isfinite(largest):  # noqa: PLR2004  a pair
        return None
    values = values / (largest or 1.0)  # all results are ratios, and squares must not underflow
    count = len(values)
    rows = values.reshape(count, -1)
    deviations = rows - rows.mean(0)
    spectrum = np.linalg.eigvalsh(gram(deviations))[::-1].clip(min=0.0)
    kept = np.zeros(DIRECTIONS)
    kept[: min(count, DIRECTIONS)] = spectrum[:DIRECTIONS]
    power, spread = _squares(rows), _squares(deviations)
    varying, distinct = copies(values, epsilon)
    return RelationSums(
        sizes,
        _cosines(gram(rows)),
        count * (count - 1) // 2,
        float(power.sum()),
        float(spread.sum()) * count / (count - 1),
        _across(values),
        _resolved(power / count, spread / (count - 1)),
        (float(spectrum.sum()), float((spectrum**2).sum())),
        kept,
        min(count - 1, rows.shape[1]),
        varying,
        distinct,
    )


def attention_sums(logits: Array, probabilities: Array) -> AttentionSums:
    """Summarize rows of attention, both of shape ``[rows, positions]``; rows with one position to choose are left out.

    What a mask forbids is read from the logits, since a sharp softmax gives exact zeros too.
    """
    allowed = (logits > MASKED).sum(1)
    chosen = probabilities[(allowed > 1) & np.isfinite(probabilities).all(1)]
    choices = allowed[(allowed > 1) & np.isfinite(probabilities).all(1)]
    logs = np.log(np.where(chosen > 0, chosen, 1.0))
    entropy = -(chosen * logs).sum(1) / np.log(choices)
    sharp = int((chosen.max(1, initial=0.0) > SHARP).sum())
    slope = len(chosen) - float((chosen**2).sum())
    return AttentionSums(len(chosen), logits.shape[1], float(entropy.sum()), sharp, slope)


def routing_sums(scores: Array, chosen: int) -> RoutingSums:
    """Count how often each expert is among the `chosen` highest of a token's scores, shape ``[tokens, experts]``."""
    best = np.argpartition(-scores, chosen - 1, axis=1)[:, :chosen]
    return RoutingSums(len(scores), chosen, np.bincount(best.ravel(), minlength=scores.shape[1]))


def _root(part: float, whole: float) -> float:
    return math.sqrt(part / whole) if whole else math.nan


def _across(values: Array) -> float:
    """Sum of squares of the deviations from the mean position, corrected for the mean; ``nan`` with one position."""
    positions = values.shape[1]
    if positions == 1:
        return math.nan
    return float(_squares(values - values.mean(1, keepdims=True)).sum() * (positions / (positions - 1)))


def _squares(rows: Array) -> Array:
    """Sum the squares over the first axis, without an array of squares."""
    return np.asarray(np.einsum("i...,i...->...", rows, rows))


def _cosines(products: Array) -> float:
    """Sum of the cosines of all pairs; an example that is all zeros has cosine 0 with any other."""
    norms = np.sqrt(np.diagonal(products))
    scales = np.where(norms > 0, norms, 1.0)
    return float(np.triu(products / scales[:, None] / scales, 1).sum())


def _resolved(power: Array, spread: Array) -> float:
    """Upper quantile of the features' spreads over their own RMS, by their squares; 0 if all are zero."""
    alive = power > 0
    return float(np.quantile(np.sqrt(spread[alive] / power[alive]), UPPER)) if alive.any() else 0.0


def magnitude(values: Array) -> float:
    """Return the largest magnitude, 0 if there are no values; ``nan`` if one is."""
    return float(max(values.max(initial=0.0), -values.min(initial=0.0)))

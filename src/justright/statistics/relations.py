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

__all__ = [
    "AttentionSums",
    "RelationSums",
    "RoutingSums",
    "attention_sums",
    "copies",
    "relation_sums",
    "routing_sums",
]

Array = NDArray[np.float64]

DIRECTIONS: Final = 8
"""Singular values kept of each batch: verdicts ask for the third."""

UPPER: Final = 0.9
"""Quantile of the features' own spreads: a tenth of them, at whatever scale, is enough to tell examples apart."""

EQUAL: Final = 1e-3
"""Difference of two units over their variation below which they are copies; chance: under 1e-180."""

NOISE: Final = 16.0
"""Units of rounding below which a unit counts as constant: a sum of 256 products errs by sqrt(256) of them."""

SHARP: Final = 0.99
"""Probability from which on a row of attention is one choice: its Jacobian has lost 98 % of the trace it can have."""

ROWS: Final = 64
"""Rows over which units are compared: independent units never agree on so many, see `EQUAL`."""

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
    if len(values) < 2 or not np.isfinite(values).all():  # noqa: PLR2004  a pair
        return None
    values = values / (np.abs(values).max() or 1.0)  # all results are ratios, and squares must not underflow
    count, positions = values.shape[:2]
    rows = values.reshape(count, -1)
    deviations = rows - rows.mean(0)
    spectrum = np.linalg.eigvalsh(deviations @ deviations.T)[::-1].clip(min=0.0)
    kept = np.zeros(DIRECTIONS)
    kept[: min(count, DIRECTIONS)] = spectrum[:DIRECTIONS]
    cosines = _cosines(rows)
    varying, distinct = copies(values, epsilon)
    return RelationSums(
        sizes,
        cosines,
        count * (count - 1) // 2,
        float((rows**2).sum()),
        float((deviations**2).sum()) * count / (count - 1),
        float(values.var(axis=1, ddof=1).sum()) * positions if positions > 1 else math.nan,
        _resolved(rows, deviations),
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


def _cosines(rows: Array) -> float:
    """Sum of the cosines of all pairs; an example that is all zeros has cosine 0 with any other."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows / np.where(norms > 0, norms, 1.0)
    return float((units.sum(0) ** 2).sum() - (units**2).sum()) / 2.0


def _resolved(rows: Array, deviations: Array) -> float:
    """Upper quantile of the features' spreads over their own RMS; 0 if all are zero."""
    power = (rows**2).mean(0)
    alive = power > 0
    if not alive.any():
        return 0.0
    spread = (deviations[:, alive] ** 2).sum(0) / (len(rows) - 1)
    return float(np.quantile(np.sqrt(spread / power[alive]), UPPER))


def copies(values: Array, epsilon: float) -> tuple[int, int]:
    """Count the units that vary, and those among them that equal no earlier one, over an even subsample of rows.

    Parameters
    ----------
    values
        Shape ``[examples, positions, units]``.
    epsilon
        Spacing of the dtype at 1.
    """
    rows = values.reshape(-1, values.shape[2])
    rows = rows[:: -(-len(rows) // ROWS)]
    deviations = rows - rows.mean(0)
    size, spread = np.sqrt((rows**2).mean(0)), np.sqrt((deviations**2).mean(0))
    alive = spread > NOISE * epsilon * size
    kept, spread = rows[:, alive], spread[alive]
    squares = (kept**2).sum(0)
    distance = (squares[:, None] + squares - 2.0 * kept.T @ kept).clip(min=0.0) / len(rows)
    equal = np.sqrt(distance) <= EQUAL * np.minimum(spread[:, None], spread)
    return int(alive.sum()), int(alive.sum() - np.triu(equal, 1).any(0).sum())

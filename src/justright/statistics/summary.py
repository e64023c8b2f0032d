"""Mergeable summary of a tensor: parts, batches and ranks combine into the summary of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from justright.core.profile import TensorStatistics

__all__ = ["HIGHEST_EXPONENT", "LOWEST_EXPONENT", "Summary"]

LOWEST_EXPONENT = -149
"""Exponent of the first bin: 2**-149 is the smallest float32 above zero (IEEE 754, binary32)."""

HIGHEST_EXPONENT = 127
"""Exponent of the last bin: the largest float32 lies in [2**127, 2**128)."""


_NO_COUNTS: NDArray[np.int64] = np.zeros(HIGHEST_EXPONENT - LOWEST_EXPONENT + 1, dtype=np.int64)
_NO_COUNTS.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Sufficient statistics of a tensor; `merge` of the parts is the summary of the whole, up to rounding.

    No element is left out: a ``nan`` or an infinity shows in the counts and in ``mean``, ``m2`` and ``absmax``.
    Moments of float64 data with magnitudes above about 1e150 overflow to ``inf`` or ``nan``, and deviations below
    about 1e-160 underflow in ``m2``; float32 and narrower data can do neither.

    Parameters
    ----------
    count
        Number of elements.
    mean
        Mean of all elements; ``0`` if there are none, ``nan`` or infinite if an element is.
    m2
        Sum of squared deviations from the mean; ``nan`` if an element is not finite.
    absmax
        Largest magnitude; ``0`` if there are no elements, ``nan`` if one is ``nan``, else ``inf`` if one is infinite.
    min_nonzero
        Smallest magnitude above zero; ``inf`` if there is none.
    zeros, nan, positive_inf, negative_inf
        Numbers of such elements; ``-0.0`` is a zero.
    histogram
        Shape ``[277]``: how many of the finite elements that are not zero lie in ``[2**e, 2**(e+1))`` in magnitude, for
        e from `LOWEST_EXPONENT` to `HIGHEST_EXPONENT`, which covers float32, float16 and bfloat16 with their
        subnormals. Magnitudes of float64 beyond that range count in the first or the last bin. The bins sum to
        ``count - zeros - nan - positive_inf - negative_inf``.

    Examples
    --------
    >>> from justright.statistics import summarize
    >>> whole = summarize(np.array([1.0, 2.0])).merge(summarize(np.array([6.0])))
    >>> whole.count, whole.mean, whole.absmax
    (3, 3.0, 6.0)
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    absmax: float = 0.0
    min_nonzero: float = math.inf
    zeros: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    histogram: NDArray[np.int64] = field(default_factory=lambda: _NO_COUNTS)

    @classmethod
    def empty(cls) -> Summary:
        """Return the summary of no elements, the identity of `merge`."""
        return cls()

    @classmethod
    def from_parts(
        cls,
        count: int,
        moments: tuple[float, float],
        extremes: tuple[float, float],
        zeros: int,
        nonfinite: tuple[int, int, int],
        histogram: NDArray[np.int64],
    ) -> Summary:
        """Return a summary in which the moments and the maximum agree with the elements that are not finite.

        Parameters
        ----------
        count
            Number of elements.
        moments
            Mean and sum of squared deviations; ignored where an element that is not finite decides them.
        extremes
            Largest magnitude, and smallest magnitude above zero.
        zeros
            Number of zeros.
        nonfinite
            Numbers of nan, of positive and of negative infinities.
        histogram
            Counts by exponent; taken over and made read-only.
        """
        nan, positive, negative = nonfinite
        mean, m2 = moments
        absmax, min_nonzero = extremes
        if nan or positive or negative:
            mean, m2 = _nonfinite_mean(nan, positive, negative), math.nan
            absmax = math.nan if nan else math.inf
        histogram.flags.writeable = False
        return cls(count, mean, m2, absmax, min_nonzero, zeros, nan, positive, negative, histogram)

    def merge(self, other: Summary) -> Summary:
        """Return the summary of the elements of both; associative and commutative up to rounding.

        Source: T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing
        sample variances", COMPSTAT 1982, equations 2.1.
        """
        if not self.count or not other.count:
            return self if self.count else other
        return Summary.from_parts(
            self.count + other.count,
            _chan(self, other),
            (max(self.absmax, other.absmax), min(self.min_nonzero, other.min_nonzero)),
            self.zeros + other.zeros,
            (
                self.nan + other.nan,
                self.positive_inf + other.positive_inf,
                self.negative_inf + other.negative_inf,
            ),
            self.histogram + other.histogram,
        )

    def scaled_count(self, factor: int) -> Summary:
        """Return the summary of the same elements, each occurring `factor` times, as in a broadcast tensor."""
        if factor == 1:
            return self
        if factor < 1:
            return Summary.empty()
        return Summary.from_parts(
            self.count * factor,
            (self.mean, self.m2 * factor),
            (self.absmax, self.min_nonzero),
            self.zeros * factor,
            (self.nan * factor, self.positive_inf * factor, self.negative_inf * factor),
            self.histogram * factor,
        )

    def finish(self) -> TensorStatistics:
        """Return the statistics; without elements every number but the counts is ``nan``.

        ``std`` is that of the population (divided by the count). With infinite elements ``rms`` is ``inf`` and ``std``
        ``nan``; with ``nan`` elements both are ``nan``.
        """
        std = math.sqrt(self.m2 / self.count) if self.count else math.nan
        return TensorStatistics(
            count=self.count,
            mean=self.mean if self.count else math.nan,
            rms=self._rms(std),
            std=std,
            absmax=self.absmax if self.count else math.nan,
            min_nonzero=self.min_nonzero if self.zeros + self.nan < self.count else math.nan,
            zeros=self.zeros / self.count if self.count else math.nan,
            nan=self.nan,
            positive_inf=self.positive_inf,
            negative_inf=self.negative_inf,
            histogram=self._bins(),
        )

    def _bins(self) -> tuple[tuple[int, int], ...]:
        """Exponents that occur, with their counts."""
        (places,) = self.histogram.nonzero()
        exponents = (places + LOWEST_EXPONENT).tolist()
        return tuple(zip(exponents, self.histogram[places].tolist(), strict=True))

    def _rms(self, std: float) -> float:
        """Root mean square: what is not finite among the elements decides it, else the moments."""
        if self.nan or not self.count:
            return math.nan
        return math.inf if self.positive_inf or self.negative_inf else math.hypot(std, self.mean)


def _nonfinite_mean(nan: int, positive: int, negative: int) -> float:
    """Mean of elements of which at least one is not finite."""
    if nan or (positive and negative):
        return math.nan
    return math.inf if positive else -math.inf


def _chan(a: Summary, b: Summary) -> tuple[float, float]:
    """Mean and sum of squared deviations of the union of two samples."""
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    return mean, a.m2 + b.m2 + delta * delta * (a.count * (b.count / count))

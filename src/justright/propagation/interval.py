"""Intervals around predictions: how far one network lies from the average over all that are initialized alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from justright.core.axes import pair_shares
from justright.core.moments import Moments, outer_means
from justright.core.prediction import Estimate
from justright.core.profile import Provenance

__all__ = ["DEVIATIONS", "FLOORS", "Spread", "estimate", "own_variance"]

DEVIATIONS: Final = 2.0
"""Standard deviations on either side: 95 % of a normal distribution."""

FLOORS: Final[Mapping[Provenance, float]] = MappingProxyType(
    {
        Provenance.EXACT: 0.002,  # rounding of float32 sums, and a uniform draw taken as Gaussian
        Provenance.ASYMPTOTIC: 0.02,  # terms of the next order in one over the width, and weak dependence
        Provenance.NUMERICAL: 0.03,  # the error of an average over quasi-random draws
        Provenance.FITTED: 0.06,  # a marginal taken as Gaussian that is none: a few per cent of its second moment
        Provenance.MEASURED: 0.002,  # values that are given
        Provenance.UNKNOWN: 0.10,  # an assumption about the data
    }
)
"""Relative error of an RMS that the theory leaves out, one standard deviation, by its origin. [ours]"""

BACKWARD: Final = 2.0
"""Times those errors for gradients, which are taken to be independent of the signals. [ours]"""

WIDEST: Final = 10.0
"""Factor between the ends of an interval beyond which it says nothing."""

ENDLESS: Final = 50.0
"""Logarithm of a factor that is as good as any: 5e21."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance of the logarithm of a tensor's second moment between networks.

    Parameters
    ----------
    scale
        The part that its size inherited.
    own
        The part that comes from having finitely many elements.
    single
        The same as `total` for one example: with many examples fluctuations average out, but each bends what a
        nonlinear function makes of it.
    bias
        Bound on what that bending shifts the logarithm by: half the variance of one example times the curvature.
    """

    scale: float = 0.0
    own: float = 0.0
    single: float = 0.0
    bias: float = 0.0

    @property
    def total(self) -> float:
        """Variance of the logarithm of the tensor's own second moment, which what reads it inherits."""
        return self.scale + self.own


def estimate(rms: float, spread: Spread, provenance: Provenance, *, how: str, backward: bool = False) -> Estimate:
    """Return an RMS with its interval, and whether to trust it.

    A positive quantity whose average is given and whose logarithm has a variance v lies around its average less v/2.
    """
    floor = FLOORS[provenance] * (BACKWARD if backward else 1.0)
    variance = spread.total / 4.0  # the logarithm of a root is half the logarithm
    reach = DEVIATIONS * math.sqrt(variance + floor * floor) + spread.bias / 2.0
    low, high = rms * math.exp(-min(reach + variance, ENDLESS)), rms * math.exp(min(reach, ENDLESS))
    why = ""
    if not math.isfinite(rms):
        why = "it is not finite"
    elif provenance in {Provenance.FITTED, Provenance.UNKNOWN}:
        why = "it rests on " + ("an assumption" if provenance is Provenance.UNKNOWN else "an approximation")
    elif 2 * reach + variance > math.log(WIDEST):
        why = f"networks of this width differ by more than a factor of {WIDEST:.0f} here"
    return Estimate(rms, low, high, how, provenance, not why, why)


def own_variance(moments: Moments, kurtosis: float = 3.0) -> float:
    """Return the variance of the mean square of a tensor over its square: two over the number of free elements.

    Parameters
    ----------
    moments
        Its moments.
    kurtosis
        E[x⁴] / E[x²]² of an element; correlated elements share their squares as Gaussian ones do.
    """
    second = moments.second_moment
    if not second > 0 or not moments.axes:
        return 2.0 * _excess(kurtosis) if second > 0 else 0.0
    means = outer_means(moments, moments) / second  # before it is squared: the square of a small one may be zero
    covariance = moments.pairs / second - means
    squares = 2.0 * covariance**2 * _excess(kurtosis) + 4.0 * means * covariance
    return max(float(np.vdot(pair_shares(moments.axes), squares)), 0.0)


def _excess(kurtosis: float) -> float:
    """Variance of a squared element over that of a Gaussian one; a constant has none."""
    return max(kurtosis - 1.0, 0.0) / 2.0

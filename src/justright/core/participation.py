"""Moments of the weights that softmax makes of Gaussian logits, at any number of them.

With logits ``z_i`` of variance v, independent along the axis (what they share drops out), ``Z = sum exp z_i`` and
weights ``a_i = exp(z_i) / Z``, every moment is an integral over one variable, since in
``1 / Z^p = int t^(p-1) exp(-t Z) dt / (p-1)!`` the exponential factors over the logits.
In the variable ``tau = ln t`` with ``h_p(tau) = E[u^p exp(-u)]``, ``u = exp(tau + z)``::

    E sum a_i^p   = n / (p-1)! int h_p h_0^(n-1) dtau
    E (sum a^2)^2 = E sum a_i^4 + n (n-1) / 6 int h_2^2 h_0^(n-2) dtau

and h_0^n is the distribution of ``ln T``, ``T = E / Z`` with an exponential variable E, from which mean and variance of
``ln Z`` follow. All integrands are analytic in a strip of half-width pi / 2, so the trapezoidal rule converges
geometrically (Trefethen & Weideman 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from justright.core.axes import Array

__all__ = ["Agreement", "Participation", "participation"]

STEP: Final = 0.25
"""Step in tau: the rule's error is about exp(-2 pi (pi / 2) / 0.25) = 7e-18."""

REACH: Final = 8.5
"""Standard deviations of the logits that are integrated over: beyond lies 2e-17."""

NARROW: Final = 0.4
"""Standard deviation below which Gauss-Hermite nodes replace the rule, whose step would be over 2 / 3 of it."""

MOST: Final = 2**24
"""Largest number of logits."""

LARGEST: Final = 1e6
"""Variance beyond which weights hardly change: one logit has all but a share of the order of 1 / spread, 1 in 1,000."""

EQUAL: Final = 1e-12
"""Variance below which all weights are equal to the last digit."""

DIGITS: Final = 5
"""Significant digits of the variance that are told apart, so that layers alike share their integrals."""


@dataclass(frozen=True)
class Participation:
    """Moments of softmax weights; every field is an array of one shape.

    Parameters
    ----------
    variance
        Variance of the logits along the axis.
    count
        Number n of logits.
    squares, cubes
        E sum a_i² and E sum a_i³.
    squared
        E (sum a_i²)².
    log_mean, log_variance
        Mean and variance of ln sum exp z_i, for logits of mean zero.
    """

    variance: Array
    count: Array
    squares: Array
    cubes: Array
    squared: Array
    log_mean: Array
    log_variance: Array


def participation(variance: ArrayLike, count: ArrayLike) -> Participation:
    """Return the moments of the weights of independent Gaussian logits.

    Parameters
    ----------
    variance, count
        Variance of the logits and how many there are, at least one; they broadcast.

    Returns
    -------
    Participation
        With an error of about 1e-10, but for rounding the variance to `DIGITS` digits.

    Examples
    --------
    >>> round(float(participation(1.0, 1024).squares), 8)
    0.00263541
    """
    variances, counts = np.broadcast_arrays(np.asarray(variance, np.float64), np.asarray(count, np.float64))
    rounded = np.array([_rounded(each) for each in variances.ravel()])
    found = np.empty((5, rounded.size))
    for value in np.unique(rounded):
        at = rounded == value
        found[:, at] = _moments(float(value), counts.ravel()[at])
    return Participation(variances, counts, *(each.reshape(variances.shape) for each in found))


def _rounded(variance: float) -> float:
    if not variance > EQUAL:
        return 0.0
    return float(f"{min(variance, LARGEST):.{DIGITS - 1}e}")


def _moments(variance: float, count: Array) -> Array:
    if variance == 0.0:
        return np.stack((1 / count, 1 / count**2, 1 / count**2, np.log(count), np.zeros_like(count)))
    tau, rest, second, third, fourth = _transforms(variance)
    powers = np.exp((count[:, None] - 1) * rest)
    squares, cubes, quads = (count * STEP * (powers @ each) for each in (second, third / 2, fourth / 6))
    # Between one logit and two, as kinds of rows have them on average, there is no third one.
    others = np.exp(np.maximum(count[:, None] - 2, 0.0) * rest) @ second**2
    squared = np.clip(quads + count * (count - 1) / 6 * STEP * others, squares**2, squares)
    return np.stack((squares, cubes, squared, *_logarithm(tau, np.exp(count[:, None] * rest))))


def _logarithm(tau: Array, survival: Array) -> tuple[Array, Array]:
    """Mean and variance of ln Z from the distribution of ln T = ln E - ln Z; ln E has mean -0.577, variance pi² / 6."""
    reached, end = 1.0 - survival, tau[-1]
    weights = np.full(tau.size, STEP)
    weights[-1] /= 2
    mean = end - reached @ weights
    offset = tau - mean[:, None]
    variance = (end - mean) ** 2 - 2 * np.sum(offset * reached * weights, axis=1)
    variance = variance + STEP**2 / 6  # Euler and Maclaurin's term for the slope of 2 at the end
    return -np.euler_gamma - mean, np.maximum(variance - math.pi**2 / 6, 0.0)


@lru_cache(512)
def _transforms(variance: float) -> tuple[Array, Array, Array, Array, Array]:
    """Return tau, ln h_0, h_2, h_3 and h_4."""
    spread = math.sqrt(variance)
    low = -min(variance, REACH * spread) - math.log(MOST) - 28.0  # exp(-28) = 7e-13 of the distribution of ln T
    steps = np.arange(math.floor(low / STEP), math.ceil((REACH * spread + 4.0) / STEP) + 1, dtype=np.float64)
    tau: Array = STEP * steps
    smooth = _hermite if spread < NARROW else _convolved
    falling, *rising = (smooth(power, tau, spread) for power in (0, 2, 3, 4))
    return tau, np.log(np.clip(falling, 1e-300, 1.0)), rising[0], rising[1], rising[2]


def _kernel(power: int, x: Array) -> Array:
    """Return u^p exp(-u) for u = exp(x)."""
    return np.asarray(np.exp(power * x - np.exp(np.minimum(x, 700.0))), dtype=np.float64)


def _hermite(power: int, tau: Array, spread: float) -> Array:
    nodes, weights = _nodes()
    return np.asarray(_kernel(power, tau[:, None] + spread * nodes) @ weights)


def _convolved(power: int, tau: Array, spread: float) -> Array:
    reach = math.ceil(REACH * spread / STEP)
    offsets = STEP * np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / spread) ** 2)
    wide = STEP * np.arange(round(tau[0] / STEP) - reach, round(tau[-1] / STEP) + reach + 1, dtype=np.float64)
    size = 1 << (len(wide) - 1).bit_length()  # what wraps around falls on places that are cut off
    product = np.fft.rfft(_kernel(power, wide), size) * np.fft.rfft(weights / weights.sum(), size)
    return np.asarray(np.maximum(np.fft.irfft(product, size)[len(weights) - 1 : len(wide)], 0.0))


@lru_cache(1)
def _nodes() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    return nodes, weights / weights.sum()


@dataclass(frozen=True)
class Agreement:
    """How far the weights of two correlated rows agree: ``n E sum a_i a'_i`` as a function of the logits' correlation.

    It is a power series in the correlation with coefficients that are not negative (those of the Hermite expansion of
    the weights). Those of degree zero, one and two and their sum are exact, since the mean slopes of softmax are
    moments of its weights; degrees above two are laid out as those of an exponential, which is exact for small logits.

    Parameters
    ----------
    slope, curve, rest
        Coefficient of degree one, that of degree two, and the sum of all from degree two on.
    """

    slope: Array
    curve: Array
    rest: Array

    @classmethod
    def of(cls, weights: Participation) -> Agreement:
        """Return the agreement of rows of this kind."""
        n, v = weights.count, weights.variance
        others, third = np.maximum(n - 1, 1), np.maximum(n - 2, 1)
        slope = v * (1 - weights.squares) ** 2 * n / others
        bend = 1 - 3 * weights.squares + 2 * weights.cubes
        curve = np.where(n > 1, v**2 / 2 * bend**2 * (1 + 3 / others + np.where(n > 2, 4 / (others * third), 0)), 0.0)  # noqa: PLR2004
        rest = np.maximum(n * weights.squares - 1 - slope, 0.0)
        return cls(slope, np.minimum(curve, rest), rest)

    def between(self, other: Agreement) -> Agreement:
        """Return the agreement of rows of two kinds."""
        fields = ((self.slope, other.slope), (self.curve, other.curve), (self.rest, other.rest))
        return Agreement(*(np.sqrt(one * two) for one, two in fields))

    def at(self, correlation: ArrayLike) -> Array:
        """Return n E sum a_i a'_i for rows of this correlation: one at zero."""
        c = np.clip(np.asarray(correlation, np.float64), -1.0, 1.0)
        rate = _rate(np.divide(self.rest, self.curve, out=np.ones_like(self.rest), where=self.curve > 0))
        shape = _beyond(rate * c) / _beyond(rate)
        return np.maximum(1.0 + self.slope * c + self.rest * shape, 0.0)

    @property
    def most(self) -> Array:
        """Its value at a correlation of one."""
        return 1.0 + self.slope + self.rest


def _beyond(x: Array) -> Array:
    """Return exp(x) - 1 - x, or x² / 2 where that is the same."""
    small = np.abs(x) < 1e-4  # noqa: PLR2004  the next term, x³ / 6, is 3e-5 of it
    return np.where(small, x * x / 2 * (1 + x / 3), np.expm1(x) - x)


@lru_cache(1)
def _rates() -> tuple[Array, Array]:
    rates = np.concatenate((np.linspace(1e-3, 2.0, 200), np.linspace(2.05, 60.0, 600)))
    return np.log(2 * _beyond(rates) / rates**2), rates


def _rate(ratio: Array) -> Array:
    """Return the rate x of the exponential for which 2 (exp(x) - 1 - x) / x² is the ratio."""
    table, rates = _rates()
    return np.interp(np.log(np.maximum(ratio, 1.0)), table, rates)

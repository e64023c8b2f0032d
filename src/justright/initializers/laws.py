"""Distributions of a single element: what a scheme declares, and how it draws.

Each is a function of the words of a stream, one word an element, so that any element can be drawn alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from justright.core.quantiles import LARGEST, to_normal, to_symmetric, to_truncated

__all__ = ["Constant", "Law", "Normal", "Truncated", "Uniform"]

Words = NDArray[np.uint32]
Floats = NDArray[np.float32]
Array = NDArray[np.float64]


class Law(Protocol):
    """The distribution of one element."""

    @property
    def mean(self) -> float:
        """Expectation."""

    @property
    def variance(self) -> float:
        """Expectation of the squared distance to the mean."""

    @property
    def bound(self) -> float:
        """Largest magnitude that can be drawn."""

    def cdf(self, x: Any) -> Array:  # noqa: ANN401  a number or an array of any kind
        """Return the probability of an element up to x."""

    def draw(self, words: Words) -> Floats:
        """Return one element a word, in float32."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Every element has the same value.

    Examples
    --------
    >>> Constant(0.25).draw(np.zeros(2, np.uint32)).tolist()
    [0.25, 0.25]
    """

    value: float

    @property
    def mean(self) -> float:
        """The value."""
        return self.value

    @property
    def variance(self) -> float:
        """Zero."""
        return 0.0

    @property
    def bound(self) -> float:
        """The value's magnitude."""
        return abs(self.value)

    def cdf(self, x: Any) -> Array:  # noqa: ANN401  a number or an array of any kind
        """Return the step at the value."""
        return np.asarray(np.asarray(x) >= self.value, np.float64)

    def draw(self, words: Words) -> Floats:
        """Return the value for each word."""
        return np.full(words.shape, self.value, np.float32)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform between two bounds, neither of which is drawn unless rounding to float32 reaches it.

    Examples
    --------
    >>> Uniform(-1.0, 1.0).variance
    0.3333333333333333
    """

    low: float
    high: float

    @property
    def mean(self) -> float:
        """The middle."""
        return 0.5 * (self.low + self.high)

    @property
    def variance(self) -> float:
        """A twelfth of the squared width."""
        return (self.high - self.low) ** 2 / 12.0

    @property
    def bound(self) -> float:
        """The larger magnitude of the two bounds."""
        return max(abs(self.low), abs(self.high))

    def cdf(self, x: Any) -> Array:  # noqa: ANN401  a number or an array of any kind
        """Return the probability of an element up to x."""
        return np.clip((np.asarray(x, np.float64) - self.low) / (self.high - self.low), 0.0, 1.0)

    def draw(self, words: Words) -> Floats:
        """Return the middle plus an odd fraction of half the width for each word."""
        half = np.float32(0.5 * (self.high - self.low))
        return np.clip(np.float32(self.mean) + half * to_symmetric(words), np.float32(self.low), np.float32(self.high))


@dataclass(frozen=True, slots=True)
class Normal:
    """Gaussian; the tail ends at 6.34 standard deviations, which one element in four thousand million would exceed.

    Examples
    --------
    >>> round(float(Normal(0.0, 2.0).cdf(2.0)), 6)
    0.841345
    """

    mean: float
    std: float

    @property
    def variance(self) -> float:
        """The square of the standard deviation."""
        return self.std**2

    @property
    def bound(self) -> float:
        """The end of the tail."""
        return abs(self.mean) + LARGEST * self.std

    def cdf(self, x: Any) -> Array:  # noqa: ANN401  a number or an array of any kind
        """Return the probability of an element up to x."""
        return np.asarray(ndtr((np.asarray(x, np.float64) - self.mean) / self.std))

    def draw(self, words: Words) -> Floats:
        """Return the mean plus the standard deviation times the quantile of each word."""
        return np.float32(self.mean) + np.float32(self.std) * to_normal(words)


@dataclass(frozen=True, slots=True)
class Truncated:
    """Gaussian between two bounds.

    Parameters
    ----------
    location, scale
        Mean and standard deviation of the Gaussian before truncation.
    low, high
        Bounds of an element, in its own units.

    Examples
    --------
    >>> round(Truncated(0.0, 1.0, -2.0, 2.0).variance, 6)
    0.773741
    """

    location: float
    scale: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float, std: float, bound: float) -> Truncated:
        """Return the law whose own standard deviation, after truncation, is `std`.

        Parameters
        ----------
        mean, std
            Of the elements.
        bound
            In standard deviations of the Gaussian before truncation, on both sides.
        """
        scale = std / math.sqrt(cls(0.0, 1.0, -bound, bound).variance)
        return cls(mean, scale, mean - bound * scale, mean + bound * scale)

    @property
    def _sides(self) -> tuple[float, float]:
        return (self.low - self.location) / self.scale, (self.high - self.location) / self.scale

    @property
    def _moments(self) -> tuple[float, float]:
        """Mean and variance in units of the scale: [Johnson1994], section 13.10.1."""
        a, b = self._sides
        mass = _mass(a, b)
        first = (_density(a) - _density(b)) / mass
        second = (_weighted(a) - _weighted(b)) / mass
        return first, 1.0 + second - first**2

    @property
    def mean(self) -> float:
        """Expectation after truncation."""
        return self.location + self.scale * self._moments[0]

    @property
    def variance(self) -> float:
        """Variance after truncation."""
        return self.scale**2 * self._moments[1]

    @property
    def bound(self) -> float:
        """Largest magnitude that can be drawn."""
        far = LARGEST * self.scale
        return max(abs(max(self.low, self.location - far)), abs(min(self.high, self.location + far)))

    def cdf(self, x: Any) -> Array:  # noqa: ANN401  a number or an array of any kind
        """Return the probability of an element up to x."""
        a, b = self._sides
        z = (np.clip(np.asarray(x, np.float64), self.low, self.high) - self.location) / self.scale
        return np.asarray((ndtr(z) - ndtr(a)) / _mass(a, b))

    def draw(self, words: Words) -> Floats:
        """Return one element a word, none beyond a bound."""
        drawn = np.float32(self.location) + np.float32(self.scale) * to_truncated(words, *self._sides)
        return np.clip(drawn, np.float32(self.low), np.float32(self.high))


def _mass(a: float, b: float) -> float:
    return float(ndtr(b) - ndtr(a) if a < 0.0 else ndtr(-a) - ndtr(-b))


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _weighted(z: float) -> float:
    return z * _density(z) if math.isfinite(z) else 0.0

"""The length map and the correlation map of one layer, and their slopes.

Formulas: [Poole2016], [Schoenholz2017]. The correlation map has ``s = 1 - c`` as its state, since near one float64
loses what tells two inputs apart: plain iteration with a rectifier is 10 percent off after 100,000 layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from justright.core.gaussian import contrast, dual, expectation
from justright.meanfield.activation import Activation

__all__ = ["FLOOR", "NEAR", "Layer", "mean_product", "mean_slope", "mean_square"]

Array = NDArray[np.float64]

NEAR: Final = 1e-12
"""Below this s the correlation map is its slope: the next term is s² for a smooth function, s^1.5 at a kink."""

FLOOR: Final = 1e-24
"""A second moment that stands for its limit at zero: there a kink still has two sides."""


def mean_square(activation: Activation, q: ArrayLike, mean: ArrayLike = 0.0) -> Array:
    """Return E phi(u)² for u ~ N(mean, q).

    Parameters
    ----------
    activation
        phi.
    q, mean
        Numbers or arrays that broadcast.

    Returns
    -------
    Array
        The expectations; infinite where they diverge.
    """
    if activation.closed and not np.any(mean) and np.all(q):
        return np.asarray(activation.closed.second(q), dtype=np.float64)
    return expectation(lambda u: np.square(activation.f(u)), mean, q, activation.kinks)


def mean_slope(activation: Activation, q: ArrayLike, mean: ArrayLike = 0.0) -> Array:
    """Return E phi'(u)² for u ~ N(mean, q); the limit from above at q = 0.

    Parameters
    ----------
    activation
        phi.
    q, mean
        Numbers or arrays that broadcast.

    Returns
    -------
    Array
        The expectations.
    """
    q = np.maximum(q, FLOOR)
    if activation.closed and not np.any(mean):
        return np.asarray(activation.closed.slope(q), dtype=np.float64)
    return expectation(lambda u: np.square(activation.slope(u)), mean, q, activation.kinks)


def mean_product(activation: Activation, q: ArrayLike) -> Array:
    """Return E phi(u) phi'(u) u / q for u ~ N(0, q), the derivative of E phi² by q; the limit from above at q = 0.

    Parameters
    ----------
    activation
        phi.
    q
        Number or array.

    Returns
    -------
    Array
        The expectations.
    """
    q = np.maximum(q, FLOOR)
    return expectation(lambda u: activation.f(u) * activation.slope(u) * u, 0.0, q, activation.kinks) / q


@dataclass(frozen=True)
class Layer:
    """An affine layer with random weights, on top of an activation and, maybe, of dropout.

    Parameters
    ----------
    activation
        phi.
    sigma_w, sigma_b
        Standard deviations of the weights, times the root of fan in, and of the biases.
    keep
        Probability with which dropout keeps an element; what it keeps it divides by this.

    Examples
    --------
    >>> from justright.meanfield.activation import activation_of
    >>> he = Layer(activation_of("relu"), np.sqrt(2.0))
    >>> round(float(he.length(3.0)), 12), round(float(he.slope(3.0)), 12), round(he.away(0.5, 1.0), 12)
    (3.0, 1.0, 0.391002218956)
    """

    activation: Activation
    sigma_w: float
    sigma_b: float = 0.0
    keep: float = 1.0

    def length(self, q: ArrayLike) -> Array:
        """Return the next layer's second moment: ``sigma_w² E[phi²] / keep + sigma_b²``."""
        return self.sigma_w**2 / self.keep * mean_square(self.activation, q) + self.sigma_b**2

    def slope(self, q: ArrayLike) -> Array:
        """Return chi_1, the growth of squared gradients through the layer: ``sigma_w² E[phi'²] / keep``."""
        return self.sigma_w**2 / self.keep * mean_slope(self.activation, q)

    def length_slope(self, q: ArrayLike) -> Array:
        """Return chi_q, the derivative of the length map."""
        return self.sigma_w**2 / self.keep * mean_product(self.activation, q)

    def cross(self, q1: float, q2: float, k: float) -> float:
        """Return the next layer's cross moment of two inputs; dropout draws another mask for each."""
        phi, kinks = self.activation.f, self.activation.kinks
        closed = self.activation.closed
        if closed and closed.dual:
            product = closed.dual(q1, q2, k)
        else:
            product = dual(phi, phi, q1, q2, k, kinks_f=kinks, kinks_g=kinks)
        return float(self.sigma_w**2 * product + self.sigma_b**2)

    def cross_slope(self, q1: float, q2: float, k: float) -> float:
        """Return the derivative of the cross moment by the cross moment before: ``sigma_w² E[phi'(u) phi'(v)]``."""
        slope, kinks, closed = self.activation.slope, self.activation.kinks, self.activation.closed
        if closed and closed.slope_dual:
            product = closed.slope_dual(q1, q2, k)
        else:
            product = dual(slope, slope, q1, q2, k, kinks_f=kinks, kinks_g=kinks)
        return float(self.sigma_w**2 * product)

    def away(self, s: float, q: float, after: float | None = None) -> float:
        """Return one minus the correlation after the layer, of two inputs of second moment q.

        Parameters
        ----------
        s
            One minus the correlation before it.
        q
            Second moment of both.
        after
            Second moment after the layer, if it is known.

        Returns
        -------
        float
            From 0 to 2.
        """
        after = float(self.length(q)) if after is None else after
        noise = (1.0 / self.keep - 1.0) * float(mean_square(self.activation, q)) if self.keep < 1.0 else 0.0
        return float(self.sigma_w**2 * (self._contrast(s, q) + noise) / after)

    def _contrast(self, s: float, q: float) -> float:
        if s < NEAR:
            return s * q * float(mean_slope(self.activation, q))
        if self.activation.closed and self.activation.closed.contrast:
            return self.activation.closed.contrast(q, s)
        return contrast(self.activation.f, q, s, kinks=self.activation.kinks)

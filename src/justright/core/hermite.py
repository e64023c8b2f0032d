"""The expansion of a function in Hermite polynomials under a Gaussian, which turns E f(u) g(v) into a short sum.

With u = m + s z, ``f(u) = sum_k a_k h_k(z)`` where h_k are the Hermite polynomials with E h_k² = 1; then
``E f(u) g(v) = sum_k a_k b_k c^k`` for the correlation c of u and v (Mehler 1866).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from justright.core.quadrature import Array, panels

__all__ = ["Expansion"]

OCTAVES: Final = 14
"""Octaves of degrees in the tail: from order 32 they reach 500,000, where c = 1 - 1e-6 is still told from one."""

NOISE: Final = 1e-12
"""A tail below this share of E f² is rounding."""

WIDTH: Final = 1.5
"""Panels in standard deviations: the polynomial of degree 32 has one and a half waves on one."""


@dataclass(frozen=True)
class Expansion:
    """Hermite expansions of a function at an array of Gaussians.

    What lies beyond the order is known in sum, since E f² and E f(m + s z) f(m - s z) are, and is laid out over octaves
    of degrees that fall on in the ratio in which the last octave of coefficients has fallen. So a pairing of an
    expansion with itself is exact at correlations of one and of minus one.

    Parameters
    ----------
    coefficients
        a_0 to a_order on the last axis; the axes before it are those of the Gaussians.
    second
        E f².
    tail
        Sum of a_k² beyond the order, over even k and over odd k, on the last axis.

    Examples
    --------
    >>> relu = Expansion.of(lambda u: np.maximum(u, 0.0), 0.0, 1.0, kinks=(0.0,))
    >>> np.round(relu.pair(relu, [-1.0, 0.0, 0.5, 1.0]), 5)
    array([0.     , 0.15915, 0.3045 , 0.5    ])
    """

    coefficients: Array
    second: Array
    tail: Array

    @classmethod
    def of(
        cls,
        f: Callable[[Array], Any],
        mean: ArrayLike,
        variance: ArrayLike,
        kinks: Sequence[float] = (),
        order: int = 32,
    ) -> Expansion:
        """Expand a function.

        Parameters
        ----------
        f
            Function of one array, elementwise.
        mean, variance
            Of the Gaussians: numbers or arrays that broadcast.
        kinks
            Where `f` is not smooth.
        order
            Highest degree, at least 2.

        Returns
        -------
        Expansion
            Coefficients with an error of about 1e-14 of the root of E f².
        """
        mean, variance = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(variance, np.float64))
        means, deviations = mean.ravel(), np.sqrt(variance.ravel())
        spread = deviations > 0.0
        coefficients = np.zeros((means.size, order + 1))
        second, reflected = np.zeros(means.size), np.zeros(means.size)
        if not spread.all():
            with np.errstate(all="ignore"):
                coefficients[~spread, 0] = f(means[~spread])
            second[~spread] = reflected[~spread] = coefficients[~spread, 0] ** 2
        if spread.any():
            found = _integrals(f, means[spread], deviations[spread], kinks, order)
            coefficients[spread], second[spread], reflected[spread] = found
        tail = _tails(coefficients, second, reflected)
        shape = mean.shape
        return cls(coefficients.reshape(*shape, -1), second.reshape(shape), tail.reshape(*shape, 2))

    @property
    def order(self) -> int:
        """Highest degree."""
        return int(self.coefficients.shape[-1]) - 1

    def pair(self, other: Expansion, correlation: ArrayLike) -> Array:
        """Return E f(u) g(v) for u of these Gaussians and v of those of another expansion.

        Parameters
        ----------
        other
            Expansion of g to the same order; its Gaussians broadcast with these.
        correlation
            Of u and v, from -1 to 1; broadcasts with both.

        Returns
        -------
        Array
            The expectations.
        """
        correlation = np.asarray(correlation, dtype=np.float64)[..., None]
        powers = np.broadcast_to(correlation, (*correlation.shape[:-1], self.order + 1)).copy()
        powers[..., 0] = 1.0
        np.multiply.accumulate(powers, axis=-1, out=powers)
        answer: Array = np.einsum("...k,...k,...k->...", self.coefficients, other.coefficients, powers)
        if np.any(self.tail) and np.any(other.tail):
            answer = answer + self._beyond(other, correlation)
        return answer

    def at(self, index: Any) -> Expansion:  # noqa: ANN401
        """Return the expansions at some of the Gaussians; `index` as for an array of them."""
        return Expansion(self.coefficients[index], self.second[index], self.tail[index])

    def _beyond(self, other: Expansion, correlation: Array) -> Array:
        """Sum the tail: for even and for odd degrees, octave by octave."""
        octave, others = self._octave(), other._octave()
        ratio, ratios = self.tail / (octave + self.tail + _TINY), other.tail / (others + other.tail + _TINY)
        degree = (self.order + 1) * np.exp(0.5 * (_place(ratio) + _place(ratios)))
        decay = np.sqrt(ratio * ratios)
        share = np.sqrt((1.0 - ratio) * (1.0 - ratios))
        power = np.abs(correlation) ** degree
        level, total = np.ones_like(decay), np.zeros(np.broadcast_shapes(power.shape, decay.shape))
        for _ in range(OCTAVES):
            total = total + share * level * power
            level, power = level * decay, power * power
        weight = np.sqrt(self.tail * other.tail) * self._agreement(other, octave, others)
        both: Array = (
            weight * (total + level * power) * np.concatenate([np.ones_like(correlation), np.sign(correlation)], -1)
        )
        whole: Array = np.sum(both, axis=-1)
        return whole

    def _octave(self) -> Array:
        """Sum a_k² over the last octave of degrees, even and odd."""
        squares = np.square(self.coefficients[..., self.order // 2 + 1 :])
        return _by_parity(squares, self.order // 2 + 1)

    def _agreement(self, other: Expansion, octave: Array, others: Array) -> Array:
        """Return the correlation of the coefficients in the last octave: whether the tails have the same signs."""
        half = self.order // 2 + 1
        product = _by_parity(self.coefficients[..., half:] * other.coefficients[..., half:], half)
        agreement: Array = product / (np.sqrt(octave * others) + _TINY)
        return agreement


_TINY = float(np.finfo(np.float64).tiny)


def _by_parity(terms: Array, first: int) -> Array:
    """Sum the even and the odd terms of the last axis, whose first term has the given degree."""
    even, odd = terms[..., first % 2 :: 2], terms[..., 1 - first % 2 :: 2]
    return np.stack([np.sum(even, axis=-1), np.sum(odd, axis=-1)], axis=-1)


def _place(ratio: Array) -> Array:
    """Return the mean of ln(k / order) in an octave from which the next one holds `ratio` of its sum.

    For terms that fall as a power of k, the ratio of octaves says which.
    """
    safe = np.clip(ratio, 1e-9, 1.0 - 1e-6)  # its limits are 0 and ln(2)/2
    place: Array = np.log(2.0) * (1.0 / np.log(1.0 / safe) - safe / (1.0 - safe))
    return place


def _integrals(
    f: Callable[[Array], Any], means: Array, deviations: Array, kinks: Sequence[float], order: int
) -> tuple[Array, Array, Array]:
    """Return coefficients, E f² and E f(m + s z) f(m - s z)."""
    mirrored = [2.0 * means - centre for centre in (0.0, *kinks)]  # functions vary around zero, kink or not
    found = panels(lambda u, _: f(u), means, deviations, [*kinks, *mirrored], width=WIDTH, squared=True)
    coefficients = np.empty((means.size, order + 1))
    before, now = np.zeros_like(found.z), found.values
    for degree in range(order + 1):
        coefficients[:, degree] = found.total(now, means.size)
        before, now = now, (found.z * now - np.sqrt(degree) * before) / np.sqrt(degree + 1.0)
    with np.errstate(all="ignore"):
        opposite = np.asarray(f(means[found.cell, None] - deviations[found.cell, None] * found.z), dtype=np.float64)
        reflected = found.total(found.values * opposite, means.size)
        return coefficients, found.total(np.square(found.values), means.size), reflected


def _tails(coefficients: Array, second: Array, reflected: Array) -> Array:
    """Return what E f² and E f(m + s z) f(m - s z) leave beyond the coefficients, even and odd."""
    sums = _by_parity(np.square(coefficients), 0)
    with np.errstate(invalid="ignore"):
        whole = 0.5 * np.stack([second + reflected, second - reflected], axis=-1)
        rest = whole - sums
    return np.where(rest > NOISE * second[..., None], rest, 0.0)

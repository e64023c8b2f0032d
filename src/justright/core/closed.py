"""Expectations under a Gaussian of mean zero that are known in closed form.

Cho and Saul 2009 (rectifiers), Williams 1997 (erf), Klambauer et al. 2017, arXiv:1706.02515 (ELU, SELU); the others are
Gaussian integrals by parts. Each is tested against quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, erfc, erfcx, factorial, gamma, gammainc

__all__ = ["CLOSED", "Closed", "arc_cosine", "leaky"]

Array = NDArray[np.float64]
SMALL: Final = 1e-3
"""Below this q closed forms of ELU cancel, and their series to the 13th order is exact to 1e-16."""

Moment = Callable[[ArrayLike], Array]
Dual = Callable[[ArrayLike, ArrayLike, ArrayLike], Array]


@dataclass(frozen=True)
class Closed:
    """Closed forms of one function; those that are not known are None.

    Parameters
    ----------
    second
        E f(u)² for u ~ N(0, q), a function of q.
    dual
        E f(u) f(v), a function of both variances and the covariance ``(q1, q2, k)``.
    slope
        E f'(u)², a function of q.
    slope_dual
        E f'(u) f'(v), a function of ``(q1, q2, k)``.
    contrast
        E (f(u) - f(v))² / 2, a function of the variance of both and of one minus their correlation.
    """

    second: Moment
    dual: Dual | None
    slope: Moment
    slope_dual: Dual | None = None
    contrast: Callable[[float, float], float] | None = None


def arc_cosine(degree: int, correlation: ArrayLike) -> Array:
    """Return the normalized arc-cosine kernel J_n(c)/J_n(1) of Cho and Saul 2009, for n = 0 and 1.

    Parameters
    ----------
    degree
        0 for the step, 1 for the rectifier.
    correlation
        Of the two inputs, from -1 to 1.

    Returns
    -------
    Array
        From 0 at -1 to 1 at 1.

    Examples
    --------
    >>> arc_cosine(0, [-1.0, 0.0, 1.0]), arc_cosine(1, [-1.0, 1.0])
    (array([0. , 0.5, 1. ]), array([0., 1.]))
    """
    c = np.clip(np.asarray(correlation, dtype=np.float64), -1.0, 1.0)
    rest: Array = np.arccos(-c)  # pi - arccos(c)
    return rest / np.pi if degree == 0 else (np.sqrt((1.0 - c) * (1.0 + c)) + rest * c) / np.pi


def _arrays(*values: ArrayLike) -> tuple[Array, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)


def _correlation(q1: Array, q2: Array, k: Array) -> Array:
    size = np.sqrt(q1 * q2)
    return np.divide(k, size, out=np.zeros(np.broadcast_shapes(k.shape, size.shape)), where=size > 0.0)


def leaky(negative_slope: float) -> Closed:
    """Return the closed forms of the leaky rectifier max(x, a x)."""
    bend, rest = (1.0 - negative_slope) ** 2, negative_slope
    diagonal = 0.5 * (1.0 + negative_slope**2)

    def dual(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
        q1, q2, k = _arrays(q1, q2, k)
        return bend * 0.5 * np.sqrt(q1 * q2) * arc_cosine(1, _correlation(q1, q2, k)) + rest * k

    def slope_dual(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
        q1, q2, k = _arrays(q1, q2, k)
        return bend * 0.5 * arc_cosine(0, _correlation(q1, q2, k)) + rest

    def contrast(q: float, s: float) -> float:
        angle = 2.0 * np.arcsin(np.sqrt(0.5 * min(s, 2.0)))
        bent = s - (np.sin(angle) - angle * np.cos(angle)) / np.pi
        return float(q * (bend * 0.5 * bent + rest * s))

    return Closed(
        lambda q: diagonal * np.asarray(q, np.float64),
        dual,
        lambda q: np.full(np.shape(q), diagonal),
        slope_dual,
        contrast,
    )


def _erf_dual(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
    q1, q2, k = _arrays(q1, q2, k)
    return 2.0 / np.pi * np.arcsin(2.0 * k / np.sqrt((1.0 + 2.0 * q1) * (1.0 + 2.0 * q2)))


def _erf_slope(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
    q1, q2, k = _arrays(q1, q2, k)
    return 4.0 / np.pi / np.sqrt((1.0 + 2.0 * q1) * (1.0 + 2.0 * q2) - 4.0 * k * k)


def _ndtr_dual(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
    q1, q2, k = _arrays(q1, q2, k)
    return 0.25 + np.arcsin(k / np.sqrt((1.0 + q1) * (1.0 + q2))) / (2.0 * np.pi)


def _ndtr_slope(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
    q1, q2, k = _arrays(q1, q2, k)
    return 1.0 / (2.0 * np.pi * np.sqrt((1.0 + q1) * (1.0 + q2) - k * k))


def _gelu_dual(q1: ArrayLike, q2: ArrayLike, k: ArrayLike) -> Array:
    q1, q2, k = _arrays(q1, q2, k)
    both = (1.0 + q1) * (1.0 + q2)
    root = np.sqrt(1.0 + q1 + q2 + (q1 * q2 - k * k))  # the difference is exact where it would cancel
    return k / 4.0 + ((k * k + q1 * q2 * root * root) / (both * root) + k * np.arctan2(k, root)) / (2.0 * np.pi)


def _gelu_slope(q: ArrayLike) -> Array:
    q = np.asarray(q, np.float64)
    return 0.25 + (np.arcsin(q / (1.0 + q)) + q * (3.0 + 5.0 * q) / ((1.0 + q) * (1.0 + 2.0 * q) ** 1.5)) / (
        2.0 * np.pi
    )


def _hardtanh_second(q: ArrayLike) -> Array:
    q = np.asarray(q, np.float64)
    second: Array = q * gammainc(1.5, 0.5 / q) + erfc(1.0 / np.sqrt(2.0 * q))
    return second


def _decay(rate: float, q: ArrayLike) -> Array:
    """Return E exp(rate u) over u < 0, which is exp(rate² q / 2) times the normal distribution at -rate sqrt(q)."""
    mass: Array = 0.5 * erfcx(rate * np.sqrt(np.asarray(q, np.float64) / 2.0))
    return mass


def _exponential_series(q: Array) -> Array:
    """Return E (exp(u) - 1)² over u < 0 for small q, from moments of the half-normal distribution."""
    terms = range(2, 14)
    moments = (0.5 * (-1.0) ** n * 2.0 ** (n / 2) * gamma((n + 1) / 2) / np.sqrt(np.pi) * q ** (n / 2) for n in terms)
    total: Array = sum(((2.0**n - 2.0) / factorial(n) * each for n, each in zip(terms, moments, strict=True)), 0.0 * q)
    return total


def _elu(scale: float, alpha: float) -> Closed:
    def second(q: ArrayLike) -> Array:
        q = np.asarray(q, np.float64)
        left = np.where(q < SMALL, _exponential_series(q), _decay(2.0, q) - 2.0 * _decay(1.0, q) + 0.5)
        return scale**2 * (0.5 * q + alpha**2 * left)

    return Closed(second, None, lambda q: scale**2 * (0.5 + alpha**2 * _decay(2.0, q)))


def _wave(parity: int) -> Closed:
    """Return the closed forms of the sine (parity 1) and the cosine (parity 0)."""

    def moment(q1: ArrayLike, q2: ArrayLike, k: ArrayLike, odd: int) -> Array:
        q1, q2, k = _arrays(q1, q2, k)
        half = 0.5 * np.exp(np.abs(k) - 0.5 * (q1 + q2))
        decay = -2.0 * np.abs(k)
        return -np.sign(k) * half * np.expm1(decay) if odd else half * (1.0 + np.exp(decay))

    return Closed(
        lambda q: moment(q, q, q, parity),
        lambda q1, q2, k: moment(q1, q2, k, parity),
        lambda q: moment(q, q, q, 1 - parity),
        lambda q1, q2, k: moment(q1, q2, k, 1 - parity),
    )


def _diagonal(dual: Dual) -> Moment:
    return lambda q: dual(q, q, q)


SELU_SCALE: Final = 1.0507009873554804934193349852946  # Klambauer et al. 2017, arXiv:1706.02515, equation 14
SELU_ALPHA: Final = 1.6732632423543772848170429916717  # the same

CLOSED: Final[Mapping[str, Closed]] = {
    "relu": leaky(0.0),
    "leaky_relu": leaky(0.01),  # the default slope of PyTorch
    "erf": Closed(_diagonal(_erf_dual), _erf_dual, _diagonal(_erf_slope), _erf_slope),
    "ndtr": Closed(_diagonal(_ndtr_dual), _ndtr_dual, _diagonal(_ndtr_slope), _ndtr_slope),
    "gelu": Closed(_diagonal(_gelu_dual), _gelu_dual, _gelu_slope),
    "hardtanh": Closed(_hardtanh_second, None, lambda q: erf(1.0 / np.sqrt(2.0 * np.asarray(q, np.float64)))),
    "elu": _elu(1.0, 1.0),
    "selu": _elu(SELU_SCALE, SELU_ALPHA),
    "sin": _wave(1),
    "cos": _wave(0),
}
"""The functions whose expectations are known, by canonical name, with their default attributes."""

"""Expectations of functions of Gaussian variables.

``expectation`` is E f(u) for arrays of means and variances, ``dual`` is E f(u) g(v) for two correlated variables, and
``Expansion`` gives the latter for many pairs at once. ``CLOSED`` has the expectations that are known in closed form.

>>> round(float(expectation(np.tanh, 0.5, 2.0)), 12)
0.23637706877
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from justright.core.closed import CLOSED, Closed
from justright.core.hermite import Expansion
from justright.core.quadrature import Array, Cells, panels

__all__ = ["CLOSED", "Array", "Closed", "Expansion", "Function", "contrast", "dual", "expectation"]

Function = Callable[[Array], Any]

SMOOTHED: Final = (-32.0, -8.0, -2.0, 0.0, 2.0, 8.0, 32.0)
"""A kink seen through a narrow Gaussian is smooth on the scale of its width: panels end at these multiples of it."""


def expectation(f: Function, mean: ArrayLike, variance: ArrayLike, kinks: Sequence[ArrayLike] = ()) -> Array:
    """Return E f(u) for u ~ N(mean, variance).

    The quadrature covers 12 standard deviations and is adaptive: a function that varies on the scale of one around zero
    and around its kinks is resolved at any variance, and so is a kink that is not declared, at some cost.

    Parameters
    ----------
    f
        Function of one array, elementwise.
    mean, variance
        Numbers or arrays that broadcast; where the variance is zero the answer is ``f(mean)``.
    kinks
        Where `f` or its derivative jumps, in the coordinate of u; numbers, or arrays that broadcast as well.

    Returns
    -------
    Array
        The expectations; relative to E|f| their error is about 1e-14 where `f` is piecewise analytic. NaN where `f` is
        NaN on a part of the line, infinite where the integral diverges.

    Raises
    ------
    ValueError
        If a variance is negative.

    Examples
    --------
    >>> expectation(lambda u: np.maximum(u, 0.0) ** 2, 0.0, [1.0, 4.0], kinks=(0.0,))
    array([0.5, 2. ])
    """
    mean, variance = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(variance, np.float64))
    if np.any(variance < 0.0):
        raise ValueError(f"a variance is negative: {np.min(variance)}")
    means, deviations = mean.ravel(), np.sqrt(variance.ravel())
    spread = deviations > 0.0
    answer = np.empty(means.size)
    if not spread.all():
        with np.errstate(all="ignore"):
            answer[~spread] = f(means[~spread])
        answer[np.isnan(deviations)] = np.nan
    if spread.any():
        bends = [_of_cells(kink, mean.shape, spread) for kink in kinks]
        found = panels(lambda u, _: f(u), means[spread], deviations[spread], bends)
        answer[spread] = found.total(found.values, int(np.count_nonzero(spread)))
    return answer.reshape(mean.shape)


def _of_cells(kink: ArrayLike, shape: tuple[int, ...], chosen: NDArray[np.bool_]) -> Array:
    """Return a kink as a number, or as an array with one value for each chosen cell."""
    kink = np.asarray(kink, dtype=np.float64)
    return np.broadcast_to(kink, shape).ravel()[chosen] if kink.ndim else kink


def dual(
    f: Function,
    g: Function,
    q1: ArrayLike,
    q2: ArrayLike,
    k: ArrayLike,
    m1: ArrayLike = 0.0,
    m2: ArrayLike = 0.0,
    *,
    kinks_f: Sequence[float] = (),
    kinks_g: Sequence[float] = (),
) -> Array:
    """Return E f(u) g(v), u and v Gaussian with means m1, m2, variances q1, q2 and covariance k.

    Parameters
    ----------
    f, g
        Functions of one array, elementwise.
    q1, q2, k, m1, m2
        Numbers or arrays that broadcast; ``k² <= q1 q2``, apart from rounding.
    kinks_f, kinks_g
        Where `f` and `g` are not smooth.

    Returns
    -------
    Array
        The expectations, to about 1e-12: f against the expectation of g given u.

    Examples
    --------
    >>> relu = lambda u: np.maximum(u, 0.0)
    >>> np.round(dual(relu, relu, 2.0, 2.0, [0.0, 2.0], kinks_f=(0.0,), kinks_g=(0.0,)) * np.pi, 12)
    array([1.        , 3.14159265])
    """
    every = np.broadcast_arrays(*(np.asarray(each, np.float64) for each in (q1, q2, k, m1, m2)))
    pairs = np.stack([each.ravel() for each in every], axis=1)
    found = [_dual(f, g, tuple(map(float, pair)), kinks_f, kinks_g) for pair in pairs]
    return np.array(found, dtype=np.float64).reshape(every[0].shape)


def _dual(
    f: Function, g: Function, pair: tuple[float, ...], kinks_f: Sequence[float], kinks_g: Sequence[float]
) -> Array:
    q1, q2, k, m1, m2 = pair
    if q1 == 0.0:
        return expectation(f, m1, 0.0) * expectation(g, m2, q2, kinks_g)
    slope = k / q1
    rest = max(q2 - k * slope, 0.0)
    rest = 0.0 if rest < 4.0 * np.finfo(np.float64).eps * q2 else rest  # rounding of a correlation of one

    def integrand(u: Array) -> Array:
        values: Array = np.asarray(f(u), np.float64) * expectation(g, m2 + slope * (u - m1), rest, kinks_g)
        return values

    bends = [*kinks_f]
    if slope:
        width = np.sqrt(rest) / abs(slope)
        bends += [m1 + (kink - m2) / slope + width * multiple for kink in kinks_g for multiple in SMOOTHED]
    return expectation(integrand, m1, q1, bends)


def contrast(f: Function, q: float, s: float, mean: float = 0.0, *, kinks: Sequence[float] = ()) -> float:
    """Return E (f(u) - f(v))² / 2, u and v Gaussian with variance q and correlation 1 - s.

    It is E f(u)² - E f(u) f(v) without the cancellation: near a correlation of one it keeps its relative accuracy.

    Parameters
    ----------
    f
        Function of one array, elementwise.
    q
        Variance, above zero.
    s
        One minus the correlation, from 0 to 2.
    mean
        Of both variables.
    kinks
        Where `f` is not smooth.

    Returns
    -------
    float
        The expectation; for `s` above 1e-14 its relative error is about 1e-17 over the root of `s`, at least 1e-14.

    Examples
    --------
    >>> round(contrast(lambda u: u, 2.0, 1e-12) / 1e-12, 9)
    2.0
    """
    apart, common = float(np.sqrt(0.5 * q * s)), float(np.sqrt(q * max(1.0 - 0.5 * s, 0.0)))
    if apart == 0.0:
        return 0.0

    def within(centre: Array) -> Array:
        """Return the expectation given half the sum of u and v."""
        place = centre.ravel()
        bends = [sign * (kink - place) for kink in kinks for sign in (-1.0, 1.0)]
        spread = np.full(place.size, apart)
        noise = np.square(8.0 * np.finfo(np.float64).eps * np.asarray(f(place), np.float64))  # of a difference, squared

        def half_square(z: Array, cell: Cells) -> Array:
            half: Array = 0.5 * np.square(f(place[cell] + z) - f(place[cell] - z))
            return half

        found = panels(half_square, 0.0 * place, spread, bends, noise=noise)
        return np.reshape(found.total(found.values, place.size), centre.shape)

    edges = [kink + apart * multiple for kink in kinks for multiple in SMOOTHED]
    return float(expectation(within, mean, common**2, edges))

"""Fixed points of the length map and of the correlation map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from justright.core.phase import CRITICAL
from justright.meanfield.activation import Activation
from justright.meanfield.maps import FLOOR, NEAR, Layer
from justright.meanfield.table import FLAT, Array, brackets, table_of

__all__ = ["Correlation", "Length", "correlation", "jumps", "lengths"]

TOUCH: Final = 1e-9
"""A length map that comes this near to q touches it: 1e-9 is the accuracy of published critical points."""

FAR: Final = 1e18
"""Fixed points are looked for up to here; a root of 1e9 is beyond every half-precision format."""

LARGE: Final = 1e8
"""A second moment that stands for its limit at infinity: inputs of 10,000, far from every bend of an activation."""

BESIDE: Final = 1e-9
"""Distance from a kink at which both of its sides are looked at: far above rounding."""

JUMP: Final = 1e-5
"""A larger difference over that distance would be a slope of 5,000."""

STEPS: Final = 300
"""Layers that are iterated where the length map is not monotone."""

TIGHT: Final = 1e-14
"""Relative accuracy of a root."""


@dataclass(frozen=True)
class Length:
    """Where the second moment goes, layer after layer.

    Parameters
    ----------
    q
        The fixed point that it converges to; infinite if it grows without bound, ``nan`` if it does not settle.
    points
        All fixed points, ascending.
    every
        Whether every q is one.
    """

    q: float
    points: tuple[float, ...]
    every: bool = False

    @property
    def representative(self) -> float:
        """A positive number to evaluate expectations at: `q`, or what stands for a limit at zero or infinity."""
        return min(max(self.q, FLOOR), LARGE) if math.isinf(self.q) or self.q == 0.0 else self.q


@dataclass(frozen=True)
class Correlation:
    """Where correlations go, layer after layer.

    Parameters
    ----------
    s
        One minus the fixed point; ``nan`` if every correlation stays as it is.
    slope
        Slope of the correlation map there.
    """

    s: float
    slope: float


def lengths(layer: Layer, start: float = 1.0) -> Length:
    """Return the fixed points of the length map, and the one that is reached.

    Parameters
    ----------
    layer
        The layer that is repeated.
    start
        Second moment of the preactivations of the first layer.

    Returns
    -------
    Length
        The fixed points are exact to about 1e-14, and to 1e-8 where two of them merge.
    """
    table = table_of(layer.activation)
    relative = (layer.sigma_w**2 / layer.keep * table.square + layer.sigma_b**2) / table.q - 1.0
    if np.all(np.abs(relative[np.isfinite(relative)]) <= FLAT):
        return Length(start, (), every=True)
    points = [_root(layer, pair) for pair in brackets(table.q, relative)]
    points += _touching(layer, table.q, relative) + _beyond(layer, table.q[-1], float(relative[-1]))
    if float(layer.length(0.0)) == 0.0:
        points.append(0.0)
    found = tuple(sorted(points))
    reached = _monotone(layer, found, start) if table.increasing else _iterated(layer, found, start)
    return Length(reached, found)


def _excess(layer: Layer, log_q: float) -> float:
    q = math.exp(log_q)
    return float(layer.length(q)) / q - 1.0


def _root(layer: Layer, pair: tuple[float, float]) -> float:
    ends = (math.log(pair[0]), math.log(pair[1]))
    return math.exp(brentq(lambda log_q: _excess(layer, log_q), *ends, xtol=TIGHT, rtol=TIGHT))


def _touching(layer: Layer, q: Array, relative: Array) -> list[float]:
    """Return fixed points at which the length map touches q without crossing it."""
    size = np.abs(relative)
    inner = np.arange(1, q.size - 1)
    same = (np.sign(relative[:-2]) == np.sign(relative[1:-1])) & (np.sign(relative[1:-1]) == np.sign(relative[2:]))
    low = (size[1:-1] < size[:-2]) & (size[1:-1] <= size[2:]) & (size[:-2] > FLAT) & (size[2:] > FLAT)
    found = []
    for at in inner[same & low]:
        ends = (math.log(q[at - 1]), math.log(q[at + 1]))
        best = minimize_scalar(
            lambda x: abs(_excess(layer, x)), bounds=ends, method="bounded", options={"xatol": 1e-10}
        )
        found += [math.exp(best.x)] if best.fun <= TOUCH else []
    return found


def _beyond(layer: Layer, q: float, relative: float) -> list[float]:
    """Look for a fixed point above the table, where the second moment still grows at its end."""
    while relative > FLAT and q < FAR:
        further = 10.0 * q
        with np.errstate(over="ignore"):
            after = float(layer.length(further)) / further - 1.0
        if not math.isfinite(after):
            return []
        if after <= 0.0:
            return [_root(layer, (q, further))]
        q, relative = further, after
    return []


def _monotone(layer: Layer, points: tuple[float, ...], start: float) -> float:
    """Return the next fixed point in the direction in which the second moment starts."""
    excess = _excess(layer, math.log(start))
    if abs(excess) <= FLAT:
        return start
    if excess > 0.0:
        return min((point for point in points if point > start), default=math.inf)
    return max((point for point in points if point < start), default=0.0)


def _iterated(layer: Layer, points: tuple[float, ...], start: float) -> float:
    """Return the fixed point that the second moment comes nearest to in many layers, ``nan`` if it comes to none."""
    q = start
    for _ in range(STEPS):
        q = float(layer.length(q))
        if not math.isfinite(q):
            return math.inf
    near = min(points, key=lambda point: abs(point - q), default=math.nan)
    return near if abs(near - q) <= TOUCH * max(near, 1.0) ** 0.5 or _pulls(layer, near) else math.nan


def _pulls(layer: Layer, point: float) -> bool:
    return bool(abs(float(layer.length_slope(point))) <= 1.0)


def jumps(activation: Activation) -> bool:
    """Say whether an activation jumps at one of its kinks, so that its derivative does not tell its slope.

    Parameters
    ----------
    activation
        phi.
    """
    kinks = np.array([kink for kink in activation.kinks if math.isfinite(kink)])
    reach = BESIDE * np.maximum(1.0, np.abs(kinks))
    with np.errstate(all="ignore"):
        rise = np.abs(activation.f(kinks + reach) - activation.f(kinks - reach)) if kinks.size else kinks
    return bool(np.any(rise > JUMP))


def correlation(layer: Layer, q: float) -> Correlation:
    """Return the fixed point of the correlation map that all pairs of inputs converge to.

    The map has a power series with coefficients that are not negative, so it is convex on [0, 1] and has one such
    point.

    Parameters
    ----------
    layer
        The layer that is repeated.
    q
        Second moment of the preactivations, above zero.

    Returns
    -------
    Correlation
        The point, and the slope there.
    """
    after = float(layer.length(q))
    scale = q / after if after > 0.0 else math.nan
    at_one = math.inf if jumps(layer.activation) else layer.keep * float(layer.slope(q)) * scale
    if layer.keep == 1.0 and at_one <= 1.0 + CRITICAL:
        unmoved = at_one >= 1.0 - CRITICAL and abs(layer.away(1.0, q, after) - 1.0) <= TOUCH
        return Correlation(math.nan if unmoved else 0.0, at_one)
    s = _apart(layer, q, after)
    return Correlation(s, layer.cross_slope(q, q, q * (1.0 - s)) * scale)


def _apart(layer: Layer, q: float, after: float) -> float:
    """Return the fixed point of the map of s between zero and one."""

    def excess(log_s: float) -> float:
        s = math.exp(log_s)
        return layer.away(s, q, after) / s - 1.0

    if excess(0.0) >= -TIGHT:
        return 1.0
    if excess(math.log(NEAR)) <= 0.0:
        return NEAR
    return math.exp(brentq(excess, math.log(NEAR), 0.0, xtol=TIGHT, rtol=TIGHT))

"""``justright.critical``: the critical line, solved by choosing q."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from scipy.optimize import brentq

from justright.core.gaussian import Expansion
from justright.core.phase import CRITICAL, Critical
from justright.errors import InputError
from justright.meanfield.activation import Activation, activation_of
from justright.meanfield.fixed import TIGHT
from justright.meanfield.maps import FLOOR, mean_product, mean_slope, mean_square
from justright.meanfield.point import positive
from justright.meanfield.table import FLAT, Array, brackets, table_of

__all__ = ["critical", "half_stable", "line", "point_at"]

CANCELLED: Final = 1e-4
"""A bias variance below this share of q has lost four digits to cancellation."""

STEP: Final = 1e-3
"""Relative step of the difference of phi', for the rate: its error is a millionth."""


def critical(
    activation: str | Callable[..., Any],
    *,
    sigma_b: float | None = None,
    q: float | None = None,
    derivative: Callable[[Any], Any] | None = None,
    kinks: Sequence[float] = (),
    **attributes: Any,  # noqa: ANN401  an attribute is a number, a string or a flag, as its operator says
) -> Critical:
    """Return a critical point: the sigma_w at which squared gradients neither grow nor shrink.

    On the critical line ``sigma_w² = 1 / E[phi'²]`` and ``sigma_b² = q - sigma_w² E[phi²]``, a point for every q at
    which the latter is not negative.

    Parameters
    ----------
    activation
        Its name, such as ``"tanh"``; a ufunc; or any function of an array.
    sigma_b
        Standard deviation of the biases; 0 if neither this nor `q` is given.
    q
        Second moment of the preactivations, in place of `sigma_b`.
    derivative, kinks, **attributes
        As for `justright.phase`.

    Returns
    -------
    Critical
        Where several points have this bias, the stable one of largest q, with the others in its notes.

    Raises
    ------
    InputError
        If both or neither fit, or no such point exists; the message says for which numbers one does.
    CatalogueError
        If no activation has the name.

    Examples
    --------
    >>> point = critical("tanh", sigma_b=0.05**0.5)
    >>> round(point.sigma_w**2, 9), point.stable
    (1.76095464, True)
    """
    made = activation_of(activation, derivative=derivative, kinks=kinks, **attributes)
    if q is not None and sigma_b is not None:
        raise InputError("both q and sigma_b", where="critical", expected="one of them", try_="critical(..., q=1.0)")
    if q is not None:
        positive("q", q)
        return _chosen(made, float(q))
    sigma_b = 0.0 if sigma_b is None else sigma_b
    positive("sigma_b", sigma_b, zero=True)
    return _solved(made, float(sigma_b))


def point_at(activation: Activation, q: float, notes: Sequence[str] = ()) -> Critical:
    """Return the critical point of a second moment, without asking whether its bias is real.

    Parameters
    ----------
    activation
        phi.
    q
        Second moment; zero stands for the limit.
    notes
        To be added to those of instability.

    Returns
    -------
    Critical
        With ``nan`` for sigma_b where its square is negative.
    """
    weight = 1.0 / float(mean_slope(activation, q))
    bias = _bias(activation, q, weight) if q else 0.0
    slope = weight * float(mean_product(activation, q))
    return Critical(
        activation.name,
        q,
        math.sqrt(weight),
        math.sqrt(bias) if bias >= 0.0 else math.nan,
        slope,
        _rate(activation, q),
        (*_stability(slope, q), *notes),
    )


def _bias(activation: Activation, q: float, weight: float) -> float:
    """Return sigma_b², ``q - sigma_w² E[phi²]``.

    With Hermite coefficients it is ``sigma_w² sum (k - 1) a_k²``, which does not cancel where phi is nearly linear.
    """
    bias = q - weight * float(mean_square(activation, q))
    if abs(bias) > CANCELLED * q:
        return bias
    series = Expansion.of(activation.f, 0.0, q, activation.kinks)
    if np.any(series.tail):
        return 0.0 if abs(bias) <= 10.0 * FLAT * q else bias
    return weight * float(np.sum(np.arange(-1, series.order) * np.square(series.coefficients)))


def _stability(slope: float, q: float) -> Iterator[str]:
    if slope > 1.0 + CRITICAL:
        yield f"unstable: at q = {q:.6g} the length map has the slope {slope:.6g}, so q moves away, up or down"
    elif abs(slope - 1.0) <= CRITICAL:
        yield (
            "marginal or half-stable: the length map has the slope one as well, so q comes back slowly, or from one "
            "side alone, or not at all"
        )


def _rate(activation: Activation, q: float) -> float:
    """Return 2 E[phi'²] / (q E[phi''²]), for a smooth activation."""
    if not activation.smooth or q == 0.0:
        return math.nan
    step = STEP * min(1.0, math.sqrt(q))

    def curvature(u: Array) -> Array:
        rise: Array = (activation.slope(u + step) - activation.slope(u - step)) / (2.0 * step)
        return rise

    bent = float(mean_slope(Activation(activation.name, activation.slope, curvature), q))
    return 2.0 * float(mean_slope(activation, q)) / (q * bent) if bent > 0.0 else math.inf


def _chosen(activation: Activation, q: float) -> Critical:
    found = point_at(activation, q)
    if not math.isfinite(found.sigma_w) or math.isnan(found.sigma_b):
        raise _missing(activation, f"q = {q:g}", "sigma_b² would be negative there")
    return found


def _solved(activation: Activation, sigma_b: float) -> Critical:
    """Return the critical point of a bias: the root in q of its square."""
    table = table_of(activation)
    with np.errstate(all="ignore"):
        relative = 1.0 - (table.square / table.slope + sigma_b**2) / table.q
    usable = np.isfinite(relative)
    if usable.any() and np.all(np.abs(relative[usable]) <= FLAT):
        return point_at(
            activation, 1.0, ("every q is critical at this sigma_w and sigma_b; the numbers are those of 1",)
        )
    roots = [_root(activation, sigma_b**2, pair) for pair in brackets(table.q, relative)]
    if sigma_b == 0.0 and float(activation.f(np.zeros(1))[0]) == 0.0 and float(mean_slope(activation, 0.0)) > 0.0:
        roots.insert(0, 0.0)
    if not roots:
        raise _missing(activation, f"sigma_b = {sigma_b:g}", _why(activation))
    points = [point_at(activation, root) for root in roots]
    best = max(points, key=lambda point: (point.stable, point.q))
    others = [f"also critical: {_name(point)}" for point in points if point is not best]
    return point_at(activation, best.q, others)


def _name(point: Critical) -> str:
    return f"sigma_w = {point.sigma_w:.6g} at q = {point.q:.6g}, {'stable' if point.stable else 'unstable'}"


def _root(activation: Activation, bias: float, pair: tuple[float, float]) -> float:
    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return 1.0 - (float(mean_square(activation, q) / mean_slope(activation, q)) + bias) / q

    return math.exp(brentq(excess, math.log(pair[0]), math.log(pair[1]), xtol=TIGHT, rtol=TIGHT))


def _why(activation: Activation) -> str:
    """Say for which biases a critical point exists, from sigma_b² on the line."""
    table = table_of(activation)
    with np.errstate(all="ignore"):
        relative = 1.0 - table.square / table.slope / table.q
    if np.all(np.abs(relative[np.isfinite(relative)]) <= FLAT):
        return "only sigma_b = 0 has critical points"
    real = np.isfinite(relative) & (relative > FLAT)
    if not real.any():
        return "sigma_b² would be negative at every q"
    bias = np.sqrt(relative[real] * table.q[real])
    return f"critical points have sigma_b from {bias.min():.4g} to {bias.max():.4g}"


def _missing(activation: Activation, what: str, why: str) -> InputError:
    return InputError(
        f"no critical point at {what}: {why}", where=f"activation {activation.name!r}",
        expected="a point where chi_1 = 1 at a fixed point of the length map",
        try_=f"justright.phase({activation.name.split(',')[0]!r}, sigma_w=...), which says how fast gradients change",
    )  # fmt: skip


def half_stable(activation: str | Callable[..., Any], **attributes: Any) -> tuple[Critical, ...]:  # noqa: ANN401
    """Return the critical points at which the length map has the slope one as well.

    At these both the second moment and the gradient keep their size to first order: GELU, SiLU and Mish, whose critical
    points at other q are unstable, have one each (Roberts et al. 2021, arXiv:2106.10165, section 5.3.4).

    Parameters
    ----------
    activation, **attributes
        As for `critical`.

    Returns
    -------
    tuple of Critical
        By ascending q; empty if there is none. Scale-invariant activations, for which every q is one, have none here.

    Examples
    --------
    >>> [round(point.sigma_w**2, 8) for point in half_stable("gelu")]
    [1.98305826]
    """
    made = activation_of(activation, **attributes)
    table = table_of(made)
    product = mean_product(made, table.q)
    with np.errstate(all="ignore"):
        relative = product / table.slope - 1.0

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return float(mean_product(made, q) / mean_slope(made, q)) - 1.0

    pairs = [pair for pair in brackets(table.q, relative) if pair[1] > np.sqrt(FLOOR)]
    roots = (brentq(excess, math.log(low), math.log(high), xtol=TIGHT, rtol=TIGHT) for low, high in pairs)
    points = (point_at(made, math.exp(root)) for root in roots)
    return tuple(point for point in points if math.isfinite(point.sigma_b))


def line(activation: Activation, lowest: float = 1e-6, highest: float = 1e6, count: int = 400) -> Array:
    """Return points of the critical line by ascending q.

    Parameters
    ----------
    activation
        phi.
    lowest, highest
        Range of q.
    count
        How many q are tried.

    Returns
    -------
    Array
        sigma_w, sigma_b and chi_q, shape (points, 3); points with a negative sigma_b² are left out.
    """
    q = np.geomspace(lowest, highest, count)
    with np.errstate(all="ignore"):
        weight = 1.0 / mean_slope(activation, q)
        bias = q - weight * mean_square(activation, q)
    bias = np.where(np.abs(bias) <= 10.0 * FLAT * q, 0.0, bias)
    real = np.isfinite(weight) & (bias >= 0.0)
    slope = weight[real] * mean_product(activation, q[real])
    return np.stack([np.sqrt(weight[real]), np.sqrt(bias[real]), slope], axis=1)

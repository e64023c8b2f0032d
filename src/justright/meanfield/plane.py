"""The plane of sigma_w and sigma_b: one row of points a task, on all cores, or wherever joblib is told to work."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.gaussian import Expansion
from justright.core.phase import SCALES, Plane
from justright.errors import InputError
from justright.meanfield.activation import Activation, activation_of
from justright.meanfield.critical import line
from justright.meanfield.maps import mean_product, mean_slope, mean_square
from justright.meanfield.point import positive
from justright.meanfield.table import table_of

__all__ = ["sweep"]

Array = NDArray[np.float64]
Tell = Callable[[str, int, int], None]

NEWTON: Final = 4
"""Steps from a root that is interpolated between eight points a decade: to rounding after three."""

HALVINGS: Final = 50
"""Bisections of c*: to 1e-15."""

UNTRUSTED: Final = 1e12
"""Above this q counts as growing without bound."""


def sweep(
    activation: str | Callable[..., Any],
    sigma_w: Sequence[float] | Array,
    sigma_b: Sequence[float] | Array,
    *,
    jobs: int = -1,
    progress: Tell | None = None,
    **attributes: Any,  # noqa: ANN401  an attribute is a number, a string or a flag, as its operator says
) -> Plane:
    """Compute the phase at every point of a plane.

    Rows are computed in parallel if joblib is installed, under the backend that ``joblib.parallel_config`` has chosen:
    all cores of this machine, or a Dask or Ray cluster. Without joblib they are computed one after the other.

    Parameters
    ----------
    activation
        Its name, a ufunc, or any function of an array.
    sigma_w, sigma_b
        The axes; all sigma_w are above zero.
    jobs
        How many rows at one time; -1 for as many as there are cores or workers, 1 for no parallelism.
    progress
        Told ``"plane"``, the number of rows done, and the number of rows.
    **attributes
        As for `justright.phase`.

    Returns
    -------
    Plane
        The second moment is exact to about 1e-10; xi_c of the chaotic phase is that of an expansion to degree 32, which
        is off by less than a thousandth for smooth activations, and by some percent next to the critical line.

    Raises
    ------
    InputError
        If an axis is empty or has a number out of its range.

    Examples
    --------
    >>> plane = sweep("tanh", [1.0, 2.0], [0.1], jobs=1)
    >>> plane.chi_1.round(4)
    array([[0.8762, 1.3585]])
    """
    made = activation_of(activation, **attributes)
    weights, biases = _axis("sigma_w", sigma_w, zero=False), _axis("sigma_b", sigma_b, zero=True)
    table_of(made)  # once, and not in every worker of this process
    rows = []
    for row in _rows(made, weights, biases, jobs):
        rows.append(row)
        if progress:
            progress("plane", len(rows), biases.size)
    q, chi_1, xi_c, depth = (np.stack(each) for each in zip(*rows, strict=True))
    points = line(made)
    notes = () if points.size else ("no critical line: sigma_b² would be negative at every q",)
    return Plane(made.name, weights, biases, q, chi_1, xi_c, depth, points, notes)


def _axis(name: str, values: Sequence[float] | Array, *, zero: bool) -> Array:
    axis = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if axis.ndim != 1 or not axis.size:
        raise InputError(f"an array of shape {axis.shape}", where=name, expected="one or more numbers in a row")
    for value in axis:
        positive(name, float(value), zero=zero)
    return axis


def _rows(activation: Activation, weights: Array, biases: Array, jobs: int) -> Iterable[tuple[Array, ...]]:
    """Yield the rows in order, as they are done."""
    if jobs == 1 or importlib.util.find_spec("joblib") is None:
        return (_row(activation, weights, float(bias)) for bias in biases)
    import joblib

    tasks = (joblib.delayed(_row)(activation, weights, float(bias)) for bias in biases)
    done: Iterable[tuple[Array, ...]] = joblib.Parallel(n_jobs=jobs, return_as=_order())(tasks)
    return done


def _order() -> str:
    """Return how results come: one by one where the chosen backend can do that, else all at the end."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    return "generator" if getattr(backend, "supports_return_generator", False) else "list"


def _row(activation: Activation, weights: Array, bias: float) -> tuple[Array, ...]:
    """Return q, chi_1, xi_c and depth for one sigma_b."""
    q = _reached(activation, weights, bias)
    at = np.clip(q, *table_of(activation).q[[0, -1]])
    with np.errstate(all="ignore"):
        chi_1 = weights**2 * mean_slope(activation, at)
        xi_c = _scale(chi_1)
        chaotic = (chi_1 > 1.0) & np.isfinite(q)
        if chaotic.any():
            xi_c[chaotic] = _scale(_chaotic(activation, at[chaotic], weights[chaotic], bias))
        depth = SCALES * np.minimum(xi_c, _scale(chi_1))
    return q, chi_1, xi_c, depth


def _scale(chi: Array) -> Array:
    scale: Array = 1.0 / np.abs(np.log(np.abs(chi)))
    return scale


def _reached(activation: Activation, weights: Array, bias: float) -> Array:
    """Return the fixed points of q that are reached from one; infinite where q grows without bound."""
    table = table_of(activation)
    with np.errstate(all="ignore"):
        relative = (weights[:, None] ** 2 * table.square + bias**2) / table.q - 1.0
    begin = int(np.argmin(np.abs(table.q - 1.0)))
    q = np.array([_walked(table.q, row, begin) for row in relative])
    inner = np.isfinite(q) & (q > table.q[0])
    for _ in range(NEWTON):
        some = q[inner]
        excess = weights[inner] ** 2 * mean_square(activation, some) + bias**2 - some
        slope = weights[inner] ** 2 * mean_product(activation, some) - 1.0
        q[inner] = np.clip(some - np.divide(excess, slope, where=slope != 0.0, out=0.0 * some), 0.5 * some, 2.0 * some)
    return np.where(q > UNTRUSTED, np.inf, q)


def _walked(q: Array, relative: Array, begin: int) -> float:
    """Walk along the grid from a point, up or down as the second moment does, to the next change of sign."""
    sign = np.sign(relative[begin])
    path = relative[begin:] if sign > 0 else relative[begin::-1]
    places = q[begin:] if sign > 0 else q[begin::-1]
    past = np.flatnonzero(~(np.sign(path) == sign))
    if sign == 0.0 or not past.size:
        return float(q[begin]) if sign == 0.0 else (np.inf if sign > 0 else 0.0)
    last = int(past[0])
    if not np.isfinite(path[last]):
        return float(np.inf)
    share = path[last - 1] / (path[last - 1] - path[last])
    return float(places[last - 1] * (places[last] / places[last - 1]) ** share)


def _chaotic(activation: Activation, q: Array, weights: Array, bias: float) -> Array:
    """Return the slope of the correlation map at its fixed point below one."""
    value = Expansion.of(activation.f, 0.0, q, activation.kinks)
    slope = Expansion.of(activation.slope, 0.0, q, activation.kinks)
    low, high = np.zeros(q.size), np.full(q.size, 1.0 - 1e-9)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = (weights**2 * value.pair(value, middle) + bias**2) / q > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    chi: Array = weights**2 * slope.pair(slope, 0.5 * (low + high))
    return chi

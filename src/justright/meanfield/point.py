"""``justright.phase``: everything that mean-field theory says of one activation at one initialization."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from justright.core.phase import CRITICAL, Phase
from justright.core.profile import Provenance
from justright.errors import InputError
from justright.meanfield.activation import activation_of
from justright.meanfield.fixed import Correlation, Length, correlation, jumps, lengths
from justright.meanfield.maps import Layer

__all__ = ["phase", "phase_of", "positive"]


def phase(
    activation: str | Callable[..., Any],
    *,
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
    keep: float = 1.0,
    start: float = 1.0,
    derivative: Callable[[Any], Any] | None = None,
    kinks: Sequence[float] = (),
    **attributes: Any,  # noqa: ANN401  an attribute is a number, a string or a flag, as its operator says
) -> Phase:
    """Return where signals, correlations and gradients of a deep fully connected network go.

    Weights have the variance ``sigma_w² / fan_in`` and biases ``sigma_b²``. The answer is that of infinite width:
    numbers of a network of finite width fluctuate around it.

    Parameters
    ----------
    activation
        Its name, such as ``"tanh"``; a ufunc; or any function of an array.
    sigma_w
        Standard deviation of the weights times the root of fan in, above zero; ``2**0.5`` is He's.
    sigma_b
        Standard deviation of the biases.
    keep
        Probability with which dropout keeps an activation; 1 without dropout.
    start
        Second moment of the first preactivations, for activations whose fixed point depends on it.
    derivative
        Derivative of a function that is not in the catalogue; by default a central difference.
    kinks
        Where that function is not smooth; points that are not named cost accuracy or time.
    **attributes
        Of the activation, such as ``negative_slope=0.1``.

    Returns
    -------
    Phase
        q*, chi_1, chi_q, c*, the depth scales, the phase, and in words what does not exist or is not stable.

    Raises
    ------
    InputError
        If a number is out of its range, or the activation is no function of one number on the whole line.
    CatalogueError
        If no activation has the name.

    Examples
    --------
    >>> point = phase("tanh", sigma_w=1.5, sigma_b=0.3)
    >>> point.name, round(point.chi_1, 6), round(point.c, 6), round(point.depth, 3)
    ('chaotic', 1.060981, 0.766753, 101.361)
    """
    positive("sigma_w", sigma_w)
    positive("start", start)
    positive("sigma_b", sigma_b, zero=True)
    if not 0.0 < keep <= 1.0:
        raise InputError(
            f"{keep}", where="keep", expected="a probability above 0 and at most 1", try_="keep=0.9"
        )  # fmt: skip
    made = activation_of(activation, derivative=derivative, kinks=kinks, **attributes)
    return phase_of(Layer(made, float(sigma_w), float(sigma_b), float(keep)), float(start))


def positive(name: str, value: float, *, zero: bool = False) -> None:
    """Refuse what is not a finite number above zero.

    Parameters
    ----------
    name, value
        Of the argument.
    zero
        Whether zero is right as well.

    Raises
    ------
    InputError
        If it is not.
    """
    number = isinstance(value, float | int | np.floating | np.integer)
    if not number or not math.isfinite(value) or value < 0.0 or (value == 0.0 and not zero):
        least = "zero or above" if zero else "above zero"
        raise InputError(f"{value!r}", where=name, expected=f"a finite number, {least}", try_=f"{name}=1.0")


def phase_of(layer: Layer, start: float = 1.0) -> Phase:
    """Return the phase of a layer that is repeated.

    Parameters
    ----------
    layer
        The layer.
    start
        Second moment of the first preactivations.

    Returns
    -------
    Phase
        As `phase` says.
    """
    names = (layer.activation.name, layer.sigma_w, layer.sigma_b, layer.keep)
    if not math.isfinite(float(layer.length(start))):
        note = f"E phi² is infinite at q = {start:g}: no fixed point is reached from there"
        return Phase(*names, provenance=Provenance.UNKNOWN, notes=(note,))
    length = lengths(layer, start)
    if math.isnan(length.q) or not math.isfinite(float(layer.length(length.representative))):
        note = (
            "the second moment does not settle"
            if length.points
            else "E phi² is infinite far out: no fixed point of q exists"
        )
        return Phase(*names, fixed_points=length.points, provenance=Provenance.UNKNOWN, notes=(note,))
    at = length.representative
    found = correlation(layer, at)
    return Phase(
        *names,
        q=length.q,
        chi_1=float(layer.slope(at)),
        chi_q=float(layer.length_slope(at)),
        c=1.0 - found.s,
        chi_c=found.slope,
        fixed_points=length.points,
        notes=tuple(_notes(layer, length, found, start)),
    )


def _notes(layer: Layer, length: Length, found: Correlation, start: float) -> Iterator[str]:
    yield from _of_length(layer, length, start)
    if math.isnan(found.s):
        yield "every correlation stays as it is: at this second moment the activation is linear"
    if layer.keep < 1.0:
        yield "dropout draws another mask for each input, so that correlations end below one at every sigma_w"
    if jumps(layer.activation):
        yield "the activation jumps: gradients do not see its jumps, so chi_1 is not the slope of the correlation map"
    if layer.activation.numeric:
        yield "the derivative is a central difference: chi_1, chi_q and chi_c have about nine digits"


def _of_length(layer: Layer, length: Length, start: float) -> Iterator[str]:
    if length.every:
        yield f"every q is a fixed point; the numbers are those at the start, q = {start:g}"
        return
    if math.isinf(length.q):
        yield f"q grows without bound from {start:g}: no stable fixed point; the numbers are those of large q"
    if length.q == 0.0:
        yield "q decays to zero; the numbers are the limits there"
    for point in length.points:
        slope = float(layer.length_slope(point)) if point else math.nan
        if slope > 1.0 + CRITICAL:
            yield f"the fixed point q = {point:.6g} is unstable: q moves away from it, up and down"
        elif abs(slope - 1.0) <= CRITICAL:
            yield f"the fixed point q = {point:.6g} is half-stable: q comes back to it from one side at most"
        elif slope < -1.0:
            yield f"the fixed point q = {point:.6g} is unstable: q swings around it"

"""What a pointwise operator is, and the catalogue of them.

An activation is one call: its function, its derivative and the points where it is not smooth.

>>> entry = Pointwise("halved", lambda input: 0.5 * input, {"input": lambda: 0.5})
>>> float(entry.phi(input=3.0)), float(entry.partials["input"](input=3.0, inplace=True))
(1.5, 0.5)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.registry import Catalogue

__all__ = ["HORIZON", "LEFT_OUT", "OPERATORS", "Array", "Pointwise", "activation", "lattice", "pointwise"]

Array = NDArray[np.float64]

HORIZON: Final = 32.0
"""Endless kinks are listed as far as this: beyond it lies exp(-32²/2) = 4e-223 of a standard normal input."""

MOST: Final = 500
"""Endless kinks are listed up to this many on either side of zero, however small their distance."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "dropout": "draws a mask at random, so its output is not a function of its input",
    "rrelu": "draws its negative slopes at random while training",
    "glu": "reads two positions of its input for one of its output",
}
"""Canonical pointwise operators without an entry, and why."""


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the arguments of a ufunc their names: ``input``, and ``other`` for a second one."""

    def unary(input: Any) -> Any:
        return function(input)

    def binary(input: Any, other: Any) -> Any:
        return function(input, other)

    if not isinstance(function, np.ufunc):
        return function
    return unary if function.nin == 1 else binary


def _tolerant(function: Callable[..., Any]) -> Callable[..., Array]:
    """Make a function ignore arguments that it does not know, and return float64.

    Outside a function's domain the answer is NaN, beyond the largest number it is infinite, as in every framework;
    that is an answer and no reason for a warning.
    """
    function = _named(function)
    known = frozenset(inspect.signature(function).parameters)

    @wraps(function)
    def call(**arguments: Any) -> Array:
        with np.errstate(all="ignore"):
            value = function(**{name: value for name, value in arguments.items() if name in known})
        return np.asarray(value, dtype=np.float64)

    return call


def _smooth() -> tuple[float, ...]:
    return ()


@dataclass(frozen=True)
class Pointwise:
    """An operator that computes every element of its output from one element of each of its arguments.

    Every function is called with keyword arguments only. Each argument is a float64 array or a number, and arrays
    broadcast; attributes that a function does not know are ignored.

    Parameters
    ----------
    name
        Canonical name of the operator.
    phi
        The function. Its argument names are those of PyTorch's schema, with ``self`` called ``input``; the arguments
        of a ufunc are ``input`` and ``other``.
    partials
        Partial derivative with respect to each differentiable argument, by argument name; it broadcasts with the
        value of `phi`. At a kink it has the value that PyTorch's backward pass uses.
    kinks
        Given the other arguments: the values of ``input`` at which `phi` or its derivative jumps, has a pole or
        ceases to be defined, ascending. Where there is no end of them, those up to `HORIZON`. If an argument
        is an array, a kink may be an array too, one value for each of its elements; how many kinks there are does
        not depend on the values in an array.
    affine
        Groups of arguments in which `phi` is affine jointly when the others are held, unless it has kinks.

    Examples
    --------
    >>> relu = OPERATORS["relu"]
    >>> relu.phi(input=np.array([-1.0, 2.0])), relu.partials["input"](input=np.array([-1.0, 2.0])), relu.kinks()
    (array([0., 2.]), array([0., 1.]), (0.0,))
    """

    name: str
    phi: Callable[..., Array]
    partials: Mapping[str, Callable[..., Array]]
    kinks: Callable[..., tuple[float, ...]] = _smooth
    affine: tuple[frozenset[str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "phi", _tolerant(self.phi))
        object.__setattr__(self, "partials", {name: _tolerant(each) for name, each in self.partials.items()})
        object.__setattr__(self, "kinks", _tuple_valued(self.kinks))

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Arguments of `phi` in order, with their defaults; `inspect.Parameter.empty` where one is required."""
        return {name: each.default for name, each in inspect.signature(self.phi).parameters.items()}

    @cached_property
    def required(self) -> frozenset[str]:
        """Arguments of `phi` without a default."""
        return frozenset(name for name, default in self.defaults.items() if default is inspect.Parameter.empty)

    def is_affine(self, varying: frozenset[str], attributes: Mapping[str, Any]) -> bool:
        """Say whether `phi` is affine in the varying arguments, given the attributes."""
        return any(varying <= group for group in self.affine) and not self.kinks(**attributes)


def _tuple_valued(kinks: Callable[..., tuple[float, ...]]) -> Callable[..., tuple[float, ...]]:
    """Make a function that lists kinks ignore arguments that it does not know."""
    known = frozenset(inspect.signature(kinks).parameters)

    @wraps(kinks)
    def call(**arguments: Any) -> tuple[float, ...]:
        return kinks(**{name: value for name, value in arguments.items() if name in known})

    return call


OPERATORS: Final[Catalogue[Pointwise]] = Catalogue("operator", package="justright.ops")
"""The pointwise operators by canonical name."""


def pointwise(
    name: str,
    phi: Callable[..., Any],
    *,
    kinks: Callable[..., tuple[float, ...]] = _smooth,
    affine: Sequence[str] = (),
    **partials: Callable[..., Any],
) -> Pointwise:
    """Register an operator of any number of arguments.

    Parameters
    ----------
    name, phi, kinks
        As in `Pointwise`.
    affine
        Groups of arguments, each a string such as ``"input other"``.
    **partials
        Partial derivatives by argument name.

    Returns
    -------
    Pointwise
        The entry.
    """
    groups = tuple(frozenset(group.split()) for group in affine)
    return OPERATORS.register(name, Pointwise(name, phi, partials, kinks, groups))


def activation(
    name: str,
    phi: Callable[..., Any],
    dphi: Callable[..., Any],
    kinks: Sequence[float] | Callable[..., tuple[float, ...]] = (),
) -> Pointwise:
    """Register a function of one argument.

    Parameters
    ----------
    name
        Canonical name.
    phi, dphi
        The function and its derivative, ufuncs or not; the first argument is the input under any name, the others
        are attributes under their own names, with PyTorch's defaults.
    kinks
        Where it is not smooth, or a function of the attributes that says so.

    Returns
    -------
    Pointwise
        The entry.

    Examples
    --------
    The whole file of a new activation, ``ops/squareplus.py`` (Barron 2021, arXiv:2112.11687), is::

        from __future__ import annotations

        import numpy as np

        from justright.ops.base import activation

        activation(
            "squareplus",
            lambda x, b=4.0: (x + np.sqrt(x * x + b)) / 2.0,
            lambda x, b=4.0: (1.0 + x / np.sqrt(x * x + b)) / 2.0,
        )
    """
    points = kinks if callable(kinks) else _always(tuple(kinks))
    return pointwise(name, _input_first(phi), input=_input_first(dphi), kinks=points)


def lattice(spacing: Any, offset: float = 0.0) -> tuple[float, ...]:
    """List the points ``offset + k * spacing`` up to `HORIZON`, or `MOST` on either side; none for an array.

    Examples
    --------
    >>> lattice(spacing=16.0)
    (-32.0, -16.0, 0.0, 16.0, 32.0)
    """
    if np.ndim(spacing) or not np.isfinite(spacing) or spacing == 0:
        return ()
    step = abs(float(spacing))
    last = int(min(HORIZON // step, MOST))
    points = (offset + step * count for count in range(-last - 1, last + 2))
    return tuple(point for point in points if abs(point) <= min(HORIZON, MOST * step))


def _always(points: tuple[float, ...]) -> Callable[..., tuple[float, ...]]:
    return lambda: points


def _input_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the first argument of a function the name ``input``."""
    function = _named(function)
    signature = inspect.signature(function)
    first, *others = signature.parameters.values()

    def renamed(input: Any, **attributes: Any) -> Any:
        return function(input, **attributes)

    call: Any = renamed
    call.__signature__ = signature.replace(parameters=[first.replace(name="input"), *others])
    return renamed

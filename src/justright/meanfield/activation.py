"""What the user calls an activation, made into a function, its derivative and its kinks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.closed import CLOSED, Closed, leaky
from justright.errors import InputError
from justright.ops.base import OPERATORS

__all__ = ["Activation", "activation_of"]

BESIDE: Final = 1e-9
"""Distance from a kink at which a pole shows."""

POLE: Final = 1e6
"""A larger value there is a pole of order above two thirds, whose square cannot be integrated: 1/x has 1e9 there."""

Array = NDArray[np.float64]
Function = Callable[[Array], Any]

ALIASES: Final = {"swish": "silu", "hard_tanh": "hardtanh", "logsigmoid": "log_sigmoid"}
"""Other names of activations in the literature and in frameworks."""

LOOKED_AT: Final = np.concatenate([-np.geomspace(30.0, 1e-3, 400), [0.0], np.geomspace(1e-3, 30.0, 400)])
"""Inputs at which a function must be a number: thirty standard deviations of an input of unit variance."""


@dataclass(frozen=True)
class Activation:
    """A function of one variable with what the theory needs of it.

    Parameters
    ----------
    name
        What messages call it.
    f, slope
        The function and its derivative, elementwise on float64 arrays.
    kinks
        Where it is not smooth.
    closed
        Closed forms of its expectations, if they are known.
    numeric
        Whether the derivative is a difference.
    """

    name: str
    f: Function
    slope: Function
    kinks: tuple[float, ...] = ()
    closed: Closed | None = None
    numeric: bool = field(default=False)

    @property
    def smooth(self) -> bool:
        """Whether no kink is known."""
        return not self.kinks


def activation_of(
    activation: str | Callable[..., Any],
    *,
    derivative: Function | None = None,
    kinks: Sequence[float] = (),
    **attributes: Any,  # noqa: ANN401  an attribute is a number, a string or a flag, as its operator says
) -> Activation:
    """Return an activation by its name, or make one of a function.

    Parameters
    ----------
    activation
        Name in the catalogue of operators, a ufunc, or any function of an array.
    derivative
        Its derivative; for a function that is not in the catalogue it is a central difference otherwise.
    kinks
        Where the function is not smooth, beside those that the catalogue knows.
    **attributes
        Of the operator, such as ``negative_slope=0.1``; given to a function as keyword arguments.

    Returns
    -------
    Activation
        Checked to be a number on the part of the line that matters.

    Raises
    ------
    InputError
        If it is no function of one number, or not a number on part of the line.
    CatalogueError
        If no operator has the name; the message suggests near ones.

    Examples
    --------
    >>> activation_of("leaky_relu", negative_slope=0.1).kinks
    (0.0,)
    """
    name = getattr(activation, "__name__", "") if isinstance(activation, np.ufunc) else activation
    if isinstance(activation, Activation):
        return activation
    if isinstance(name, str) and (not callable(activation) or name in OPERATORS) and derivative is None:
        made = _named(ALIASES.get(name, name), tuple(kinks), attributes)
    elif callable(activation):
        made = _made(activation, derivative, tuple(kinks), attributes)
    else:
        raise InputError(
            f"{activation!r}, a {type(activation).__name__}", where="activation",
            expected="the name of an activation, or a function of an array", try_='justright.phase("tanh")',
        )  # fmt: skip
    _refuse_holes(made)
    _refuse_poles(made)
    return made


def _named(name: str, kinks: tuple[float, ...], attributes: dict[str, Any]) -> Activation:
    entry = OPERATORS[name]
    missing = sorted(entry.required - attributes.keys() - {"input"})
    unknown = sorted(attributes.keys() - entry.defaults.keys())
    if missing or unknown:
        known = ", ".join(sorted(entry.defaults.keys() - {"input"})) or "none"
        raise InputError(
            f"{', '.join(unknown)}: unknown" if unknown else f"no value of {', '.join(missing)}",
            where=f"activation {name!r}", expected=f"a function of one number; its attributes are: {known}",
            try_=f'justright.phase("{name}", {missing[0]}=...)' if missing else f'justright.phase("{name}")',
        )  # fmt: skip
    label = ", ".join([name, *(f"{key}={value}" for key, value in attributes.items())])
    return Activation(
        label,
        lambda u: entry.phi(input=u, **attributes),
        lambda u: entry.partials["input"](input=u, **attributes),
        tuple(sorted({*entry.kinks(**attributes), *kinks})),
        _closed(name, attributes),
    )


def _closed(name: str, attributes: dict[str, Any]) -> Closed | None:
    if name == "leaky_relu" and attributes:
        return leaky(**attributes)
    return None if attributes else CLOSED.get(name)


def _made(
    function: Callable[..., Any], derivative: Function | None, kinks: tuple[float, ...], attributes: dict[str, Any]
) -> Activation:
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    f = functools.partial(function, **attributes) if attributes else function

    def tried(u: Array) -> Array:
        return np.broadcast_to(np.asarray(f(u), dtype=np.float64), np.shape(u))

    try:
        with np.errstate(all="ignore"):
            tried(LOOKED_AT.copy())
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{type(error).__name__}: {error}", where=f"activation {name}",
            expected="a function that takes a float64 array and returns one of its shape",
            try_="numpy.vectorize(f) for a function of one number",
        ) from error  # fmt: skip
    slope = derivative or _difference(tried)
    return Activation(name, tried, slope, tuple(sorted(kinks)), numeric=derivative is None)


def _difference(f: Function) -> Function:
    """Return a central difference, whose step balances rounding against the third derivative."""
    relative = np.finfo(np.float64).eps ** (1.0 / 3.0)

    def slope(u: Array) -> Array:
        step = relative * np.maximum(1.0, np.abs(u))
        above, below = u + step, u - step
        rise: Array = (f(above) - f(below)) / (above - below)
        return rise

    return slope


def _refuse_holes(activation: Activation) -> None:
    """Refuse a function that is not a number on part of the line, and say on which."""
    with np.errstate(all="ignore"):
        values = np.asarray(activation.f(LOOKED_AT), dtype=np.float64)
    lost = np.isnan(values)
    if not lost.any():
        return
    ends = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(int)))
    parts = [_interval(first, last - 1) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    raise InputError(
        f"not a number for inputs {', '.join(parts)}", where=f"activation {activation.name!r}",
        expected="a number for every input: preactivations are Gaussian, and reach the whole line",
        try_="a function that is defined there too, such as one of abs(x)",
    )  # fmt: skip


def _refuse_poles(activation: Activation) -> None:
    """Refuse a function with a pole, under which the expectation of its square is infinite."""
    kinks = np.array([kink for kink in activation.kinks if abs(kink) < LOOKED_AT[-1]])
    if not kinks.size:
        return
    with np.errstate(all="ignore"):
        sides = np.abs([activation.f(kinks + side) for side in (-BESIDE, BESIDE)])
    tall = np.max(sides, axis=0) > POLE
    if tall.any():
        raise InputError(
            f"a pole at {kinks[tall][0]:.6g}", where=f"activation {activation.name!r}",
            expected="a function whose square has an expectation under a Gaussian",
            try_="a function that stays finite",
        )  # fmt: skip


def _interval(first: int, last: int) -> str:
    low, high = LOOKED_AT[first], LOOKED_AT[last]
    if first == last:
        return f"at {low:.3g}"
    if first == 0:
        return f"up to {high:.3g}"
    return f"from {low:.3g} on" if last == LOOKED_AT.size - 1 else f"from {low:.3g} to {high:.3g}"

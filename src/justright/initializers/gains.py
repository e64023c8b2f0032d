"""The factor on a standard deviation that makes up for an activation, by integration over a Gaussian input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from justright.initializers.target import SchemeError
from justright.meanfield.activation import activation_of
from justright.meanfield.maps import mean_slope, mean_square

__all__ = ["DIRECTIONS", "gain"]

DIRECTIONS: Final = ("forward", "backward", "both")
"""What a gain keeps: the second moment of the signal, that of the gradient, or the geometric mean of the two."""

LINEAR: Final = frozenset({"linear", "identity"})


def gain(activation: str | Callable[..., Any] | None, direction: str = "forward", **attributes: Any) -> float:  # noqa: ANN401  of its operator
    """Return the gain of an activation for a preactivation of unit variance.

    Parameters
    ----------
    activation
        Its name, or any function of an array; ``"linear"`` or ``None`` for none.
    direction
        ``"forward"``: ``1 / sqrt(E phi(z)²)``. ``"backward"``: ``1 / sqrt(E phi'(z)²)``. ``"both"``: the root of their
        product.
    **attributes
        Of the activation, such as ``negative_slope=0.2``.

    Returns
    -------
    float
        Exact to about 1e-14 [He2015], [Poole2016].

    Raises
    ------
    SchemeError
        If the direction is unknown, or the activation lets nothing pass.

    Examples
    --------
    >>> round(gain("relu") ** 2, 12), round(gain("tanh"), 6), round(gain("tanh", "backward"), 6)
    (2.0, 1.592537, 1.467414)
    """
    if direction not in DIRECTIONS:
        raise SchemeError(repr(direction), where="direction of a gain", expected=", ".join(DIRECTIONS), try_="forward")
    if activation is None or activation in LINEAR:
        return 1.0
    phi = activation_of(activation, **attributes)
    forward, backward = float(mean_square(phi, 1.0)), float(mean_slope(phi, 1.0))
    second = {"forward": forward, "backward": backward, "both": math.sqrt(forward * backward)}[direction]
    if not 0.0 < second < math.inf:
        raise SchemeError(
            f"a {direction} second moment of {second}", where=f"gain of {phi.name}",
            expected="an activation that lets a finite part of a Gaussian input pass", try_="gain=1",
        )  # fmt: skip
    return 1.0 / math.sqrt(second)

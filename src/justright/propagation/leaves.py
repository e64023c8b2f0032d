"""Signals of what no operator makes: parameters by their initializer or values, buffers, the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from scipy.special import ndtr

from justright.core.graph import NEVER_FILLED, Graph, Initializer, Role
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.profile import Provenance
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.ops.rule import given

__all__ = ["by_initializer", "by_values", "drawn_sites", "leaf_signals"]

LARGEST: Final = 2**16  # sqrt(2 / 2^16) is 0.6 %
"""Elements beyond which a regular part of the values stands for all: its second moment is right to 0.6 %."""

TABLE: Final = 2**18
"""Elements beyond which values are no table of places: sinusoids of 512 positions in 512 units are as many."""

ORDERED: Final = 0.5
"""Share of the variance between places above which values are a table: of drawn ones it is one over the rows."""


def leaf_signals(graph: Graph, arrays: Iterable[tuple[str, Any]], *, assumed: bool = True) -> dict[int, Signal]:
    """Return the signals of a graph's leaves.

    Parameters
    ----------
    graph
        The graph; the initializers of its parameters are used where they were recorded.
    arrays
        Values of leaves by the name of their sites.
    assumed
        Whether a floating-point input without values is taken as standard normal.

    Returns
    -------
    dict
        By site; leaves of which nothing is known are not in it.
    """
    found = {
        parameter.site: drawn
        for parameter in graph.parameters
        if parameter.initializer is not None
        and (drawn := by_initializer(parameter.initializer, graph.sites[parameter.site].shape)) is not None
    }
    for name, values in arrays:
        site = graph.by_name.get(name)
        if site is not None and site.floating and site.size and site.index not in found:
            found[site.index] = by_values(values)
    for site in graph.sites:
        if site.node is None and site.floating and site.size and site.index not in found:
            if site.index in graph.known:
                found[site.index] = by_values(graph.known[site.index])
            elif assumed and site.role is Role.INPUT:
                found[site.index] = signal(Source(Moments.independent(site.shape, 0.0, 1.0), True, Provenance.UNKNOWN))
    return found


def by_values(values: Any) -> Signal:  # noqa: ANN401
    """Return the signal of given values; of a large tensor a regular part is looked at."""
    values = np.asarray(values)
    if _alike(values):
        number = float(values.flat[0])
        return signal(Source(Moments.constant(values.shape, number), values.ndim > 1, Provenance.EXACT))
    if _laid_out(values):
        return given(values)
    part = values
    while part.size > LARGEST:
        longest = int(np.argmax(part.shape))
        part = part[(slice(None),) * longest + (slice(None, None, 2),)]
    moments = observed(part)
    if part.shape != values.shape:
        moments = _of_shape(moments, values.shape)
    return signal(Source(moments, True, Provenance.EXACT))  # of these very values


def _alike(values: Any) -> bool:  # noqa: ANN401
    """Say whether values are one finite number."""
    first = values.flat[0]
    return bool(first == values.flat[-1] and math.isfinite(first) and np.all(values == first))


def _laid_out(values: Any) -> bool:  # noqa: ANN401
    """Say whether values follow from their place along a dimension, as a table does, and were not drawn."""
    if values.ndim <= 1 or values.size > TABLE:
        return False
    total = float(np.var(values))
    others = (tuple(each for each in range(values.ndim) if each != dim) for dim in range(values.ndim))
    return total > 0 and max(float(np.var(values.mean(axis=dims))) for dims in others) > total * ORDERED


def drawn_sites(graph: Graph) -> frozenset[int]:
    """Return the sites of parameters that an initializer of a known scheme draws."""
    return frozenset(
        parameter.site
        for parameter in graph.parameters
        if parameter.initializer is not None
        and by_initializer(parameter.initializer, graph.sites[parameter.site].shape) is not None
    )


def _of_shape(moments: Moments, shape: tuple[int, ...]) -> Moments:
    """Give exchangeable axes the lengths of another shape."""
    full = Moments.constant(shape, 0.0)
    for position, axis in enumerate(full.axes):  # a length that was cut to one
        if position >= moments.mean.ndim:
            moments = moments.spread(len(moments.dims) - 1, (axis,))
    return full.with_values(moments.mean.reshape(full.mean.shape), moments.pairs.reshape(full.pairs.shape))


def by_initializer(initializer: Initializer, shape: tuple[int, ...]) -> Signal | None:
    """Return the signal that an initializer draws; ``None`` for a scheme that is not known.

    The schemes are those of `torch.nn.init` and the fills of a tensor, with the fans as PyTorch counts them.
    """
    scheme = SCHEMES.get(initializer.name)
    if scheme is None:
        return None
    mean, variance = scheme(initializer.arguments, shape)
    if not (math.isfinite(mean) and math.isfinite(variance)):
        return None
    # A constant is a Gaussian of variance zero, and whatever else is drawn is summed over many before it matters.
    return signal(Source(Moments.independent(shape, mean, mean * mean + variance), True, Provenance.EXACT))


Scheme = Callable[[Mapping[str, Any], tuple[int, ...]], tuple[float, float]]


def _number(given: Mapping[str, Any], *names: str, default: float = math.nan) -> float:
    value = next((given[name] for name in names if isinstance(given.get(name), int | float)), default)
    return float(value)


def _constant(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    return _number(given, "val", "value"), 0.0


def _normal(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    return _number(given, "mean", default=0.0), _number(given, "std", default=1.0) ** 2


def _uniform(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    low, high = _number(given, "a", "from", default=0.0), _number(given, "b", "to", default=1.0)
    return (low + high) / 2.0, (high - low) ** 2 / 12.0  # variance of a uniform distribution


def _truncated(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    mean, std = _normal(given, shape)
    std = math.sqrt(std)
    low, high = ((_number(given, name, default=bound) - mean) / std for name, bound in (("a", -2.0), ("b", 2.0)))
    share = float(ndtr(high) - ndtr(low)) if low + high < 0 else float(ndtr(-low) - ndtr(-high))  # of the thinner tails
    if not share > 0:
        return math.nan, math.nan
    shift = (_density(low) - _density(high)) / share  # Johnson, Kotz and Balakrishnan 1994, eq. 13.134
    slope = (_reach(low) - _reach(high)) / share  # the same, eq. 13.135
    return mean + std * shift, std**2 * (1.0 + slope - shift**2)


def _density(z: float) -> float:
    return math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)


def _reach(z: float) -> float:
    """Return z times the density, which is zero at infinity."""
    return z * _density(z) if math.isfinite(z) else 0.0


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Fan in and fan out as `torch.nn.init` counts them."""
    field = math.prod(shape[2:])
    return (shape[1] * field, shape[0] * field) if len(shape) > 1 else (0, 0)


def _xavier(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    total = sum(_fans(shape))
    return 0.0, _number(given, "gain", default=1.0) ** 2 * 2.0 / total if total else math.nan  # Glorot 2010, eq. 12


def _kaiming(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    fan = _fans(shape)[given.get("mode", "fan_in") == "fan_out"]
    gain = _gain(str(given.get("nonlinearity", "leaky_relu")), _number(given, "a", default=0.0))
    return 0.0, gain**2 / fan if fan else math.nan  # He 2015, eq. 10


def _gain(nonlinearity: str, slope: float) -> float:
    """Gain as `torch.nn.init.calculate_gain` gives it."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + slope**2))
    return {"relu": math.sqrt(2.0), "tanh": 5.0 / 3.0, "selu": 0.75}.get(nonlinearity, 1.0)


def _lecun(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    fan = _fans(shape)[0]
    return 0.0, 1.0 / fan if fan else math.nan  # LeCun 1998


def _orthogonal(given: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[float, float]:
    """Rows and columns of unit length, as many as fit: an element has variance one over the longer side."""
    longer = max(shape[0], math.prod(shape[1:])) if len(shape) > 1 else 0
    return 0.0, _number(given, "gain", default=1.0) ** 2 / longer if longer else math.nan


SCHEMES: Final[Mapping[str, Scheme]] = {
    "zeros": lambda given, shape: (0.0, 0.0),
    NEVER_FILLED: lambda given, shape: (math.nan, math.nan),
    "ones": lambda given, shape: (1.0, 0.0),
    "constant": _constant,
    "normal": _normal,
    "uniform": _uniform,
    "trunc_normal": _truncated,
    **dict.fromkeys(("xavier_normal", "xavier_uniform"), _xavier),
    **dict.fromkeys(("kaiming_normal", "kaiming_uniform"), _kaiming),
    "lecun_normal": _lecun,
    "orthogonal": _orthogonal,
}
"""Mean and variance of an element by the scheme's name."""

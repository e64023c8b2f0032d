"""Convolutions: a product over channels, and a sum over the links between positions and taps.

The covariance between the positions of one input, and that between inputs, is carried along exactly for weights of any
mean and covariance; zero padding, stride and dilation are counted from the sizes. Independent weights on a ring are the
case of Xiao et al. 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from justright.core.axes import Array
from justright.core.contraction import contract
from justright.core.forms import inverse_mean, quotient_mean
from justright.core.links import Links, linked, windows
from justright.core.moments import Moments
from justright.core.normalized import centred, uneven
from justright.core.signals import Signal, plus, signal, viewed
from justright.core.sources import Source
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

INPUT, TAP, OUTPUT = "hwd", "klm", "pqr"
"""Letters of the spatial dimensions of input, kernel and output."""


FELT: Final = 0.01
"""Share of the taps that fall on padding from which on the border has strata of its own: 1 % in the second moment."""


RATIO: Final = 1e-6
"""Excess of E[1 / s²] E[s²] over one below which units are taken to be alike: two million weights."""

FLAT: Final = 2
"""Spatial dimensions up to which borders have strata: 12 cases for each, of both factors, are too many for three."""


@dataclass(frozen=True)
class Form:
    """What the sizes and attributes of a call say: groups, and the links along every spatial dimension."""

    groups: int
    transposed: bool
    links: tuple[Links, ...]

    @property
    def rank(self) -> int:
        """Number of spatial dimensions."""
        return len(self.links)

    @property
    def weight(self) -> str:
        """Letters of the weight's dimensions, channels split in groups."""
        return ("gio" if self.transposed else "goi") + TAP[: self.rank]

    def ends(self) -> tuple[str, str]:
        """Roles in the links of the input and the output of this operator."""
        return ("o", "i") if self.transposed else ("i", "o")


def _form(call: Call) -> Form:
    x, w, y = call.shape("input"), call.shape("weight"), call.outputs[0]
    transposed = call.node.op == "transposed_convolution"
    near, far = (y, x) if transposed else (x, y)
    rank = len(w) - 2
    stride, padding, dilation = (_each(call, name, rank) for name in ("stride", "padding", "dilation"))
    links = tuple(windows(near[2 + d], w[2 + d], stride[d], padding[d], dilation[d], far[2 + d]) for d in range(rank))
    return Form(int(call.attributes.get("groups", 1)), transposed, links)


def _each(call: Call, name: str, rank: int) -> list[int]:
    values = call.attributes.get(name, 0 if name == "padding" else 1)
    values = [values] if isinstance(values, int) else list(values)
    if any(not isinstance(value, int) for value in values):
        raise Unpredictable(f"its {name} is no number")
    return values * rank if len(values) == 1 else values


def _grouped(x: Moments, groups: int) -> Moments:
    """Split the channels of an activation into groups."""
    n, c, *space = x.shape
    return x.reshaped((n, groups, c // groups, *space))


def _weight(call: Call, form: Form) -> Moments:
    first, second, *kernel = call.shape("weight")
    return call.needed("weight").moments.reshaped((form.groups, first // form.groups, second, *kernel))


def _summed(product: Moments, form: Form, roles: tuple[str, str], out: str, like: Moments | None) -> Moments:
    """Sum a product over the links of every spatial dimension; each has two dimensions in it, `rank` apart."""
    begin = len(product.dims) - 2 * form.rank
    for d, links in enumerate(form.links):
        axes = product.dims[begin + d] if like is None else like.dims[len(like.dims) - form.rank + d]
        strata = axes[0].strata if like is not None and len(axes) == 1 else None
        if like is None and form.rank <= FLAT and sum(axis.groups > 1 for axis in axes) == 0:
            strata = _borders(links, out)
        dims = {roles[0]: begin + d, roles[1]: begin + form.rank}  # the second kind moves up as dimensions go
        product = linked(product, links, dims, out, strata)
    return product


def _borders(links: Links, out: str) -> tuple[int, ...] | None:
    """Strata of a result whose first and last positions see fewer taps than the others, if that is felt."""
    count = np.bincount(links.places[out], minlength=links.sizes[out])
    inner = np.flatnonzero(count == count.max())
    if count.mean() > (1.0 - FELT) * count.max():
        return None
    sizes = (int(inner[0]), int(inner[-1] - inner[0] + 1), int(len(count) - inner[-1] - 1))
    return tuple(size for size in sizes if size)


def _forward(call: Call) -> Signal:
    form = _form(call)
    x, w = call.needed("input"), call.needed("weight")
    left, right = "ngi" + INPUT[: form.rank], form.weight
    space = INPUT[: form.rank] + TAP[: form.rank]
    product = contract(_grouped(x.moments, form.groups), _weight(call, form), f"{left},{right}->ngo{space}")
    here, there = form.ends()
    found = _summed(product, form, (here, "t"), there, None).reshaped(call.outputs[0])
    fan = _fan(call) if call.node.op == "convolution" else math.inf
    result = signal(Source(found, True, max(x.provenance, w.provenance), fan=fan))
    bias = call.signal("bias")
    if bias is None:
        return result
    shape = (call.shape("bias")[0], *(1,) * form.rank)
    return plus(result, viewed(bias, ("view", shape), lambda each: each.reshaped(shape)))


def _patch(x: Moments, channels: int, taps: int) -> tuple[Array, Array]:
    """Return the eigenvalues of the covariance of what a unit sums over, and how often each occurs.

    Positions of one example are taken as equally correlated: one direction is what they share, the rest differs.
    """
    space = range(2, len(x.dims))
    count, same = math.prod(x.shape[dim] for dim in space), x.second_moment
    other = (count * x.averaged(space).second_moment - same) / max(count - 1, 1)
    values = np.maximum([same + (taps - 1) * other, same - other], 0.0)
    return values, np.array([channels, channels * (taps - 1.0)])


def _summands(call: Call) -> tuple[int, int]:
    """Return channels and taps that a unit sums over."""
    _, channels, *kernel = call.shape("weight")
    return channels, math.prod(kernel)


def _varied(call: Call) -> Moments:
    """Return the input less the mean of each channel, as a batch normalization of the output sees it."""
    x = call.needed("input").moments
    return centred(x, [0, *range(2, len(x.dims))])


def _fan(call: Call) -> float:
    """Return how many weights the variance of a unit is made of: as many as have the same E[1 / s²] E[s²]."""
    ratio = inverse_mean(*_patch(_varied(call), *_summands(call)))
    return 2.0 * ratio / (ratio - 1.0) if ratio > 1.0 + RATIO else math.inf


def _evened(call: Call, gradient: Moments) -> float:
    """Return what is left of a gradient of units divided by the size of their weights, when it meets these weights."""
    below, counts = _patch(_varied(call), *_summands(call))
    above, _ = _patch(gradient, *_summands(call))
    return math.sqrt(quotient_mean(above, below, counts)) / uneven(call.divided)


def _backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    form = _form(call)
    found = {"input": _to_input(call, form, gradient), "weight": _to_weight(call, form, gradient)}
    if call.place("bias") is not None:
        found["bias"] = gradient.sum([0, *range(2, len(gradient.dims))])
    return found


def _to_input(call: Call, form: Form, gradient: Moments) -> Moments:
    x = call.needed("input").moments
    left, right = "ngo" + OUTPUT[: form.rank], form.weight
    space = OUTPUT[: form.rank] + TAP[: form.rank]
    product = contract(_grouped(gradient, form.groups), _weight(call, form), f"{left},{right}->ngi{space}")
    here, there = form.ends()
    found = _summed(product, form, (there, "t"), here, x).reshaped(call.shape("input"))
    return found.scaled(_evened(call, gradient)) if math.isfinite(call.divided) else found


def _to_weight(call: Call, form: Form, gradient: Moments) -> Moments:
    x = call.needed("input").moments
    left, right = "ngo" + OUTPUT[: form.rank], "ngi" + INPUT[: form.rank]
    space = OUTPUT[: form.rank] + INPUT[: form.rank]
    product = contract(
        _grouped(gradient, form.groups), _grouped(x, form.groups), f"{left},{right}->{form.weight[:3]}{space}"
    )
    here, there = form.ends()
    return _summed(product, form, (there, here), "t", None).reshaped(call.shape("weight"))


rule("convolution transposed_convolution", _forward, _backward)

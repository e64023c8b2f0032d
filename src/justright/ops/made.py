"""What moment rules share: a result's signal from its moments, the gradient that arrived, sizes of attributes."""

from __future__ import annotations

from collections.abc import Sequence

from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.ops.rule import Call, Unpredictable

__all__ = ["arrived", "chosen_dims", "gaussian", "made", "summed_to"]


def gaussian(x: Signal) -> bool:
    """Say whether a signal's elements are taken as Gaussian: it is an affine function of a Gaussian source."""
    return x.line is not None and x.line[1].gaussian


def made(moments: Moments, *inputs: Signal, normal: bool | None = None) -> Signal:
    """Return moments that follow from those of other signals as a signal of its own.

    Parameters
    ----------
    moments
        Its moments.
    *inputs
        What it was made from; its provenance is the weakest of theirs.
    normal
        Whether it is Gaussian; ``None`` if it is as soon as all inputs are.
    """
    normal = all(gaussian(each) for each in inputs) if normal is None else normal
    origin = max((each.provenance for each in inputs), default=Provenance.EXACT)
    return signal(Source(moments, normal, origin))


def arrived(gradients: Sequence[Moments | None]) -> Moments:
    """Return the gradient of the first output.

    Raises
    ------
    Unpredictable
        If none arrived.
    """
    if not gradients or gradients[0] is None:
        raise Unpredictable("no gradient arrived at its first output")
    return gradients[0]


def chosen_dims(call: Call, rank: int, name: str = "dim") -> list[int]:
    """Return the dimensions that an attribute names, counted from the front; all of them if it names none."""
    given = call.attributes.get(name)
    if given is None or (isinstance(given, Sequence) and not given):
        return list(range(rank))
    each = given if isinstance(given, Sequence) else (given,)
    return [int(dim) % max(rank, 1) for dim in each] if rank else []


def summed_to(gradient: Moments, shape: Sequence[int]) -> Moments:
    """Sum a gradient over the dimensions along which a tensor of this shape was repeated."""
    extra = len(gradient.dims) - len(shape)
    repeated = [extra + dim for dim, length in enumerate(shape) if length == 1 and gradient.shape[extra + dim] != 1]
    return gradient.sum(repeated, keep=True).sum(range(extra))

"""Averages over draws of one call: its outputs, or the gradients at its operands."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from justright.core.axes import Array, Axis
from justright.core.draws import draw, observed_as
from justright.core.laid import Dims
from justright.core.moments import Moments
from justright.ops.rule import Call, Unpredictable
from justright.propagation.freedom import Places
from justright.propagation.thinning import Thinned, thinned, thinned_axes

__all__ = ["MOST_BATCHES", "Arrays", "Plan", "Tally", "drawn_slopes", "planned", "pulled", "seen"]

Arrays = Sequence[NDArray[Any] | None]

LARGE: Final = 2**20
"""Elements of a tensor beyond which dimensions are shortened: a second moment over them is right to 0.2 %."""

LARGEST: Final = 2**24
"""Elements of a tensor beyond which an operator is not run: 128 MB each."""

FEWEST_BATCHES: Final = 4
"""Draws that are made in any case, so that there is an error to judge."""

MOST_BATCHES: Final = 256
"""Draws at which one stops: the error of a number that varies as much as it is large is then 6 %."""

ENOUGH: Final = 0.01
"""Relative standard error of a second moment at which drawing ends: half a percent of the root."""

ELEMENTS: Final = 2**22
"""Elements drawn in all at which drawing ends though the error is larger: about a second."""


LIKE_A_GAUSSIAN: Final = 0.1
"""Skewness and excess kurtosis below this: tails and medians are then those of a Gaussian to a few percent."""

RARE: Final = 1e-4
"""Shares below this are told by their power of ten."""


class Label(NamedTuple):
    """Dimensions that are shortened together: of operands, of the outputs that follow, and what is kept of them."""

    operands: Places
    outputs: Places
    cut: Thinned


@dataclass(frozen=True)
class Plan:
    """How a call is run: which elements are kept, and on which axes results are looked at.

    Parameters
    ----------
    labels
        Dimensions that are shortened together, of operands and of outputs, with what is kept of them.
    operands, outputs
        Axes of every operand and every output, in full.
    """

    labels: tuple[Label, ...]
    operands: tuple[Dims, ...]
    outputs: tuple[Dims, ...]

    def cuts(self, at: int, side: int) -> dict[int, Thinned]:
        """Return what is kept of an operand (side 0) or output (side 1), by dimension counted from the last one."""
        dims = (self.operands, self.outputs)[side][at]
        return {
            dim - len(dims): label.cut
            for label in self.labels
            for each, dim in (label.operands, label.outputs)[side]
            if each == at
        }

    def small(self, at: int, side: int) -> Dims:
        """Return the axes of what is kept of an operand or output."""
        dims, cuts = (self.operands, self.outputs)[side][at], self.cuts(at, side)
        return tuple(
            axes if dim - len(dims) not in cuts else cuts[dim - len(dims)].small for dim, axes in enumerate(dims)
        )


def planned(call: Call, free: Callable[[], list[tuple[Places, Places]]]) -> Plan:
    """Decide which elements of a call's tensors are kept, and guess the axes of its outputs.

    Parameters
    ----------
    call
        The call.
    free
        Finds the dimensions that may be shortened, and those of the outputs that follow; asked only where needed.

    Raises
    ------
    Unpredictable
        If a tensor stays too large.
    """
    operands = [_axes(shape, each) for shape, each in zip(call.shapes, call.signals, strict=True)]
    labels = tuple(_shortened(call, operands, free))
    plan = Plan(labels, tuple(operands), ())
    operands = [_uncut(plan, at) for at in range(len(operands))]
    outputs = tuple(_output_axes(at, shape, operands, labels) for at, shape in enumerate(call.outputs))
    return Plan(labels, tuple(operands), outputs)


def _shortened(call: Call, operands: Sequence[Dims], free: Callable[[], list[tuple[Places, Places]]]) -> list[Label]:
    """Shorten the longest free dimensions until no tensor is large."""
    labels: list[Label] = []
    if _largest(call, labels) <= LARGE:
        return labels
    for places, following in sorted(free(), key=lambda each: -_length(each[0], call)):
        largest = _largest(call, labels)
        if largest > LARGE:
            at, dim = places[0]
            cut = thinned_axes(operands[at][dim], max(_length(places, call) * LARGE // largest, 1))
            labels.append(Label(places, following, cut))
    if (largest := _largest(call, labels)) > LARGEST:
        raise Unpredictable(f"a tensor of {largest:.1e} elements is too large to sample, and cannot be shortened")
    return labels


def _largest(call: Call, labels: Sequence[Label]) -> int:
    """Return how many elements of the largest tensor of a call are kept."""
    shapes = [*call.shapes, *call.outputs]
    return max((_kept(at, shape, labels, len(call.shapes)) for at, shape in enumerate(shapes)), default=0)


def _axes(shape: tuple[int, ...], known: Any) -> Dims:  # noqa: ANN401
    """Return the axes of an operand: those of its moments, one a dimension where there are none."""
    if known is not None and known.moments.shape == shape:
        return tuple(known.moments.dims)
    return tuple((Axis((int(length),)),) if length != 1 else () for length in shape)


def _length(places: Places, call: Call) -> int:
    at, dim = places[0]
    return call.shapes[at][dim]


def _kept(at: int, shape: tuple[int, ...], labels: Sequence[Label], operands: int) -> int:
    """Return how many elements of a tensor are kept; outputs are counted after the operands."""
    size = math.prod(shape)
    for places, following, cut in labels:
        mine = places if at < operands else following
        for each, dim in mine:
            if each == (at if at < operands else at - operands):
                size = size // shape[dim] * cut.index.size
    return size


def _uncut(plan: Plan, at: int) -> Dims:
    """Return an operand's axes, those of the label along dimensions that are shortened."""
    dims, cuts = plan.operands[at], plan.cuts(at, 0)
    return tuple(axes if dim - len(dims) not in cuts else cuts[dim - len(dims)].full for dim, axes in enumerate(dims))


def _output_axes(at: int, shape: tuple[int, ...], operands: Sequence[Dims], labels: Sequence[Label]) -> Dims:
    """Guess the axes of an output: those of an operand's dimension of the same length, at the same position first."""
    given = {dim: cut.full for _, following, cut in labels for each, dim in following if each == at}
    return tuple(given.get(dim) or _like(shape, dim, operands) for dim in range(len(shape)))


def _like(shape: tuple[int, ...], dim: int, operands: Sequence[Dims]) -> tuple[Axis, ...]:
    if shape[dim] == 1:
        return ()
    same = [dims[dim] for dims in operands if len(dims) == len(shape)]
    for axes in [*same, *(axes for dims in operands for axes in dims)]:
        if math.prod(axis.size for axis in axes) == shape[dim]:
            return axes
    return (Axis((int(shape[dim]),)),)


@dataclass
class Tally:
    """Running averages of the moments of one tensor over draws."""

    full: Dims
    mean: Array | float = 0.0
    pairs: Array | float = 0.0
    seconds: list[float] = field(default_factory=list)
    powers: list[tuple[float, float, float, float]] = field(default_factory=list)

    def add(self, moments: Moments, powers: tuple[float, float, float, float] | None = None) -> None:
        """Add the moments of one draw."""
        self.mean, self.pairs = self.mean + moments.mean, self.pairs + moments.pairs
        self.seconds.append(moments.second_moment)
        if powers is not None:
            self.powers.append(powers)

    @property
    def moments(self) -> Moments:
        """Averages so far."""
        count = len(self.seconds)
        return Moments(self.full, np.asarray(self.mean) / count, np.asarray(self.pairs) / count)

    @property
    def error(self) -> float:
        """Relative standard error of the second moment; infinite while there are too few draws."""
        if len(self.seconds) < FEWEST_BATCHES:
            return math.inf
        level = float(np.mean(self.seconds))
        return float(np.std(self.seconds, ddof=1)) / math.sqrt(len(self.seconds)) / level if level > 0 else 0.0

    @property
    def gaussian(self) -> bool:
        """Whether third and fourth central powers are those of a Gaussian, to a tenth."""
        first, second, third, fourth = np.mean(self.powers, axis=0) if self.powers else (0.0,) * 4
        variance = second - first**2
        if variance <= 1e-12 * second:
            return False
        skew = (third - 3 * first * second + 2 * first**3) / variance**1.5
        tails = (fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4) / variance**2
        return bool(max(abs(skew), abs(tails - 3.0)) < LIKE_A_GAUSSIAN)

    def enough(self, drawn: int) -> bool:
        """Say whether drawing may end, after so many elements in all."""
        return self.error < ENOUGH or (len(self.seconds) >= FEWEST_BATCHES and drawn > ELEMENTS)


def seen(values: NDArray[Any], small: Dims) -> tuple[Moments, tuple[float, float, float, float]]:
    """Return the moments of values on given axes, and their first four powers' means."""
    x = np.asarray(values, dtype=np.float64)
    bad = float(np.mean(~np.isfinite(x)))
    if bad:
        share = f"{bad:.2%}" if bad >= RARE else f"{bad:.0e}"
        raise Unpredictable(f"{share} of what it gives is not finite, for operands with the predicted moments")
    square = x * x
    powers = (float(x.mean()), float(square.mean()), float((square * x).mean()), float((square * square).mean()))
    return observed_as(x, small), powers


def pulled(
    plan: Plan, at: int, pull: Callable[[Arrays], Arrays], slopes: Arrays, generator: np.random.Generator
) -> Moments | None:
    """Return the moments of the gradient at an operand, as they are if nothing is shortened.

    A gradient that is a sum over n elements of a shortened dimension has the second moment n s + n (n - 1) d, where s
    is that of one term and d the mean product of two. Random signs leave n s alone; so both are known.
    """
    missing = [label for label in plan.labels if all(each != at for each, _ in label.operands)]
    total: Moments | None = None
    for signed in product((False, True), repeat=len(missing)):
        turned = _signed(slopes, [label for label, flag in zip(missing, signed, strict=True) if flag], generator)
        values = pull(turned)[at]
        if values is None:
            return None
        found, _ = seen(values, plan.small(at, 0))
        found = found.with_values(found.mean * (not any(signed)), found.pairs * _weight(missing, signed))
        total = found if total is None else found.with_values(total.mean + found.mean, total.pairs + found.pairs)
    factor = math.prod(_ratio(cut) for _, _, cut in missing)
    return None if total is None else total.with_values(total.mean * factor, total.pairs)


def _ratio(cut: Thinned) -> float:
    return math.prod(axis.size for axis in cut.full) / cut.index.size


def _weight(missing: Sequence[Label], signed: Sequence[bool]) -> float:
    """Return the factor of one choice of signs: a U + (n/n' - a) S with a = n (n - 1) / (n' (n' - 1))."""
    weight = 1.0
    for (_, _, cut), flag in zip(missing, signed, strict=True):
        ratio, kept = _ratio(cut), cut.index.size
        both = ratio * (ratio * kept - 1.0) / (kept - 1.0)
        weight *= ratio - both if flag else both
    return weight


def _signed(slopes: Arrays, labels: Sequence[Label], generator: np.random.Generator) -> Arrays:
    """Give every element along some dimensions a random sign."""
    found = list(slopes)
    for _, following, cut in labels:
        signs = generator.choice((-1.0, 1.0), cut.index.size)
        for number, dim in following:
            slope = found[number]
            if slope is not None:
                shape = [1] * slope.ndim
                shape[dim] = -1
                found[number] = slope * signs.reshape(shape)
    return found


def drawn_slopes(
    plan: Plan, gradients: Sequence[Moments | None], shapes: Sequence[tuple[int, ...]], generator: np.random.Generator
) -> tuple[Arrays, float]:
    """Draw gradients at the outputs, divided by their size, and return it."""
    size = max((each.rms for each in gradients if each is not None), default=0.0) or 1.0
    return [
        None
        if each is None
        else draw(thinned(each.scaled(1.0 / size), plan.cuts(at, 1)), generator).reshape(shapes[at])
        for at, each in enumerate(gradients)
    ], size

"""How far one network lies from the average over all that are initialized alike.

Moments are averages over initializations, in wide layers. The second moment of one tensor in one network is spread
around them, and the logarithm of that ratio has a variance of two parts: what the tensor's *scale* inherited, because
everything before it came out a little large or small, and its *own*, because it is an average over finitely many
elements. A contraction hands both on as scale; so Σ (kurtosis − 1)/n adds up over the layers, which is 5/n a layer for
ReLU and 2/n for a linear network [Hanin2018]. A normalization starts anew.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from justright.core.axes import Array, pair_shares
from justright.core.graph import TRANSPARENT, Graph, Node
from justright.core.moments import Moments, outer_means
from justright.core.prediction import Estimate
from justright.core.profile import Provenance
from justright.core.signals import Signal
from justright.core.vocabulary import Kind
from justright.propagation.marginals import Shape
from justright.propagation.sweep import Sweep

__all__ = ["FLOORS", "Spread", "Spreads", "estimate", "own_variance"]

DEVIATIONS: Final = 2.0
"""Standard deviations on either side: 95 % of a normal distribution."""

FLOORS: Final[Mapping[Provenance, float]] = MappingProxyType(
    {
        Provenance.EXACT: 0.002,  # rounding of float32 sums, and a uniform draw taken as Gaussian
        Provenance.ASYMPTOTIC: 0.02,  # terms of the next order in one over the width, and weak dependence
        Provenance.NUMERICAL: 0.03,  # the error of an average over quasi-random draws
        Provenance.FITTED: 0.06,  # a marginal taken as Gaussian that is none: a few per cent of its second moment
        Provenance.MEASURED: 0.002,  # values that are given
        Provenance.UNKNOWN: 0.10,  # an assumption about the data
    }
)
"""Relative error of an RMS that the theory leaves out, one standard deviation, by its origin. [ours]"""

BACKWARD: Final = 2.0
"""Times those errors for gradients, which are taken to be independent of the signals. [ours]"""

WIDEST: Final = 10.0
"""Factor between the ends of an interval beyond which it says nothing."""

ENDLESS: Final = 50.0
"""Logarithm of a factor that is as good as any: 5e21."""

MULTIPLYING: Final = frozenset({"multiply", "divide", "addcmul", "addcdiv", "glu", "power", "square"})
"""Pointwise operators in which the logarithms of sizes add up."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance of the logarithm of a tensor's second moment between networks.

    Parameters
    ----------
    scale
        The part that its size inherited.
    own
        The part that comes from having finitely many elements.
    single
        The same as `total` for one example: with many examples fluctuations average out, but each bends what a
        nonlinear function makes of it.
    bias
        Bound on what that bending shifts the logarithm by: half the variance of one example times the curvature.
    """

    scale: float = 0.0
    own: float = 0.0
    single: float = 0.0
    bias: float = 0.0

    @property
    def total(self) -> float:
        """Variance of the logarithm of the tensor's own second moment, which what reads it inherits."""
        return self.scale + self.own


def estimate(rms: float, spread: Spread, provenance: Provenance, *, how: str, backward: bool = False) -> Estimate:
    """Return an RMS with its interval, and whether to trust it.

    A positive quantity whose average is given and whose logarithm has a variance v lies around its average less v/2.
    """
    floor = FLOORS[provenance] * (BACKWARD if backward else 1.0)
    variance = spread.total / 4.0  # the logarithm of a root is half the logarithm
    reach = DEVIATIONS * math.sqrt(variance + floor * floor) + spread.bias / 2.0
    low, high = rms * math.exp(-min(reach + variance, ENDLESS)), rms * math.exp(min(reach, ENDLESS))
    why = ""
    if not math.isfinite(rms):
        why = "it is not finite"
    elif provenance in {Provenance.FITTED, Provenance.UNKNOWN}:
        why = "it rests on " + ("an assumption" if provenance is Provenance.UNKNOWN else "an approximation")
    elif 2 * reach + variance > math.log(WIDEST):
        why = f"networks of this width differ by more than a factor of {WIDEST:.0f} here"
    return Estimate(rms, low, high, how, provenance, not why, why)


def _digest(values: Array) -> bytes:
    """Return what stands for an array in a table, without keeping its values."""
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest()


def own_variance(moments: Moments, kurtosis: float = 3.0) -> float:
    """Return the variance of the mean square of a tensor over its square: two over the number of free elements.

    Parameters
    ----------
    moments
        Its moments.
    kurtosis
        E[x⁴] / E[x²]² of an element; correlated elements share their squares as Gaussian ones do.
    """
    second = moments.second_moment
    if not second > 0 or not moments.axes:
        return 2.0 * _excess(kurtosis) if second > 0 else 0.0
    means = outer_means(moments, moments) / second  # before it is squared: the square of a small one may be zero
    covariance = moments.pairs / second - means
    squares = 2.0 * covariance**2 * _excess(kurtosis) + 4.0 * means * covariance
    return max(float(np.vdot(pair_shares(moments.axes), squares)), 0.0)


def _excess(kurtosis: float) -> float:
    """Variance of a squared element over that of a Gaussian one; a constant has none."""
    return max(kurtosis - 1.0, 0.0) / 2.0


class Spreads:
    """Walks a graph forward and backward, and keeps the spread of every signal and gradient.

    Parameters
    ----------
    graph
        The graph.
    found
        What was predicted.
    shape
        How the elements of a signal are distributed.
    drawn
        Sites of the leaves that were taken as random; the values of all others were given.

    Attributes
    ----------
    forward, gradient
        Spreads by site.
    """

    def __init__(self, graph: Graph, found: Sweep, shape: Callable[[Signal], Shape], drawn: Collection[int]) -> None:
        self._graph = graph
        self._signals = found.forward
        self._gradients = found.gradient
        self._shape = shape
        self._drawn = drawn
        self._owns: dict[Hashable, float] = {}
        self.forward: dict[int, Spread] = {}
        self.gradient: dict[int, Spread] = {}
        self._walk()

    def _walk(self) -> None:
        for site in self._graph.sites:
            if site.index in self._signals:
                self.forward[site.index] = self._forward(site.index)
        arrived: dict[int, Spread] = {}
        for node in reversed(self._graph.nodes):
            self._backward(node, arrived)
        for leaf, spread in arrived.items():
            if leaf in self._gradients and leaf not in self.gradient:
                self.gradient[leaf] = replace(spread, own=self._own(self._gradients[leaf]))

    def _own(self, moments: Moments, kurtosis: float = 3.0) -> float:
        key = (moments.dims, _digest(moments.mean), _digest(moments.pairs), kurtosis)
        if key not in self._owns:
            self._owns[key] = own_variance(moments, kurtosis)
        return self._owns[key]

    # --- forward ------------------------------------------------------------------------------------------------------

    def _forward(self, site: int) -> Spread:
        signal = self._signals[site]
        node = self._graph.producer(site)
        if node is None:
            own = self._own(signal.moments) if site in self._drawn else 0.0
            return Spread(0.0, own, own)
        reads = [each.site for each in node.operands if each.site in self._signals]
        if node.kind in TRANSPARENT and reads:
            return self.forward[reads[0]]
        reads = [each for each in reads if not self._graph.parameter_only[each]] or reads
        if node.kind is Kind.NORMALIZATION:
            return self._statistic(node.outputs.index(site), signal, self.forward[reads[0]] if reads else Spread())
        shape = self._shape(signal)
        spreads = [self.forward[each] for each in reads] or [Spread()]
        scale = self._scale(node, reads, spreads, shape)
        contracts = node.kind in {Kind.CONTRACTION, Kind.RECURRENT}
        grown = _together([each.single for each in spreads]) if contracts else max(each.single for each in spreads)
        bias = max(each.bias for each in spreads)
        if node.kind is Kind.POINTWISE:
            bias = min(shape.sensitivity, 1.0) * bias + abs(1.0 - shape.sensitivity) * grown / 2.0
        one = self._own(_first_of(signal.moments), shape.kurtosis)
        single = grown + one if contracts else max(grown, one)
        return Spread(scale, self._own(signal.moments, shape.kurtosis), single, bias)

    def _statistic(self, output: int, signal: Signal, read: Spread) -> Spread:
        """Return the spread of what a normalization returns: its result, the mean, the inverse deviation.

        Over examples the mean of an inverse is larger than the inverse of the mean, by their variance.
        """
        if output == 0:
            return Spread()
        return Spread(read.total, self._own(signal.moments), read.single, read.single if output > 1 else 0.0)

    def _weights(self, node: Node) -> float:
        """Return what the weights of a contraction add, whose own mean square varies, as little as they are many."""
        sites = {each.site for each in node.operands if self._graph.parameter_only[each.site] & set(self._drawn)}
        found = [self._signals[site] for site in sites if site in self._signals]
        return sum(2.0 * _varying(each) / each.moments.size for each in found if each.moments.axes)

    def _scale(self, node: Node, reads: Sequence[int], spreads: Sequence[Spread], shape: Shape) -> float:
        """Return how uncertain the scale of an output is, given that of what it is made from."""
        if not reads:
            return 0.0
        if node.kind in {Kind.CONTRACTION, Kind.RECURRENT}:
            return _together([each.total for each in spreads]) + self._weights(node)
        if node.kind is Kind.POINTWISE:
            return self._pointwise(node, reads, spreads, shape)
        if node.kind in {Kind.SOFTMAX, Kind.LOSS}:
            signal = self._signals[node.outputs[0] if node.outputs[0] in self._signals else reads[0]]
            return _varying(signal) ** 2 * max(each.total for each in spreads)
        return max(each.scale for each in spreads)

    def _pointwise(self, node: Node, reads: Sequence[int], spreads: Sequence[Spread], shape: Shape) -> float:
        if len(reads) == 1:
            return self._followed(reads[0], shape) * spreads[0].scale
        if node.op in MULTIPLYING:
            return _together([each.scale for each in spreads])
        weights = [self._signals[each].moments.second_moment for each in reads]
        whole = sum(weights)
        together = sum(w * math.sqrt(each.scale) for w, each in zip(weights, spreads, strict=True))
        return together**2 / whole**2 if whole > 0 else 0.0

    def _followed(self, before: int, shape: Shape) -> float:
        """Return by how much more or less than its operand an output follows the scale of their common source."""
        start = max(self._shape(self._signals[before]).sensitivity, 0.1)
        return min(max(shape.sensitivity, 0.0) / start, 3.0) ** 2

    # --- backward -----------------------------------------------------------------------------------------------------

    def _backward(self, node: Node, arrived: dict[int, Spread]) -> None:
        found = [
            replace(arrived.get(site, Spread()), own=self._own(self._gradients[site]))
            for site in node.outputs
            if site in self._gradients
        ]
        if not found:
            return
        self.gradient |= dict(zip((site for site in node.outputs if site in self._gradients), found, strict=True))
        for operand in node.operands:
            if operand.site in self._gradients:
                before = arrived.get(operand.site, Spread())
                passed = [self._passed(node, operand.site, each) for each in found]
                scale = max(before.scale, *(each.scale for each in passed))
                bias = max(before.bias, *(each.bias for each in passed))
                arrived[operand.site] = Spread(scale, bias=bias)

    def _passed(self, node: Node, operand: int, gradient: Spread) -> Spread:
        """Return the spread of the gradient that one output hands to one operand."""
        others = [each.site for each in node.operands if each.site != operand]
        signals = [
            self.forward[site] for site in others if site in self.forward and not self._graph.parameter_only[site]
        ]
        if node.kind in {Kind.CONTRACTION, Kind.RECURRENT}:
            weights = 0.0 if self._graph.parameter_only[operand] else self._weights(node)
            return Spread(sum([gradient.total, weights, *(each.total for each in signals)]), bias=gradient.bias)
        own = self.forward.get(operand, Spread())
        if node.kind is Kind.NORMALIZATION and operand == node.operands[0].site:
            return Spread(gradient.scale + own.total, bias=gradient.bias + own.bias)
        if node.op in MULTIPLYING:
            return Spread(sum([gradient.scale, *(each.total for each in signals)]), bias=gradient.bias)
        if node.kind is Kind.POINTWISE and node.outputs[0] in self._signals:
            bends = abs(1.0 - self._shape(self._signals[node.outputs[0]]).sensitivity)
            bias = gradient.bias + bends * (own.bias + own.single / 2.0)
            return Spread((math.sqrt(gradient.scale) + bends * math.sqrt(own.scale)) ** 2, bias=bias)
        return Spread(gradient.scale, bias=gradient.bias)


def _first_of(moments: Moments) -> Moments:
    """Return the moments of one element along the first axis."""
    return moments if not moments.axes else Moments(
        (moments.axes[1:],), moments.mean[0], moments.pairs[0]
    )  # fmt: skip


def _together(variances: Sequence[float]) -> float:
    """Return the variance of a sum of logarithms that may be as large together as they can."""
    return sum(map(math.sqrt, variances)) ** 2


def _varying(signal: Signal) -> float:
    """Return the share of a second moment that varies: how far it follows the scale of what it is made from."""
    moments = signal.moments
    second = moments.second_moment
    return max(1.0 - moments.average_mean**2 / second, 0.0) if second > 0 else 0.0

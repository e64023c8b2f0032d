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
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import replace
from typing import Final

from justright.core.axes import Array
from justright.core.graph import TRANSPARENT, Graph, Node
from justright.core.moments import Moments
from justright.core.signals import Signal
from justright.core.vocabulary import Kind
from justright.propagation.interval import Spread, own_variance
from justright.propagation.marginals import Shape
from justright.propagation.means import Sweep

__all__ = ["Spreads"]

MULTIPLYING: Final = frozenset({"multiply", "divide", "addcmul", "addcdiv", "glu", "power", "square"})
"""Pointwise operators in which the logarithms of sizes add up."""


def _digest(values: Array) -> bytes:
    """Return what stands for an array in a table, without keeping its values."""
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest()


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
        weights = [each for each in node.operands if each.name != "bias"]
        sites = {each.site for each in weights if self._graph.parameter_only[each.site] & set(self._drawn)}
        found = [self._signals[site] for site in sites if site in self._signals]
        return sum(2.0 * _varying(each) / each.moments.size for each in found if each.moments.axes)

    def _alike(self, node: Node) -> float:
        """Return over how many times fewer units than there are a gradient is spread: of two classes, one is free."""
        if node.outputs[0] not in self._gradients:
            return 1.0
        gradient = self._gradients[node.outputs[0]].merged_strata()
        dim = 1 if "convolution" in node.op else len(gradient.dims) - 1
        if len(gradient.dims[dim]) != 1 or not gradient.second_moment > 0:
            return 1.0
        same, other = (gradient.pairs[tuple(at)] for at in _cases(gradient, gradient.position(dim)))
        return float(1.0 + (gradient.shape[dim] - 1.0) * (other / same) ** 2)

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
            weights = 0.0 if self._graph.parameter_only[operand] else self._weights(node) * self._alike(node)
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


def _cases(moments: Moments, at: int) -> tuple[list[int], list[int]]:
    """Return the cases of one element with itself, and with one that differs along a single axis."""
    same = [0] * len(moments.axes)
    other = [1 if axis == at and each.cases > 1 else 0 for axis, each in enumerate(moments.axes)]
    return same, other


def _together(variances: Sequence[float]) -> float:
    """Return the variance of a sum of logarithms that may be as large together as they can."""
    return sum(map(math.sqrt, variances)) ** 2


def _varying(signal: Signal) -> float:
    """Return the share of a second moment that varies: how far it follows the scale of what it is made from."""
    moments = signal.moments
    second = moments.second_moment
    return max(1.0 - moments.average_mean**2 / second, 0.0) if second > 0 else 0.0

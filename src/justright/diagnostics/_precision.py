"""What of a network is held in half precision, and what such a format takes from a tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from justright.core.formats import FORMATS, FloatFormat
from justright.core.graph import Graph, Node, Role
from justright.core.profile import SiteRecord, TensorStatistics
from justright.core.vocabulary import WITH_BYPRODUCTS, Kind
from justright.diagnostics.base import Case

__all__ = ["HALF", "Half", "halves", "largest_scale", "lost_square", "smallest_scale", "weight_of"]

HALF = FORMATS["float16"]

WIDE = (
    frozenset({"acos", "asin", "sinh", "cosh", "tan", "power", "square", "reciprocal", "exp", "expm1", "log", "log1p"})
    | {"log2", "log10", "rsqrt", "erfinv", "softplus", "layer_norm", "group_norm", "norm", "product", "softmax"}
    | {"cumulative_product", "cumulative_sum", "sum", "log_softmax", "distance"}
)
"""Operators that autocast runs in float32 (PyTorch, "CUDA Ops that can autocast to float32"); every loss too."""

FULL = ("float32", "float64")
"""Dtypes of which autocast makes float16, or would."""


@dataclass(frozen=True, slots=True)
class Half:
    """One site that holds float16 under autocast: a result, or what a contraction casts to it."""

    site: int
    record: SiteRecord

    @property
    def importance(self) -> float:
        """Upper bound on how much the loss changes at first order if the tensor is lost: norm times gradient's norm."""
        value, gradient = self.record.forward, self.record.gradient
        return value.rms * gradient.rms * value.count if value and gradient else 0.0


def halves(case: Case) -> list[Half]:
    """List all sites of a network in full precision that automatic mixed precision holds in float16."""
    stored = _stored(case.graph)
    cast = {operand.site for node in case.graph.nodes if _narrows(node) for operand in node.operands}
    chosen = ((site, case.record(site)) for site in sorted(stored | cast))
    return [Half(site, record) for site, record in chosen if record is not None and record.dtype in FULL]


def _stored(graph: Graph) -> set[int]:
    """Sites whose producer gives float16 under autocast: contractions, and what reads nothing else."""
    half: set[int] = set()
    for node in graph.nodes:
        # Batch normalization keeps its parameters in float32 and gives the dtype of its signal.
        read = node.operands[:1] if node.op == "batch_norm" else node.operands
        floating = [operand.site for operand in read if _array(graph, operand.site)]
        if _narrows(node) or (floating and half.issuperset(floating) and not _widens(node)):
            signals = node.outputs[:1] if node.op in WITH_BYPRODUCTS else node.outputs
            half.update(site for site in signals if graph.sites[site].floating)
    return half


def _array(graph: Graph, site: int) -> bool:
    """Say whether a site has a say in the dtype of a result: numbers in tensors without axes have none."""
    return graph.sites[site].floating and len(graph.sites[site].shape) > 0


def _narrows(node: Node) -> bool:
    return (node.kind is Kind.CONTRACTION and node.op not in WIDE) or node.kind is Kind.RECURRENT


def _widens(node: Node) -> bool:
    return node.op in WIDE or node.kind is Kind.LOSS or node.kind is Kind.CAST


def weight_of(case: Case, half: Half) -> bool:
    """Say whether this is a parameter with two axes or more, or a signal: what is worth a gradient of its own.

    Biases and scales take the sum of a gradient that is judged by itself; where that sum is zero by symmetry, as for
    the keys of attention or before batch normalization, rounding is all that is left of it.
    """
    return case.graph.sites[half.site].role is not Role.PARAMETER or len(half.record.shape) > 1


def lost_square(statistics: TensorStatistics, edge: float) -> float:
    """Share of a tensor's squared norm that lies in elements of a magnitude up to an edge, 0 to 1.

    Within a bin of the histogram magnitudes are taken to be spread evenly over their logarithm.
    """
    below = whole = 0.0
    for low, high, count in _bins(statistics):
        square = count * _mean_square(low, high)
        whole += square
        if high <= edge:
            below += square
        elif low < edge:
            part = count * math.log(edge / low) / math.log(high / low)
            below += part * _mean_square(low, edge)
    return below / whole if whole > 0 else 0.0


def _bins(statistics: TensorStatistics) -> Iterator[tuple[float, float, int]]:
    """Smallest and largest magnitude of every bin, and its count, in units that keep the squares in range."""
    for exponent, count in statistics.histogram:
        low = max(math.ldexp(1.0, exponent), statistics.min_nonzero)
        yield low, max(low, min(math.ldexp(1.0, exponent + 1), statistics.absmax)), count


def _mean_square(low: float, high: float) -> float:
    """Mean square of magnitudes spread evenly over their logarithm."""
    return (high * high - low * low) / (2 * math.log(high / low)) if high > low else low * low


def largest_scale(statistics: TensorStatistics, form: FloatFormat) -> int:
    """Largest k for which a finite tensor, not zero throughout, does not overflow when it is multiplied by 2**k."""
    return math.ceil(math.log2(form.overflow) - math.log2(statistics.absmax)) - 1


def smallest_scale(statistics: TensorStatistics, form: FloatFormat, lost: float) -> int:
    """Smallest k for which a finite tensor, not zero throughout, keeps its norm when it is multiplied by 2**k.

    Parameters
    ----------
    statistics
        Of the tensor.
    form
        The format it is stored in.
    lost
        Share of the squared norm that may vanish.
    """
    # At this scale everything below the bin in question vanishes, and this bin too: at most two more binades help.
    least = math.floor(math.log2(form.underflow)) - _first_of_weight(statistics, lost) - 1
    while lost_square(statistics, math.ldexp(form.underflow, -least)) > lost:
        least += 1
    return least


def _first_of_weight(statistics: TensorStatistics, lost: float) -> int:
    """Exponent of the bin in which the squares, summed from the smallest, exceed a share of all of them."""
    squares = [(count * _mean_square(low, high)) for low, high, count in _bins(statistics)]
    seen, allowed = 0.0, lost * math.fsum(squares)
    for (exponent, _), square in zip(statistics.histogram, squares, strict=True):
        seen += square
        if seen > allowed:
            return exponent
    return statistics.histogram[-1][0]

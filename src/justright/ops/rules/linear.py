"""Products with a matrix: the gradient with respect to either factor is a product with the other."""

from __future__ import annotations

from collections.abc import Sequence

from justright.core.contraction import contract
from justright.core.moments import Moments
from justright.core.signals import Signal, plus, scaled, signal
from justright.core.sources import Source
from justright.ops.rule import Call, Gradients, Unpredictable, rule

__all__: list[str] = []

SPECS = {
    "linear": ("mat1", "mat2", "bi,io->bo"),
    "matmul": ("input", "mat2", "bi,io->bo"),
    "batched_matmul": ("mat1", "mat2", "nbi,nio->nbo"),
    "batched_linear": ("batch1", "batch2", "nbi,nio->nbo"),
}
"""Names of the factors, and the product as an einsum."""


def _spec(call: Call) -> tuple[str, str, str]:
    first, second, spec = SPECS[call.node.op]
    if call.place(first) is None:
        first = next(name for name in ("input", "self", "mat1", "batch1") if call.place(name) is not None)
    if len(call.shape(second)) == 1:
        spec = spec.replace("o", "")
    return first, second, spec


def _forward(call: Call) -> Signal:
    first, second, spec = _spec(call)
    x, w = call.needed(first), call.needed(second)
    product = signal(Source(contract(x.moments, w.moments, spec), True, max(x.provenance, w.provenance)))
    product = scaled(product, float(call.attributes.get("alpha", 1.0)))
    bias = call.signal("bias") if call.place("bias") is not None else None
    if bias is None:
        return product
    return plus(scaled(bias, float(call.attributes.get("beta", 1.0))), product)


def _backward(call: Call, results: Sequence[Signal | None], gradients: Sequence[Moments | None]) -> Gradients:
    first, second, spec = _spec(call)
    left, right, out = *spec.split("->")[0].split(","), spec.split("->")[1]
    gradient = gradients[0]
    if gradient is None:
        raise Unpredictable("it has no gradient")
    inner = gradient.scaled(float(call.attributes.get("alpha", 1.0)))
    found = {
        first: contract(inner, call.needed(second).moments, f"{out},{right}->{left}"),
        second: contract(inner, call.needed(first).moments, f"{out},{left}->{right}"),
    }
    if call.place("bias") is not None:
        found["bias"] = _summed(gradient, len(call.shape("bias"))).scaled(float(call.attributes.get("beta", 1.0)))
    return found


def _summed(gradient: Moments, rank: int) -> Moments:
    """Sum over the leading dimensions that a bias of this rank lacks."""
    return gradient.sum(range(len(gradient.dims) - rank))


for _name in SPECS:
    rule(_name, _forward, _backward)

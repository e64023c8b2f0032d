"""Products of the Hessian with vectors: exact by a second backward, or by a difference of gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import torch

from justright.adapters.torch.gradients import gradients
from justright.adapters.torch.statistics import dense
from justright.core.profile import Provenance

__all__ = ["Hessian", "Run", "Vectors", "dot", "hessian", "inner", "largest_eigenvalue"]

Vectors = Mapping[str, torch.Tensor]
"""One tensor a parameter, by name."""

Run = Callable[..., AbstractContextManager[torch.Tensor]]
"""Opens one forward with the parameters as they are; what it gives is the loss, with its history."""

ITERATIONS = 10
"""Steps of the power method: a Rayleigh quotient within a few per cent where the second eigenvalue is 3/4 of the first,
since the error falls as (3/4)**(2 * 10) = 0.3 % of the start's (Golub and Van Loan, Matrix computations, section 8.2).
"""


class Hessian:
    """Second derivatives of the loss at one point.

    Parameters
    ----------
    product
        From a vector to the product with the Hessian.
    provenance
        Exact for a second backward, numerical for a difference of gradients.
    """

    def __init__(self, product: Callable[[Vectors], Vectors], provenance: Provenance) -> None:
        self._product = product
        self.provenance = provenance

    def __call__(self, vector: Vectors) -> Vectors:
        """Return the product with a vector."""
        return self._product(vector)


@contextmanager
def hessian(run: Run, parameters: Mapping[str, torch.Tensor]) -> Iterator[Hessian]:
    """Open the Hessian of the loss with respect to these parameters, at their present values.

    Exact where every operation has a second derivative, which is found out by asking once; else by differences.
    Parameters are moved for the time of a difference and put back.

    Parameters
    ----------
    run
        Opens a forward.
    parameters
        By name.
    """
    with run() as loss:
        exact = _exact(loss, parameters)
        if exact is not None:
            yield Hessian(exact, Provenance.EXACT)
            return
    yield Hessian(_differences(run, parameters), Provenance.NUMERICAL)


def _exact(loss: torch.Tensor, parameters: Mapping[str, torch.Tensor]) -> Callable[[Vectors], Vectors] | None:
    own = list(parameters.values())
    try:
        first = torch.autograd.grad(loss, own, create_graph=True, allow_unused=True)
        bent = [(name, each) for name, each in zip(parameters, first, strict=True) if each is not None and each.grad_fn]

        def product(vector: Vectors) -> Vectors:
            slopes = [each for _, each in bent]
            along = [vector.get(name, torch.zeros_like(each)) for name, each in bent]
            found = torch.autograd.grad(slopes, own, along, retain_graph=True, allow_unused=True) if bent else ()
            return {name: each for name, each in zip(parameters, found, strict=False) if each is not None}

        product({})
    except RuntimeError:  # no second derivative somewhere, or a layout that a second backward cannot take
        return None
    return product if bent else None  # a function that hides its second derivative looks linear


def _differences(run: Run, parameters: Mapping[str, torch.Tensor]) -> Callable[[Vectors], Vectors]:
    def at_present() -> Vectors:
        with run() as loss:
            return {name: dense(each) for name, each in gradients(parameters, loss).items()}

    here = at_present()
    length = inner(parameters, parameters) ** 0.5

    def product(vector: Vectors) -> Vectors:
        size = inner(vector, vector) ** 0.5
        if not size:
            return {}
        # sqrt(eps) balances rounding against the third derivative (Nocedal and Wright, section 8.1).
        step = torch.finfo(torch.float32).eps ** 0.5 * (1.0 + length) / size
        kept = {name: each.detach().clone() for name, each in parameters.items()}
        try:
            with torch.no_grad():
                for name, each in vector.items():
                    parameters[name].add_(each, alpha=step)
            there = at_present()
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    parameters[name].copy_(value)
        return {name: (there[name] - each) / step for name, each in here.items() if name in there}

    return product


def largest_eigenvalue(matrix: Hessian, scales: Mapping[str, float], start: Vectors) -> float:
    """Return the largest eigenvalue found of the Hessian preconditioned with one number a parameter.

    The power method on S^(1/2) H S^(1/2), from a given start; the largest of its Rayleigh quotients is a lower bound.

    Parameters
    ----------
    matrix
        The Hessian.
    scales
        Diagonal of S by parameter: how far a step goes for a gradient of one.
    start
        Vector to start from; the gradient is rarely orthogonal to the sharpest direction.
    """
    vector = {name: each * scales[name] ** 0.5 for name, each in start.items() if scales.get(name)}
    largest = 0.0
    for _ in range(ITERATIONS):
        length = inner(vector, vector) ** 0.5
        if not length or length == float("inf"):
            break
        vector = {name: each / length for name, each in vector.items()}
        bent = matrix({name: each * scales[name] ** 0.5 for name, each in vector.items()})
        following = {name: each * scales[name] ** 0.5 for name, each in bent.items() if name in vector}
        largest = max(largest, inner(vector, following))
        vector = following
    return largest


def inner(first: Vectors, second: Vectors) -> float:
    """Return the inner product over the parameters that both have; real part for complex ones."""
    return sum(dot(first[name], second[name]) for name in first if name in second)


def dot(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the inner product of two tensors of one shape, in at least float32; real part for complex ones."""
    first, second = dense(first.detach()), dense(second.detach())
    if first.is_complex():
        first, second = torch.view_as_real(first.resolve_conj()), torch.view_as_real(second.resolve_conj())
    wide = torch.float64 if first.dtype is torch.float64 else torch.float32
    return float(torch.dot(first.reshape(-1).to(wide), second.reshape(-1).to(wide)))

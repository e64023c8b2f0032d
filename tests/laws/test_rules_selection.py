"""Rules that choose, join, reduce and write elements, against sampling with the framework's own operators.

A tensor with given moments is a sum of independent normal effects, one for every set of its axes. The framework's
operator and its gradient are averaged over many such tensors, and the moments of every pair of elements must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  the field's usual name for it

from justright.adapters.base import load_adapter
from justright.core.axes import Axis
from justright.core.graph import Role
from justright.core.moments import Moments
from justright.core.observed import observed
from justright.core.signals import signal
from justright.core.sources import Source
from justright.propagation.constants import Constants
from justright.propagation.sweep import sweep

DRAWS = 300
"""Draws of an operator: standard errors of single moments are a few percent, and there are many of them."""

ERRORS = 5.0
"""Standard errors allowed: of a few hundred comparisons a case none is beyond five by chance."""

Effects = dict[tuple[bool, ...], float]


def effects(rank: int, mean: float) -> Effects:
    """Variance of an effect for every set of axes along which it varies, and the mean for the empty set."""
    sizes = {(True,) * rank: 0.7, (False,) * rank: mean}
    for at in range(rank):
        alone = tuple(each == at for each in range(rank))
        sizes[alone] = sizes.get(alone, 0.0) + 0.1 * (at + 1)
    return sizes


def drawn(shape: Sequence[int], sizes: Effects, rng: np.random.Generator) -> Any:
    x = np.zeros(shape)
    for axes, variance in sizes.items():
        part = [length if kept else 1 for length, kept in zip(shape, axes, strict=True)]
        x = x + (np.sqrt(variance) * rng.normal(size=part) if any(axes) else variance)
    return x


def moments(shape: Sequence[int], sizes: Effects) -> Moments:
    rank = len(shape)
    mean = sizes[(False,) * rank]
    pairs = np.full((2,) * rank, mean**2)
    for case in product((0, 1), repeat=rank):
        for axes, variance in sizes.items():
            if any(axes) and all(not kept or not different for kept, different in zip(axes, case, strict=True)):
                pairs[case] += variance
    return Moments(tuple((Axis((length,)),) for length in shape), np.full((1,) * rank, mean), pairs)


class Scored(torch.nn.Module):
    """An operator of a parameter, times a tensor that is the gradient at its output."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], shape: Sequence[int]) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(tuple(shape)))
        self.function = function

    def forward(self, gradient: torch.Tensor) -> torch.Tensor:
        return (self.function(self.x) * gradient).sum()


def predicted(
    function: Callable[[torch.Tensor], torch.Tensor], x: Moments, gradient: Moments
) -> tuple[Moments, Moments]:
    adapter = load_adapter("torch")
    model = Scored(function, x.shape)
    job = adapter.prepare(model, torch.zeros(gradient.shape), lambda output, _: output)
    graph = adapter.trace(job)
    leaves = {
        site.index: signal(Source(x if site.role is Role.PARAMETER else gradient))
        for site in graph.sites
        if site.role in (Role.PARAMETER, Role.INPUT)
    }
    constants = {site: values for site, values in graph.known.items() if graph.sites[site].role is not Role.INPUT}
    found = sweep(graph, leaves, Constants(graph, constants))
    assert not found.failed, found.failed
    assert not found.failed_backward, found.failed_backward
    product_site = next(node for node in reversed(graph.nodes) if node.op == "multiply").operands[0].site
    return found.forward[product_site].moments, found.gradient[graph.parameters[0].site]


def sampled(
    function: Callable[[torch.Tensor], torch.Tensor], sizes: tuple[Effects, Effects], shapes: Any, like: Any, seed: int
) -> list[Any]:
    """Moments of outputs and of gradients in every draw, with the strata of two given ones."""
    rng = np.random.default_rng(seed)
    rows: list[list[Any]] = [[], [], [], []]
    for _ in range(DRAWS):
        x = torch.tensor(drawn(shapes[0], sizes[0], rng), requires_grad=True)
        y = function(x)
        y.backward(torch.tensor(drawn(shapes[1], sizes[1], rng)))  # type: ignore[no-untyped-call]
        for at, (values, each) in enumerate(((y.detach().numpy(), like[0]), (x.grad.numpy(), like[1]))):  # type: ignore[union-attr]
            cut = tuple(dim[0].strata if dim else (1,) for dim in each.dims)
            seen = observed(values, cut)
            rows[2 * at].append(seen.mean)
            rows[2 * at + 1].append(seen.pairs)
    return [np.stack(each) for each in rows]


def in_single_axes(x: Moments) -> Moments:
    """Join the axes of every dimension, as arrays are observed."""
    for dim, length in enumerate(x.shape):
        if length != 1:
            x = x.in_one_axis(dim)
    return x


def exists(x: Moments) -> Any:
    found = np.ones(x.pairs.shape, dtype=bool)
    for at, axis in enumerate(x.axes):
        found &= (axis.counts > 0).reshape([-1 if each == at else 1 for each in range(x.pairs.ndim)])
    return found


INDEX = torch.tensor([[0, 2, 2], [4, 1, 0]])
ALONG = torch.tensor([0, 3, 3, 1])
MASK = torch.ones(5, 5).tril().bool()


def _written(x: torch.Tensor) -> torch.Tensor:
    y = x * 1.0
    y[:, 1:4] = 0.5 * x[:, :3]
    return y


EXACT: dict[str, tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor]]] = {
    "slice": ((4, 6, 3), lambda x: x[:, 1:4]),
    "strided slice": ((4, 6, 3), lambda x: x[:, ::2]),
    "select": ((4, 6, 3), lambda x: x[:, 2]),
    "roll": ((4, 6), lambda x: torch.roll(x, 2, 1)),
    "flip": ((4, 6), lambda x: x.flip(0, 1)),
    "index": ((5, 3), lambda x: x[INDEX]),
    "index of the last dimension": ((4, 5), lambda x: x[:, ALONG]),
    "index of two dimensions": ((4, 5, 3), lambda x: x[ALONG, :, torch.tensor([2, 0, 2, 1])]),
    "one place of every example": ((4, 5), lambda x: x[torch.arange(4), ALONG]),
    "index_select": ((4, 5), lambda x: x.index_select(1, ALONG)),
    "embedding": ((5, 3), lambda x: F.embedding(INDEX, x)),
    "embedding_bag": ((5, 3), lambda x: F.embedding_bag(INDEX, x, mode="sum")),
    "gather": ((2, 5), lambda x: x.gather(1, INDEX)),
    "take": ((20,), lambda x: x.take(torch.tensor([3, 11, 19, 11, 6]))),
    "pad": ((4, 5), lambda x: F.pad(x, (1, 2), value=0.5)),
    "pad by reflection": ((2, 3, 5), lambda x: F.pad(x, (2, 1), mode="reflect")),
    "repeat": ((4, 3), lambda x: x.repeat(2, 3)),
    "tril": ((5, 5), lambda x: x.tril()),
    "diagonal": ((4, 4, 3), lambda x: x.diagonal(0, 0, 1)),
    "slice_scatter": ((4, 5), lambda x: torch.slice_scatter(x, torch.ones(4, 2, dtype=x.dtype), 1, 1, 3)),
    "select_scatter": ((4, 5), lambda x: torch.select_scatter(x, torch.ones(4, dtype=x.dtype), 1, 2)),
    "index_add": ((4, 5), lambda x: torch.zeros(4, 6, dtype=x.dtype).index_add(1, torch.tensor([0, 1, 1, 5, 2]), x)),
    "scatter_add": ((2, 3), lambda x: torch.zeros(2, 5, dtype=x.dtype).scatter_add(1, INDEX, x)),
    "scatter": ((2, 5), lambda x: x.scatter(1, torch.tensor([[0, 3], [4, 1]]), 2.0)),
    "index_copy": ((4, 5), lambda x: torch.zeros(6, 5, dtype=x.dtype).index_copy(0, torch.tensor([0, 2, 3, 5]), x)),
    "sum": ((4, 5, 3), lambda x: x.sum((0, 2))),
    "mean": ((4, 5, 3), lambda x: x.mean(1)),
    "cumulative_sum": ((4, 9), lambda x: x.cumsum(1)),
    "where": ((4, 5, 5), lambda x: torch.where(MASK, x, 1.0)),
    "dropout": ((6, 5), lambda x: x * torch.empty_like(x).bernoulli_(0.7) / 0.7),
    "normal noise": ((6, 5), lambda x: x * torch.randn_like(x)),
    "uniform noise": ((6, 5), lambda x: x * torch.rand_like(x)),
    "exponential noise": ((6, 5), lambda x: x * torch.empty_like(x).exponential_(2.0)),
}  # fmt: skip
"""Operators whose moments follow exactly from those of their input."""

SEVERAL: dict[str, tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor]]] = {
    "split": ((4, 6), lambda x: torch.cat(x.split([2, 4], 1)[::-1], 1)),
    "unbind": ((3, 4, 5), lambda x: x.unbind(0)[0] - 2.0 * x.unbind(0)[2]),
    "chunk": ((4, 6), lambda x: x.chunk(2, 1)[0] + x.chunk(2, 1)[1]),
    "differences": ((4, 7), lambda x: x[:, 1:] - x[:, :-1]),
    "concatenate": ((4, 3), lambda x: torch.cat([x, 2.0 * x, x], 1)),
    "stack": ((4, 3), lambda x: torch.stack([x, -x], 1)),
}  # fmt: skip
"""Several pieces of one tensor, whose gradients come back several ways and are added up as if uncorrelated."""


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("mean", [0.0, 0.6])
def test_moments_are_those_of_draws(name: str, mean: float, seed: int) -> None:
    shape, function = EXACT[name]
    agree(shape, function, mean, seed, 0.0)


NEAR: dict[str, tuple[tuple[int, ...], Callable[[torch.Tensor], torch.Tensor], float]] = {
    "variance": ((6, 40), lambda x: x.var(1), 0.06),
    "standard_deviation": ((6, 40), lambda x: x.std(1, correction=0), 0.06),
    "norm": ((6, 40), lambda x: x.norm(dim=1), 0.06),
    "max": ((6, 40), lambda x: x.amax(1), 0.06),
    "min": ((6, 40), lambda x: x.min(1).values, 0.06),
    "median": ((6, 41), lambda x: x.median(1).values, 0.06),
    "logsumexp": ((6, 40), lambda x: x.logsumexp(1), 0.06),
    "step": ((6, 20), lambda x: torch.where(x > 0.3, 2.0 * x, 0.1 * x), 0.03),
}
"""Operators whose moments are right to the first order in one over the number of elements, and how near that is."""


@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("mean", [0.0, 0.6])
def test_moments_are_near_those_of_draws(name: str, mean: float, seed: int) -> None:
    shape, function, slack = NEAR[name]
    agree(shape, function, mean, seed, slack)


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("mean", [0.0, 0.6])
def test_pieces_of_one_tensor_covary(name: str, mean: float, seed: int) -> None:
    shape, function = SEVERAL[name]
    agree(shape, function, mean, seed, 0.0, backward=False)


def agree(
    shape: Sequence[int], function: Callable[..., Any], mean: float, seed: int, slack: float, *, backward: bool = True
) -> None:
    """Compare every mean and every pair, forward and backward, within standard errors and a share of the largest."""
    torch.manual_seed(seed)
    out = tuple(function(torch.zeros(tuple(shape), dtype=torch.float64)).shape)
    sizes = effects(len(shape), mean), effects(len(out), 0.5 * mean)
    found = [in_single_axes(each) for each in predicted(function, moments(shape, sizes[0]), moments(out, sizes[1]))]
    rows = sampled(function, sizes, (shape, out), found, seed)
    for at, each in enumerate(found[: 1 + backward]):
        for values, seen, there in (
            (each.mean, rows[2 * at], True),
            (each.pairs, rows[2 * at + 1], exists(each)),
        ):
            error = ERRORS * seen.std(axis=0) / np.sqrt(DRAWS) + slack * np.abs(each.pairs).max() + 1e-9
            wrong = (np.abs(values - seen.mean(axis=0)) > error) & there
            assert not wrong.any(), (("forward", "backward")[at], values[wrong], seen.mean(axis=0)[wrong])

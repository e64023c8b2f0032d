"""Weights that get no gradient until others move, and units that stay one: against training and against all pairs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from justright.adapters.torch import ADAPTER
from justright.measure.engine import measure


class Paths(nn.Module):
    """Has the designs in which a factor starts at zero."""

    def __init__(self, *zeros: str) -> None:
        super().__init__()
        self.base, self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2, bias=False), nn.Linear(2, 4, bias=False)
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.gamma, self.alpha = nn.Parameter(torch.ones(4)), nn.Parameter(torch.tensor(1.0))
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.startswith(zeros):
                    parameter.zero_()

    def forward(self, x):
        x = self.base(x) + self.b(self.a(x))
        x = x + self.alpha * (self.gamma * torch.tanh(self.body(x)))
        return self.head(x)


DESIGNS = {
    "nothing": (),
    "low rank": ("b.",),
    "low rank, the other way": ("a.",),
    "low rank, both": ("a.", "b."),
    "head": ("head.",),
    "residual scale": ("gamma",),
    "residual gate": ("alpha",),
    "scale and gate": ("gamma", "alpha"),
    "scale and head": ("gamma", "head."),
    "low rank and head": ("b.", "head."),
    "all of them": ("b.", "head.", "gamma"),
}


def steps_until_open(model, batch, steps: int = 4) -> dict[str, int | None]:
    """Train by plain gradient descent, and see when each parameter first has a gradient."""
    model = copy.deepcopy(model)
    opened = {}
    for step in range(steps):
        model.zero_grad()
        score(model(batch)).backward()
        for name, parameter in model.named_parameters():
            if name not in opened and parameter.grad.count_nonzero():
                opened[name] = step
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(0.01 * parameter.grad)
    return {name: opened.get(name) for name, _ in model.named_parameters()}


def score(output, _batch=None):
    return (output - 1).square().mean()


@pytest.mark.parametrize("zeros", DESIGNS.values(), ids=DESIGNS.keys())
def test_weights_open_when_training_opens_them(zeros):
    torch.manual_seed(0)
    model, batch = Paths(*zeros), torch.randn(6, 4)
    profile = measure(ADAPTER, [ADAPTER.prepare(model, batch, score)]).profile
    found = {record.name: record.opens_after for record in profile.parameters}
    assert found == steps_until_open(model, batch)


# Identical units


def groups(weight: torch.Tensor, gradient: torch.Tensor) -> tuple[tuple[int, ...], ...]:
    """Compare every pair of rows."""
    size = len(weight)
    alike = [
        frozenset(
            j for j in range(size)
            if torch.equal(weight[i], weight[j]) and torch.allclose(gradient[i], gradient[j], rtol=1e-4, atol=1e-9)
        )
        for i in range(size)
    ]  # fmt: skip
    return tuple(sorted({tuple(sorted(group)) for group in alike if len(group) > 1}))


def twins(dropout: float = 0.0) -> nn.Module:
    """Make a network in which units 0, 2 and 5 are one, 1 and 3 have other outputs, and 4 is alone."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(dropout), nn.Linear(6, 2))
    with torch.no_grad():
        for unit in (2, 5):
            model[0].weight[unit], model[0].bias[unit] = model[0].weight[0], model[0].bias[0]
            model[3].weight[:, unit] = model[3].weight[:, 0]
        model[0].weight[3], model[0].bias[3] = model[0].weight[1], model[0].bias[1]
    return model


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_identical_units_are_those_of_all_pairs(dropout):
    model, batch = twins(dropout), torch.randn(7, 4)
    torch.manual_seed(3)
    found = measure(ADAPTER, [ADAPTER.prepare(model, batch, score)]).profile.parameter["0.weight"]
    torch.manual_seed(3)
    score(model(batch)).backward()
    assert found.identical == groups(model[0].weight, model[0].weight.grad)
    assert found.identical == (((0, 2, 5),) if dropout == 0 else ())
    assert found.units == 6


def test_identical_convolution_channels_and_constant_weights():
    model = nn.Sequential(nn.Conv1d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(30, 2))
    for layer in (model[0], model[3]):
        nn.init.constant_(layer.weight, 0.1)
        nn.init.zeros_(layer.bias)
    found = measure(ADAPTER, [ADAPTER.prepare(model, torch.randn(4, 3, 8), score)]).profile.parameter
    assert found["0.weight"].identical == ((0, 1, 2, 3, 4),)


def test_units_that_one_batch_tells_apart_are_not_identical():
    model = twins()
    with torch.no_grad():
        model[3].weight[1, 2] += 1.0  # the second output tells unit 2 from 0 and 5

    def first_output_of_seven(output, _batch):
        return (output.square() * torch.tensor([1.0, float(len(output) != 7)])).mean()

    found = []
    for sizes in ([7], [5], [7, 5]):
        jobs = [ADAPTER.prepare(model, torch.randn(size, 4), first_output_of_seven) for size in sizes]
        found.append(measure(ADAPTER, jobs).profile.parameter["0.weight"].identical)
    assert found == [((0, 2, 5),), ((0, 5),), ((0, 5),)]

"""Proof of the zoo's labels: every healthy network trains, and every sick one does not, as far as its severity says.

Each network is trained for a moment on its own batch, with both SGD and Adam at several step sizes. What counts is the
loss beside that of the best constant answer, so that a network which learns no more than how common each class is has
learned nothing. Running all of them writes `docs/zoo.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

import justright as jr
from justright.core.findings import Severity
from justright.testing import zoo

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("zoo")]

TABLE = Path(__file__).parents[2] / "docs" / "zoo.md"

STEPS = 150
"""Steps of training: enough for every healthy network here, a few seconds for the largest."""

RECIPES = [("SGD", 0.1), ("SGD", 0.01), ("SGD", 0.001), ("Adam", 1e-2), ("Adam", 1e-3)]
"""Optimizers, SGD with momentum 0.9, and step sizes: three decades for SGD, Adam's usual ones."""

LEARNED = 0.6
"""Part of the best constant answer's loss below which a network has learned from its inputs."""


@dataclass(frozen=True)
class Run:
    """One training: the recipe, and the loss at its start and at its end beside that of the best constant."""

    optimizer: str
    step: float
    before: float
    after: float

    @property
    def learned(self):
        return self.after < LEARNED


def job_of(network):
    from justright.adapters.torch import ADAPTER

    model, batch, loss = network.build(0)
    return ADAPTER.prepare(model, batch, loss), loss


def constant(job, loss):
    """Loss of the best answer that ignores the input: entropy of the classes, variance of numbers."""
    target = job.kwargs.get("labels", job.target)
    if target is None:
        return 1.0
    if target.dtype.is_floating_point:
        if loss == "bce":
            return float(torch.nn.functional.binary_cross_entropy(target.mean(0).expand_as(target), target))
        return float((target - target.mean(0)).square().mean())
    share = torch.bincount(target[target >= 0].flatten()) / (target >= 0).sum()
    return float(-(share * share.clamp_min(1e-12).log()).sum())


def optimizer_of(name, step, parameters):
    if name == "SGD":
        return torch.optim.SGD(parameters, step, momentum=0.9)
    return torch.optim.Adam(parameters, step)


def trained(network, name, step):
    """Train a fresh copy; a loss that is not finite ends it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        job, kind = job_of(network)
        unit = constant(job, kind)
        parameters = [each for each in job.model.parameters() if each.requires_grad]
        optimizer = optimizer_of(name, step, parameters)
        losses = []
        for _ in range(STEPS):
            loss = job.score(job.model(*job.args, **job.kwargs))
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]) or not loss.requires_grad:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Run(name, step, losses[0] / unit, median(losses[-10:]) / unit if math.isfinite(losses[-1]) else math.nan)


def best(runs, optimizer=None):
    """The run that ends lowest; one that diverged only if all did."""
    chosen = [run for run in runs if optimizer in {None, run.optimizer}]
    return min(chosen, key=lambda run: math.inf if math.isnan(run.after) else run.after)

"""Prediction against measurement: the same model predicted once, and measured as several seeds initialize it."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from justright.adapters.base import Target, load_adapter
from justright.measure.engine import measure
from justright.propagation.engine import predicted

SEEDS = 5
ADAPTER = load_adapter("torch")


@dataclass(frozen=True)
class Compared:
    """One site: what was predicted, what each seed gave, and the interval."""

    name: str
    predicted: float
    measured: tuple[float, ...]
    low: float
    high: float

    @property
    def rms(self):
        """RMS over the seeds."""
        return math.sqrt(float(np.mean(np.square(self.measured))))

    @property
    def error(self):
        """Relative error of the prediction."""
        return self.predicted / self.rms - 1.0

    @property
    def inside(self):
        """Seeds whose value lies in the interval."""
        return sum(self.low <= value <= self.high for value in self.measured)


@dataclass(frozen=True)
class Agreement:
    """All sites of one model, and how they were predicted."""

    forward: list
    gradient: list
    missing: list
    by_rule: int
    by_fallback: int
    exact_zeros: int


def jobs_of(make, seeds):
    """Yield a job for each seed: a model as the seed makes it, and the batch of the first one."""
    kept = None
    for seed in range(seeds):
        torch.manual_seed(seed)
        with ADAPTER.recording_initializers() as recorded:
            model, batch, loss = make()
            kept = batch if kept is None else kept
            target = Target(model, kept, loss, initializers=recorded(model))
        yield ADAPTER.prepare(target.model, target.batch, target.loss, initializers=target.initializers)


def agreement(make, seeds=SEEDS):
    """Predict a model, and measure it as `seeds` seeds make it.

    A measured value is left out where it is no more than rounding: where the gradient is zero by the structure of the
    network (a bias before a normalization), or below the smallest normal number of float32.
    """
    jobs = jobs_of(make, seeds)
    job = next(jobs)
    graph = ADAPTER.record(job) if ADAPTER.small(job) else ADAPTER.trace(job)
    profile = predicted(graph, ADAPTER.arrays(job), apply=ADAPTER.apply, run=ADAPTER.run).profile
    runs = [measure(ADAPTER, [job], graph).profile.by_name]
    runs += [measure(ADAPTER, [job], graph).profile.by_name for job in jobs]
    sides = {"forward": [], "gradient": []}
    missing, zeros, ways = [], 0, []
    for site in profile.sites:
        for side, found in sides.items():
            values = [rms for run in runs if (rms := _rms(run.get(site.name), side)) is not None]
            if not values or max(values) < float(np.finfo(np.float32).tiny):
                continue
            estimate = getattr(site.predicted, side) if site.predicted else None
            if estimate is None:
                missing.append(f"{side} {site.name}")
                continue
            ways.append(estimate.how)
            if estimate.rms == 0.0:
                zeros += 1
            else:
                found.append(Compared(site.name, estimate.rms, tuple(values), estimate.low, estimate.high))
    return Agreement(
        **sides, missing=missing, by_rule=ways.count("rule"), by_fallback=ways.count("fallback"), exact_zeros=zeros
    )


def _rms(record, side):
    statistics = getattr(record, side) if record is not None else None
    return statistics.rms if statistics is not None and math.isfinite(statistics.rms) else None


def quantiles(compared):
    """Median and 95th percentile of the relative error, and the share of measured values inside the interval."""
    errors = [abs(each.error) for each in compared]
    inside = sum(each.inside for each in compared) / sum(len(each.measured) for each in compared)
    return float(np.median(errors)), float(np.percentile(errors, 95)), inside

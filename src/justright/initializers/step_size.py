"""Step sizes of state-space models: the bias that makes them what is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import roots_legendre

from justright.core.quantiles import to_uniform
from justright.initializers.base import Elementwise, Target, initializer
from justright.initializers.laws import Array, Floats, Words

__all__: list[str] = []

NODES, WEIGHTS = roots_legendre(64)
"""The law's quantile is smooth: 64 points integrate it to the last digit."""


@dataclass(frozen=True, slots=True)
class _LogUniform:
    """The inverse softplus of a number whose logarithm is uniform."""

    low: float
    high: float

    def _quantile(self, share: Array) -> Array:
        step = self.low * (self.high / self.low) ** share
        return np.asarray(step + np.log(-np.expm1(-step)))  # the inverse of log(1 + exp(x))

    def _moment(self, order: int) -> float:
        return float(WEIGHTS @ self._quantile(0.5 * (NODES + 1.0)) ** order) / 2.0

    @property
    def mean(self) -> float:
        """Expectation."""
        return self._moment(1)

    @property
    def variance(self) -> float:
        """Expectation of the squared distance to the mean."""
        return self._moment(2) - self.mean**2

    @property
    def bound(self) -> float:
        """Largest magnitude that can be drawn."""
        return float(np.abs(self._quantile(np.array([0.0, 1.0]))).max())

    def cdf(self, x: Any) -> Array:  # noqa: ANN401  a number or an array of any kind
        """Return the probability of an element up to x."""
        step = np.logaddexp(0.0, np.asarray(x, np.float64))
        return np.clip(np.log(step / self.low) / math.log(self.high / self.low), 0.0, 1.0)

    def draw(self, words: Words) -> Floats:
        """Return one element a word."""
        return self._quantile(to_uniform(words).astype(np.float64)).astype(np.float32)


@initializer("mamba_delta_bias")
@dataclass(frozen=True)
class MambaDeltaBias(Elementwise):
    """The bias in front of the softplus of a selective state space, so that step sizes spread over two decades.

    Formula: ``b = dt + log(1 - exp(-dt))`` with ``log dt ~ U(log shortest, log longest)``: softplus(b) = dt [Gu2023].

    When to use it: the bias of ``dt_proj`` in Mamba, and the same in S4 and S5.

    When not: other biases: zeros.

    Parameters
    ----------
    shortest, longest
        Step sizes, above zero.
    """

    shortest: float = 1e-3
    longest: float = 1e-1

    def __post_init__(self) -> None:
        self.needs(0.0 < self.shortest < self.longest < math.inf, "0 < shortest < longest")

    def law(self, target: Target) -> _LogUniform:  # noqa: ARG002  every scheme has one signature
        """Return the distribution of the bias."""
        return _LogUniform(self.shortest, self.longest)

"""State-space models: transition matrices that remember."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from justright.core.streams import Stream
from justright.initializers.base import Declared, Floats, Initializer, Part, Target, initializer
from justright.initializers.structured import Array

__all__: list[str] = []


@dataclass(frozen=True)
class _Fixed(Initializer):
    """Numbers that follow from the shape alone, whatever the parameter does."""

    @abstractmethod
    def values(self, target: Target) -> Array:
        """Return the numbers in the shape that is stored, or raise `SchemeError`."""

    def declared(self, target: Target) -> Declared:
        """Return the moments of the numbers themselves."""
        values = self.values(target)
        return Declared(float(values.mean()), float(values.var()), float(np.abs(values).max()), "state space")

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:  # noqa: ARG002
        """Return the numbers, or a slice of them."""
        return np.ascontiguousarray(self.values(target)[part or ...], np.float32)


@initializer("hippo_legs")
@dataclass(frozen=True)
class HippoLegs(_Fixed):
    """The matrix whose state holds the best Legendre polynomials through all of the past.

    Formula: ``A[n, k] = -sqrt((2n + 1)(2k + 1))`` below the diagonal, ``-(n + 1)`` on it, zero above [Gu2020].

    When to use it: the transition matrix of S4 and of other state-space models with a full matrix.

    When not: diagonal models: mamba_a_log.
    """

    def values(self, target: Target) -> Array:
        """Return the matrix."""
        if len(target.shape) != len("nk") or target.shape[0] != target.shape[1] or not target.size:
            raise self.refused(target, "a square matrix", "mamba_a_log, for a diagonal")
        n = np.arange(target.shape[0], dtype=np.float64)
        below = np.tril(np.sqrt(np.multiply.outer(2 * n + 1, 2 * n + 1)), -1)
        return -(below + np.diag(n + 1))


@initializer("mamba_a_log")
@dataclass(frozen=True)
class MambaALog(_Fixed):
    """Decay rates 1, 2, 3 … along the last axis, stored as logarithms.

    Formula: ``A_log[..., n] = log(n + 1)``, for ``A = -exp(A_log)``: the real part of the diagonal of HiPPO [Gu2022],
    [Gu2023].

    When to use it: the diagonal transition of Mamba and S4D.

    When not: full matrices: hippo_legs.
    """

    def values(self, target: Target) -> Array:
        """Return the logarithms."""
        if not target.shape or not target.size:
            raise self.refused(target, "one axis or more", "zeros")
        return np.broadcast_to(np.log(np.arange(1.0, target.shape[-1] + 1.0)), target.shape)

"""State-space models: transition matrices that remember."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from justright.core.streams import Stream
from justright.initializers.base import Declared, Floats, Initializer, Part, Target, initializer
from justright.initializers.structured import Array

__all__: list[str] = []

FREQUENCIES: Final[Mapping[str, Callable[[Array], Array]]] = MappingProxyType(
    {
        "lin": lambda n: np.pi * n,
        "inv": lambda n: 2 * n.size / np.pi * (2 * n.size / (2 * n + 1) - 1),  # the state has two numbers a pair
    }
)
"""Imaginary parts of S4D-Lin and of S4D-Inv [Gu2022]."""


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


@initializer("s4d")
@dataclass(frozen=True)
class S4d(_Fixed):
    """A diagonal of conjugate pairs that all decay alike, each at a frequency of its own.

    Formula: ``A[..., n] = -1/2 + i w_n`` with ``w_n = pi n`` (lin), or ``w_n = N / pi (N / (2 n + 1) - 1)`` (inv), N
    being the size of the state: two for each pair that is stored [Gu2022]. Stored as two real parameters: the real
    part as ``log(1/2)``, for ``-exp(log_A_real)``, the imaginary part as it is. Which of the two a parameter is, is
    told by `part`, or by ``real`` or ``imag`` in its name.

    When to use it: S4D and other diagonal models of complex numbers: inv for the frequencies of HiPPO, lin for even
    ones.

    When not: real diagonals: mamba_a_log. Full matrices: hippo_legs.

    Parameters
    ----------
    frequencies
        ``"lin"`` or ``"inv"``.
    part
        ``"real"`` or ``"imag"``; by the name, if empty.
    """

    frequencies: str = "lin"
    part: str = ""

    def __post_init__(self) -> None:
        self.needs(self.frequencies in FREQUENCIES, f"one of {', '.join(FREQUENCIES)}")
        self.needs(self.part in {"", "real", "imag"}, "real, imag, or nothing for that of the name")

    def values(self, target: Target) -> Array:
        """Return the logarithms of the decay rates, or the frequencies."""
        named = [part for part in ("real", "imag") if part in target.name.lower()]
        parts = [self.part] if self.part else named
        if len(parts) != 1 or not target.shape or not target.size:
            raise self.refused(target, "real or imag in the name, and one axis or more", f"{self.name}(part='imag')")
        rates = FREQUENCIES[self.frequencies](np.arange(target.shape[-1], dtype=np.float64))
        return np.broadcast_to(np.full_like(rates, np.log(0.5)) if parts == ["real"] else rates, target.shape)

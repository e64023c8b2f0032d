"""He's rule: rectifiers keep the second moment of the signal, or of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from justright.initializers.base import Target, initializer
from justright.initializers.fanned import MODES, Fanned

__all__: list[str] = []


@initializer("he_normal")
@dataclass(frozen=True)
class HeNormal(Fanned):
    """Variance two over fan in; less for a leaky rectifier.

    Formula: ``W ~ N(0, 2 / ((1 + slope²) n))``, n being fan in [He2015].

    When to use it: ReLU, leaky ReLU and PReLU at depth without normalization; GELU and SiLU within ten percent.

    When not: tanh and other saturating activations, whose units it saturates: xavier_normal. Residual branches without
    normalization, whose sum it doubles at every block.

    Parameters
    ----------
    slope
        Of the rectifier for negative inputs.
    mode
        ``"fan_in"`` keeps the forward signal, ``"fan_out"`` the gradient; they differ by a factor that does not grow
        with depth.
    """

    slope: float = 0.0
    mode: str = "fan_in"

    distribution_name: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        self.needs(math.isfinite(self.slope), "a finite slope")
        self.one_of(self.mode, MODES, "mode")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return one over the second moment that a rectifier leaves of one."""
        return 2.0 / (1.0 + float(self.slope) ** 2)


@initializer("he_uniform")
@dataclass(frozen=True)
class HeUniform(Fanned):
    """Variance two over fan in, uniform; less for a leaky rectifier.

    Formula: ``W ~ U(-b, b)`` with ``b = sqrt(6 / ((1 + slope²) n))``, n being fan in [He2015]. No element is far out,
    which low precision and early saturation like.

    When to use it: ReLU, leaky ReLU and PReLU at depth without normalization; GELU and SiLU within ten percent.

    When not: tanh and other saturating activations, whose units it saturates: xavier_uniform. Residual branches without
    normalization, whose sum it doubles at every block.

    Parameters
    ----------
    slope
        Of the rectifier for negative inputs.
    mode
        ``"fan_in"`` keeps the forward signal, ``"fan_out"`` the gradient; they differ by a factor that does not grow
        with depth.
    """

    slope: float = 0.0
    mode: str = "fan_in"

    distribution_name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        self.needs(math.isfinite(self.slope), "a finite slope")
        self.one_of(self.mode, MODES, "mode")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return one over the second moment that a rectifier leaves of one."""
        return 2.0 / (1.0 + float(self.slope) ** 2)


@initializer("he_truncated")
@dataclass(frozen=True)
class HeTruncated(Fanned):
    """Variance two over fan in, a truncated normal; less for a leaky rectifier.

    Formula: ``W`` is Gaussian, cut at two sigma, with variance ``2 / ((1 + slope²) n)`` after that, n
    being fan in [He2015]. As the normal one, without outliers.

    When to use it: ReLU, leaky ReLU and PReLU at depth without normalization; GELU and SiLU within ten percent.

    When not: tanh and other saturating activations, whose units it saturates: xavier_truncated. Residual branches
    without normalization, whose sum it doubles at every block.

    Parameters
    ----------
    slope
        Of the rectifier for negative inputs.
    mode
        ``"fan_in"`` keeps the forward signal, ``"fan_out"`` the gradient; they differ by a factor that does not grow
        with depth.
    """

    slope: float = 0.0
    mode: str = "fan_in"

    distribution_name: ClassVar[str] = "truncated_normal"

    def __post_init__(self) -> None:
        self.needs(math.isfinite(self.slope), "a finite slope")
        self.one_of(self.mode, MODES, "mode")

    def scaled(self, target: Target) -> float:  # noqa: ARG002  every scheme has one signature
        """Return one over the second moment that a rectifier leaves of one."""
        return 2.0 / (1.0 + float(self.slope) ** 2)

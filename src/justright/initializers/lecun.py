"""LeCun's rule: the forward signal of a linear layer keeps its second moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from justright.initializers.base import initializer
from justright.initializers.fanned import Fanned

__all__: list[str] = []


@initializer("lecun_normal")
@dataclass(frozen=True)
class LecunNormal(Fanned):
    """Variance one over fan in.

    Formula: ``W ~ N(0, 1 / fan_in)`` [LeCun1998].

    When to use it: layers without an activation, and SELU networks, whose activation has a gain of one [Klambauer2017].

    When not: before rectifiers, which halve the second moment: he_normal.
    """

    distribution_name: ClassVar[str] = "normal"


@initializer("lecun_uniform")
@dataclass(frozen=True)
class LecunUniform(Fanned):
    """Variance one over fan in, uniform.

    Formula: ``W ~ U(-b, b)`` with ``b = sqrt(3 / fan_in)`` [LeCun1998]. No element is far out, which low precision and
    early saturation like.

    When to use it: layers without an activation, and SELU networks, whose activation has a gain of one [Klambauer2017].

    When not: before rectifiers, which halve the second moment: he_uniform.
    """

    distribution_name: ClassVar[str] = "uniform"


@initializer("lecun_truncated")
@dataclass(frozen=True)
class LecunTruncated(Fanned):
    """Variance one over fan in, a truncated normal.

    Formula: ``W`` is Gaussian, cut at two standard deviations, with variance ``1 / fan_in`` after that [LeCun1998]. As
    the normal one, without outliers.

    When to use it: layers without an activation, and SELU networks, whose activation has a gain of one [Klambauer2017].

    When not: before rectifiers, which halve the second moment: he_truncated.
    """

    distribution_name: ClassVar[str] = "truncated_normal"

"""Low-rank adapters: a pair of matrices beside a weight, which together begin as the weight alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from justright.initializers.base import Target, initializer
from justright.initializers.driven import DataDriven
from justright.initializers.laws import Constant, Law, Uniform
from justright.initializers.placed import Placed

__all__: list[str] = []


@initializer("lora")
@dataclass(frozen=True)
class Lora(Placed):
    """The first matrix of the pair is uniform, the second one zero: the adapted layer begins as it was.

    Formula: ``A ~ U(-b, b)`` with ``b = 1 / sqrt(fan_in)``, which is PyTorch's default, and ``B = 0`` [Hu2021]. Which
    of the two a matrix is, is told by its place, or by ``lora_a`` or ``lora_b`` in its name.

    When to use it: adapters of large models.

    When not: pretrained weights, which it refuses: exclude them. Both matrices at zero would never learn.
    """

    def weights(self, target: Target) -> Law:
        """Return the uniform distribution of A, zero for B."""
        name = target.name.lower()
        roles = [role for role in ("lora_a", "lora_b") if target.place.role == role or role in name]
        if len(roles) != 1:
            raise self.refused(target, "lora_a or lora_b in the name", "he_uniform")
        bound = self.fans(target)[0] ** -0.5
        return Constant(0.0) if roles == ["lora_b"] else Uniform(-bound, bound)


@initializer("pissa")
@dataclass(frozen=True)
class Pissa(DataDriven):
    """The pair holds the largest singular values of the adapted weight, the weight what is left.

    Formula: ``W = U S Vᵀ``, of which the first r singular values, r the rank of the pair: ``A = sqrt(S_r) V_rᵀ``,
    ``B = U_r sqrt(S_r) / scaling``, and ``W <- W - scaling · B A``: the adapted layer begins as it was, and training
    moves its principal directions [Meng2024].

    When to use it: adapters of pretrained weights, instead of lora. By ``jr.calibrate(model, [], "pissa")``: it reads
    the weights, and no batch. The adapted weight changes with the pair: keep the original for merging.

    When not: weights that are random, whose principal directions mean nothing: lora.

    Parameters
    ----------
    scaling
        Factor on the product of the pair in the layer's forward pass; zero to read it from the attribute ``scaling``
        of the layer, or to take one if there is none.
    """

    scaling: float = 0.0

    reads_batches: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.needs(0.0 <= self.scaling < math.inf, "a factor above zero, or zero to read it from the layer")

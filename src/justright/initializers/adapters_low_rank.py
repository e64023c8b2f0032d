"""Low-rank adapters: a pair of matrices whose product begins at zero."""

from __future__ import annotations

from dataclasses import dataclass

from justright.initializers.base import Target, initializer
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

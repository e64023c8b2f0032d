"""Xavier's rule, made smaller or larger with the number of blocks of a transformer."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.initializers.base import Target, initializer
from justright.initializers.laws import Law, Normal
from justright.initializers.placed import Deep

__all__: list[str] = []


@dataclass(frozen=True)
class _Gained(Deep):
    """Xavier's normal times a gain for matrices in residual branches, and without it for those known to lie outside."""

    @abstractmethod
    def gain(self, blocks: float) -> float:
        """Return the factor on Xavier's standard deviation."""

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the depth."""
        fan_in, fan_out = self.fans(target)
        factor = 1.0 if self.outside(target) else self.gain(self.blocks(target))
        return Normal(0.0, factor * math.sqrt(2.0 / (fan_in + fan_out)))


@initializer("deepnorm")
@dataclass(frozen=True)
class DeepNorm(_Gained):
    """Xavier's rule made smaller with depth, beside a residual stream that is multiplied before each sum.

    Formula: ``W ~ N(0, 2 gain² / (fan_in + fan_out))`` with ``gain = (8 layers)^(-1/4)`` for the values, the outputs
    of attention and the feed-forward part; the architecture computes ``norm(alpha x + f(x))`` with
    ``alpha = (2 layers)^(1/4)`` [Wang2022a]. Queries and keys take xavier_normal, and so do matrices that are known to
    lie outside the branches. Biases are zero, factors one.

    When to use it: post-norm transformers of one stack up to 1,000 layers, whose code has the factor alpha.

    When not: pre-norm transformers: gpt2. A stream without alpha, in which these weights are only small.

    Parameters
    ----------
    layers
        Blocks of the stack; zero for half the residual branches that the network has.
    """

    def gain(self, blocks: float) -> float:
        """Return the factor of the paper's table for one stack."""
        return (8.0 * blocks) ** -0.25


@initializer("sub_ln")
@dataclass(frozen=True)
class SubLn(_Gained):
    """Xavier's rule enlarged with depth, for blocks that normalize a second time inside of each branch (Magneto).

    Formula: ``W ~ N(0, 2 gain² / (fan_in + fan_out))`` with ``gain = sqrt(log(2 layers))`` for the values, the outputs
    of attention and the feed-forward part [Wang2022b]. Queries and keys take xavier_normal, and so do matrices that
    are known to lie outside the branches. Biases zero, factors one.

    When to use it: transformers of one stack with a normalization in front of each output projection too.

    When not: without that second normalization: gpt2 before, deepnorm after the sum.

    Parameters
    ----------
    layers
        Blocks of the stack; zero for half the residual branches that the network has.
    """

    def gain(self, blocks: float) -> float:
        """Return the factor of the paper for one stack; a single branch has the gain of one block."""
        return math.sqrt(math.log(2.0 * max(blocks, 1.0)))


@initializer("t_fixup")
@dataclass(frozen=True)
class TFixup(_Gained):
    """Xavier's rule made smaller with depth, for transformers without normalization and without a warm-up.

    Formula: matrices: Xavier's normal times ``0.67 layers^(-1/4)`` in an encoder, ``(9 layers)^(-1/4)`` in a decoder;
    tables: ``N(0, 1 / d)`` times ``(9 layers)^(-1/4)`` [Huang2020]. For the values, the outputs of attention, the
    feed-forward part and the tables; queries and keys take xavier_normal, and so do matrices that are known to lie
    outside the branches. Biases are zero, factors one.

    When to use it: encoders and decoders whose normalizations were taken out.

    When not: pre-norm transformers: gpt2. Post-norm ones: deepnorm.

    Parameters
    ----------
    layers
        Blocks of the encoder, or of the decoder; zero for half the residual branches that the network has.
    decoder
        Whether the matrices are those of a decoder.
    """

    decoder: bool = False

    def gain(self, blocks: float) -> float:
        """Return the factor of section 3.2 there: of a decoder, or of an encoder."""
        return (9.0 * blocks) ** -0.25 if self.decoder else 0.67 * blocks**-0.25

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the depth."""
        if target.layout.kind is not Kind.LOOKUP:
            return super().weights(target)
        width = target.shape[target.layout.outputs[0]]
        return Normal(0.0, (9.0 * self.blocks(target)) ** -0.25 / math.sqrt(width))

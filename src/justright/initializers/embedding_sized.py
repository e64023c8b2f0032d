"""Small weights for transformers, by the width of the embedding and the number of layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.initializers.base import Target, initializer
from justright.initializers.laws import Law, Normal
from justright.initializers.placed import Placed

__all__: list[str] = []


@initializer("small_init")
@dataclass(frozen=True)
class SmallInit(Placed):
    """Xavier's rule for a matrix to four times the width, used for every matrix of a transformer.

    Formula: ``W ~ N(0, 2 / (5 d))``, d being the width of the embedding [Nguyen2019]; biases zero, factors one.

    When to use it: transformers that are trained without a warm-up; all but the last matrix of each branch: wang.

    When not: convolutional networks: he_normal.

    Parameters
    ----------
    width
        Of the embedding; by default the fan in of a matrix, the row length of a table.
    """

    width: int = 0

    def __post_init__(self) -> None:
        self.needs(self.width == int(self.width) >= 0, "a whole number of units, or zero for the layer's own")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the width."""
        return Normal(0.0, math.sqrt(2.0 / (5.0 * (self.width or _width(self, target)))))


@initializer("wang")
@dataclass(frozen=True)
class Wang(Placed):
    """The last matrix of each branch, so small that all branches of a deep transformer together stay of order one.

    Formula: ``W ~ N(0, (2 / (layers sqrt(d)))²)``, d being the width [Wang2021]; biases zero, factors one.

    When to use it: output projections of attention and of the feed-forward part, beside small_init for the others.

    When not: matrices that begin a branch: small_init. Networks without residual branches, whose signal it ends.

    Parameters
    ----------
    layers
        Blocks of the transformer, one or more.
    width
        Of the embedding; by default the fan in of a matrix.
    """

    layers: int = 12
    width: int = 0

    def __post_init__(self) -> None:
        self.needs(self.layers == int(self.layers) >= 1, "a whole number of layers, one or more")
        self.needs(self.width == int(self.width) >= 0, "a whole number of units, or zero for the layer's own")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for width and depth."""
        return Normal(0.0, 2.0 / (self.layers * math.sqrt(self.width or _width(self, target))))


@initializer("deepnorm")
@dataclass(frozen=True)
class DeepNorm(Placed):
    """Xavier's rule made smaller with depth, beside a residual stream that is multiplied before each sum.

    Formula: ``W ~ N(0, 2 gain² / (fan_in + fan_out))`` with ``gain = (8 layers)^(-1/4)`` for the values, the outputs
    of attention and the feed-forward part; the architecture computes ``norm(alpha x + f(x))`` with
    ``alpha = (2 layers)^(1/4)`` [Wang2022a]. Queries and keys take xavier_normal. Biases are zero, factors one.

    When to use it: post-norm transformers of one stack up to 1,000 layers, whose code has the factor alpha.

    When not: pre-norm transformers: gpt2. A stream without alpha, in which these weights are only small.

    Parameters
    ----------
    layers
        Blocks of the stack, one or more.
    """

    layers: int = 12

    def __post_init__(self) -> None:
        self.needs(self.layers == int(self.layers) >= 1, "a whole number of layers, one or more")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the depth."""
        fan_in, fan_out = self.fans(target)
        return Normal(0.0, (8.0 * self.layers) ** -0.25 * math.sqrt(2.0 / (fan_in + fan_out)))


@initializer("sub_ln")
@dataclass(frozen=True)
class SubLn(Placed):
    """Xavier's rule enlarged with depth, for blocks that normalize a second time inside of each branch (Magneto).

    Formula: ``W ~ N(0, 2 gain² / (fan_in + fan_out))`` with ``gain = sqrt(log(2 layers))`` for the values, the outputs
    of attention and the feed-forward part [Wang2022b]. Queries and keys take xavier_normal. Biases zero, factors one.

    When to use it: transformers of one stack with a normalization in front of each output projection too.

    When not: without that second normalization: gpt2 before, deepnorm after the sum.

    Parameters
    ----------
    layers
        Blocks of the stack, one or more.
    """

    layers: int = 12

    def __post_init__(self) -> None:
        self.needs(self.layers == int(self.layers) >= 1, "a whole number of layers, one or more")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the depth."""
        fan_in, fan_out = self.fans(target)
        return Normal(0.0, math.sqrt(math.log(2.0 * self.layers) * 2.0 / (fan_in + fan_out)))


@initializer("t_fixup")
@dataclass(frozen=True)
class TFixup(Placed):
    """Xavier's rule made smaller with depth, for transformers without normalization and without a warm-up.

    Formula: matrices: Xavier's normal times ``0.67 layers^(-1/4)`` in an encoder, ``(9 layers)^(-1/4)`` in a decoder;
    tables: ``N(0, 1 / d)`` times ``(9 layers)^(-1/4)`` [Huang2020]. For the values, the outputs of attention, the
    feed-forward part and the tables; queries and keys take xavier_normal. Biases are zero, factors one.

    When to use it: encoders and decoders whose normalizations were taken out.

    When not: pre-norm transformers: gpt2. Post-norm ones: deepnorm.

    Parameters
    ----------
    layers
        Blocks of the encoder, or of the decoder, one or more.
    decoder
        Whether the matrices are those of a decoder.
    """

    layers: int = 6
    decoder: bool = False

    def __post_init__(self) -> None:
        self.needs(self.layers == int(self.layers) >= 1, "a whole number of layers, one or more")

    def weights(self, target: Target) -> Law:
        """Return the Gaussian for the depth."""
        decoding = (9.0 * self.layers) ** -0.25
        if target.layout.kind is Kind.LOOKUP:
            return Normal(0.0, decoding / math.sqrt(_width(self, target)))
        fan_in, fan_out = self.fans(target)
        factor = decoding if self.decoder else 0.67 * self.layers**-0.25  # section 3.2 there
        return Normal(0.0, factor * math.sqrt(2.0 / (fan_in + fan_out)))


def _width(scheme: Placed, target: Target) -> int:
    if target.layout.kind is Kind.LOOKUP:
        return int(target.shape[target.layout.outputs[0]])
    return int(scheme.fans(target)[0])

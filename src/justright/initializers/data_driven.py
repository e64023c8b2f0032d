"""Schemes that need batches: what they are and their parameters; `justright.calibrate` carries them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from justright.core.streams import Stream
from justright.initializers.base import Declared, Floats, Initializer, Part, Target, initializer

__all__: list[str] = []


@dataclass(frozen=True)
class _DataDriven(Initializer):
    """A scheme that changes weights by what batches do in the network."""

    start: ClassVar[str] = ""
    """Scheme that the weights have before; empty to begin with those that are there."""

    def declared(self, target: Target) -> Declared:
        """Raise `SchemeError`: without batches nothing can be said."""
        self._fail(target)

    def sample(self, target: Target, stream: Stream, part: Part | None = None) -> Floats:  # noqa: ARG002
        """Raise `SchemeError`: without batches nothing can be said."""
        self._fail(target)

    def _fail(self, target: Target) -> NoReturn:
        raise self.refused(target, "batches", f"jr.calibrate(model, batches, {self.name!r})")


@initializer("lsuv")
@dataclass(frozen=True)
class Lsuv(_DataDriven):
    """Orthogonal weights, then layer after layer divided by the standard deviation of its output on a batch.

    Formula: orthogonal; then, in the order of the forward pass, ``W <- W / std(output)`` until ``|var - 1|`` is within
    `tolerance`, at most `attempts` times [Mishkin2015]. Biases are zero. The first batch is used.

    When to use it: any network whose layers are known and a batch at hand, without thinking about fans.

    When not: layers that begin at zero on purpose, which it refuses to scale: exclude them by another scheme.

    Parameters
    ----------
    tolerance
        Distance of a layer's variance to one that is small enough, above zero.
    attempts
        For each layer, one or more.
    """

    tolerance: float = 0.01
    attempts: int = 10

    start: ClassVar[str] = "orthogonal"

    def __post_init__(self) -> None:
        self.needs(0.0 < self.tolerance < math.inf, "a tolerance above zero")
        self.needs(self.attempts == int(self.attempts) >= 1, "a whole number of attempts, one or more")


@initializer("krahenbuhl")
@dataclass(frozen=True)
class Krahenbuhl(_DataDriven):
    """Every channel of every layer gets mean zero and variance one on a batch, by its weights and its bias.

    Formula: Gaussian weights; then, in the order of the forward pass, ``W_c <- W_c / std_c`` and
    ``b_c <- -mean_c / std_c`` for each channel c: section 3.1 of [Krahenbuhl2015]. The rates of change of the layers,
    which section 3.2 makes equal after that, stay as they are. The first batch is used.

    When to use it: networks without normalization that are trained or tuned on data like the batch.

    When not: layers without a bias, whose mean stays: lsuv. Small batches, whose channels have chance means.
    """

    start: ClassVar[str] = "he_normal"


@initializer("metainit")
@dataclass(frozen=True)
class MetaInit(_DataDriven):
    """The norm of each weight is learned so that a step along the gradient changes the gradient little.

    Formula: minimize the gradient quotient, the mean over parameters of ``|(g - H g) / (g + eps sign g) - 1|``, by
    signed steps with momentum on the norms of matrices and kernels [Dauphin2019].

    When to use it: unusual architectures without normalization, for which no formula is known.

    When not: large networks: each step costs several backward passes. Activations without a second derivative, whose
    curvature is zero where it is asked for: smooth ones only.

    Parameters
    ----------
    steps
        One or more; each uses the next batch.
    rate, momentum
        Of the norms, in their own units.
    eps
        What keeps the quotient finite.
    """

    steps: int = 200
    rate: float = 0.01
    momentum: float = 0.9
    eps: float = 1e-5

    def __post_init__(self) -> None:
        self.needs(self.steps == int(self.steps) >= 1, "a whole number of steps, one or more")
        self.needs(0.0 < self.rate < math.inf, "a rate above zero")
        self.needs(0.0 <= self.momentum < 1.0, "a momentum from zero to below one")


@initializer("gradinit")
@dataclass(frozen=True)
class GradInit(_DataDriven):
    """A factor on each parameter is learned so that the loss after one step of SGD is small and the gradient not large.

    Formula: minimize over factors m the loss on the next batch at ``m w - rate g(m w)``, or, while the gradient's norm
    is above `bound`, that norm; Adam on m, which stays at or above 0.01 [Zhu2021].

    When to use it: networks that diverge in the first steps.

    When not: large networks: each step costs a gradient through a gradient. Parameters that begin at zero stay zero.

    Parameters
    ----------
    steps
        One or more; each uses one batch and the next.
    rate
        Step size of the SGD step that is looked ahead, above zero.
    bound
        Norm of the gradient that is not to be exceeded, above zero.
    learning_rate
        Of the factors.
    """

    steps: int = 100
    rate: float = 0.1
    bound: float = 1.0
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        self.needs(self.steps == int(self.steps) >= 1, "a whole number of steps, one or more")
        self.needs(0.0 < self.rate < math.inf, "a step size above zero")
        self.needs(0.0 < self.bound < math.inf, "a norm above zero")
        self.needs(0.0 < self.learning_rate < math.inf, "a learning rate above zero")

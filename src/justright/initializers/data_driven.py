"""Schemes that need batches: what they are and their parameters; `justright.calibrate` carries them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from justright.initializers.base import initializer
from justright.initializers.driven import DataDriven

__all__: list[str] = []


@initializer("lsuv")
@dataclass(frozen=True)
class Lsuv(DataDriven):
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
class Krahenbuhl(DataDriven):
    """Every channel has mean zero and variance one on a batch; then all layers change at the same rate.

    Formula: Gaussian weights; then, in the order of the forward pass, ``W_c <- W_c / std_c`` and
    ``b_c <- -mean_c / std_c`` for each channel c (section 3.1 of [Krahenbuhl2015]). After that (section 3.2), with
    ``C_k`` the norm of the gradient of layer k over the norm of its weight, for a random gradient at the last layer,
    and C their geometric mean: ``W_k <- W_k sqrt(C_k / C)^damping``, again and again. The product of these factors is
    one, and the biases follow the factors so far: a network of rectifiers computes what it did before. The first batch
    is used.

    When to use it: networks without normalization that are trained or tuned on data like the batch.

    When not: layers without a bias, whose mean stays: lsuv. Small batches, whose channels have chance means.
    Residual sums and saturating activations, under which the factors do change the last layer's output: a step that
    changes its standard deviation by a tenth is taken back, and the rates stay as they are then.

    Parameters
    ----------
    rounds
        Steps towards equal rates of change; zero to leave them.
    damping
        Share of the way that each goes, above zero, up to one.
    """

    rounds: int = 10
    damping: float = 0.5

    start: ClassVar[str] = "he_normal"

    def __post_init__(self) -> None:
        self.needs(self.rounds == int(self.rounds) >= 0, "a whole number of rounds, zero or more")
        self.needs(0.0 < self.damping <= 1.0, "a damping above zero, up to one")


@initializer("admin")
@dataclass(frozen=True)
class Admin(DataDriven):
    """Factors on the residual stream of a post-norm transformer, from the variances of its branches on a batch.

    Formula: the architecture computes ``norm(omega_i x + f_i(x))``; matrices by xavier_uniform, all omega one, one
    forward pass; then ``omega_i = sqrt(Var[x_0] + Var[f_1] + ... + Var[f_(i-1)])``, x_0 what enters the first sum
    [Liu2020]. Each branch then adds a share of the stream that falls as one over its depth, as pre-norm has it, so
    that no update of one branch moves the output more with depth. The first batch is used.

    When to use it: deep post-norm transformers, whose code has the factors.

    When not: code without the factors: deepnorm needs a constant one, gpt2 a pre-norm transformer.

    Parameters
    ----------
    factors
        Pattern of the names of the parameters omega.
    """

    factors: str = "*omega*"

    start: ClassVar[str] = "xavier_uniform"


@initializer("metainit")
@dataclass(frozen=True)
class MetaInit(DataDriven):
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
class GradInit(DataDriven):
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

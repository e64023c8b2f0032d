"""What the frameworks put into a parameter when the user says nothing, with their own rules for fans."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

from justright.core.layout import Kind, WeightLayout
from justright.initializers.base import Elementwise, Target, initializer
from justright.initializers.fanned import of_variance
from justright.initializers.laws import Constant, Law, Normal, Uniform

__all__: list[str] = []

KERAS_TABLE: Final = 0.05  # keras.initializers.RandomUniform: minval=-0.05, maxval=0.05
MXNET_SCALE: Final = 0.07  # mxnet.initializer.Uniform: scale=0.07, Gluon's default for every weight


def stored_fans(layout: WeightLayout) -> tuple[float, float]:
    """Return the fans as frameworks read them off a shape: groups do not count, and transposition swaps the two."""
    taps = math.prod(layout.shape[axis] for axis in layout.spatial)
    inputs = math.prod(layout.shape[axis] for axis in layout.inputs)
    outputs = math.prod(layout.shape[axis] for axis in layout.outputs)
    inner, outer = (outputs, inputs) if layout.transposed else (inputs, outputs)
    return float(inner * taps), float(outer * taps)


@dataclass(frozen=True)
class FrameworkDefault(Elementwise):
    """A framework's default: factors one and biases zero, unless it says otherwise."""

    def law(self, target: Target) -> Law:
        """Return the distribution for this kind of parameter."""
        kind = target.layout.kind
        if kind is Kind.SHIFT:
            return self.shift(target)
        if kind is Kind.SCALE:
            return Constant(1.0)
        self.fans(target)  # refuses what is no weight
        return self.table(target) if kind is Kind.LOOKUP else self.weight(target)

    def shift(self, target: Target) -> Law:  # noqa: ARG002  only one framework looks at the parameter
        """Return the distribution of a bias."""
        return Constant(0.0)

    @abstractmethod
    def weight(self, target: Target) -> Law:
        """Return the distribution of a weight."""

    @abstractmethod
    def table(self, target: Target) -> Law:
        """Return the distribution of an embedding."""

    def not_recurrent(self, target: Target) -> None:
        """Refuse recurrent weights, for which the framework draws an orthogonal matrix."""
        if target.place.role == "recurrent":
            raise self.refused(target, "a weight that is not recurrent: its default there is orthogonal", "orthogonal")


@initializer("torch_default")
@dataclass(frozen=True)
class TorchDefault(FrameworkDefault):
    """What PyTorch's layers draw when they are made.

    Formula: linear and convolutional weights and their biases ``U(±1 / sqrt(n))``, n being the second axis of the
    stored weight times the kernel: fan in, but for transposed convolutions, where it counts the outputs. Recurrent
    cells ``U(±1 / sqrt(hidden))`` for everything, embeddings ``N(0, 1)``, normalization ones and zeros. It is the
    heuristic of [Glorot2010], equation 1.

    When to use it: to reproduce a network, or as the baseline of a comparison.

    When not: deep plain networks: before ReLU the signal loses a factor of six of its second moment a layer [He2015].
    """

    def weight(self, target: Target) -> Law:
        """Return the uniform distribution of linear and recurrent weights."""
        return _within(target.place.hidden or stored_fans(target.layout)[0])

    def table(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the standard normal distribution."""
        return Normal(0.0, 1.0)

    def shift(self, target: Target) -> Law:
        """Return the distribution of the weight that the bias belongs to; zeros in a normalization layer."""
        place = target.place
        if place.role == "normalization":
            return Constant(0.0)
        if place.hidden is None:
            self.knows(target, "weight")
        return _within(place.hidden or (stored_fans(place.weight)[0] if place.weight else math.inf))


@initializer("keras_default")
@dataclass(frozen=True)
class KerasDefault(FrameworkDefault):
    """What Keras layers draw when they are built.

    Formula: kernels ``U(±sqrt(6 / (fan_in + fan_out)))`` [Glorot2010], biases zeros, embeddings ``U(-0.05, 0.05)``,
    normalization ones and zeros. Fans are read off the shape: of a grouped kernel fan out counts all groups, and of a
    depthwise one fan in counts all channels.

    When to use it: to reproduce a network, or as the baseline of a comparison.

    When not: deep plain networks of rectifiers: he_uniform. Recurrent kernels are refused; Keras takes an orthogonal
    matrix there.
    """

    def weight(self, target: Target) -> Law:
        """Return the uniform distribution of kernels."""
        self.not_recurrent(target)
        fan_in, fan_out = stored_fans(target.layout)
        groups = target.layout.groups
        taps = math.prod(target.shape[axis] for axis in target.layout.spatial)
        depthwise = groups > 1 and fan_in == taps and not target.layout.transposed
        both = fan_in * groups + fan_out / groups if depthwise else fan_in + fan_out
        return of_variance(2.0 / both, "uniform")

    def table(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the narrow uniform distribution."""
        return Uniform(-KERAS_TABLE, KERAS_TABLE)


@initializer("flax_default")
@dataclass(frozen=True)
class FlaxDefault(FrameworkDefault):
    """What Flax layers, and so most JAX models, draw when they are initialized.

    Formula: kernels are Gaussian, cut at two standard deviations, with variance ``1 / fan_in`` after that [LeCun1998];
    biases zeros; embeddings ``N(0, 1 / features)``; normalization ones and zeros.

    When to use it: to reproduce a network, or as the baseline of a comparison.

    When not: deep plain networks of rectifiers: he_truncated. Recurrent kernels are refused; Flax takes an orthogonal
    matrix there.
    """

    def weight(self, target: Target) -> Law:
        """Return the truncated normal distribution of kernels."""
        self.not_recurrent(target)
        return of_variance(1.0 / stored_fans(target.layout)[0], "truncated_normal")

    def table(self, target: Target) -> Law:
        """Return the normal distribution whose rows have unit length."""
        return Normal(0.0, 1.0 / math.sqrt(target.shape[-1]))


@initializer("mxnet_default")
@dataclass(frozen=True)
class MxnetDefault(FrameworkDefault):
    """What Gluon's layers draw when no initializer is given.

    Formula: every weight ``U(-0.07, 0.07)``, biases zeros, normalization ones and zeros.

    When to use it: to reproduce a network, or as the baseline of a comparison.

    When not: anything deep: the variance does not depend on the layer [Glorot2010], so that the signal grows in layers
    of more than 612 inputs and shrinks in others.
    """

    def weight(self, target: Target) -> Law:  # noqa: ARG002  every scheme has one signature
        """Return the uniform distribution of every weight."""
        return Uniform(-MXNET_SCALE, MXNET_SCALE)

    def table(self, target: Target) -> Law:
        """Return the same as for a weight."""
        return self.weight(target)


def _within(n: float) -> Law:
    return Uniform(-1.0 / math.sqrt(n), 1.0 / math.sqrt(n))

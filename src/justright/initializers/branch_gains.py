"""Residual branches that begin almost closed: by a factor at the end of each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from justright.core.layout import Kind
from justright.initializers.base import INITIALIZERS, Elementwise, Target, initializer
from justright.initializers.laws import Constant, Law
from justright.initializers.placed import Placed

__all__: list[str] = []


@dataclass(frozen=True)
class _BranchGain(Placed):
    """The last factor of each branch is small; other factors are one, biases zero, weights by another scheme."""

    @abstractmethod
    def last(self, target: Target) -> float:
        """Return the value of the last factor of a branch."""

    @abstractmethod
    def usual(self) -> str:
        """Return the name of the scheme for weights."""

    def law(self, target: Target) -> Law:
        """Return the constant of a factor, or the distribution of a weight."""
        if target.layout.kind is not Kind.SCALE or target.place.role == "normalization":
            return super().law(target)
        self.needs_branches(target)
        closes = target.place.branch is not None and target.place.ends_branch
        return Constant(self.last(target) if closes else 1.0)

    def weights(self, target: Target) -> Law:
        """Return the distribution of the scheme for weights."""
        scheme = INITIALIZERS[self.usual()]()
        assert isinstance(scheme, Elementwise)
        return scheme.law(target)


@initializer("rezero")
@dataclass(frozen=True)
class ReZero(_BranchGain):
    """Each branch is multiplied by a number that begins at zero: the network begins as the identity.

    Formula: ``x + alpha f(x)`` with alpha = 0 for each branch; weights by Xavier's rule, biases zero [Bachlechner2020].

    When to use it: networks whose code multiplies each branch by a parameter, without normalization.

    When not: branches without such a factor: fixup. A zero weight in the branch too, which would keep both at zero.
    """

    def last(self, target: Target) -> float:  # noqa: ARG002  the same for all
        """Return zero."""
        return 0.0

    def usual(self) -> str:
        """Return Xavier's."""
        return "xavier_uniform"


@initializer("skipinit")
@dataclass(frozen=True)
class SkipInit(_BranchGain):
    """As rezero, for rectifiers: He's rule within the branches, which a factor of zero closes.

    Formula: ``x + alpha f(x)`` with alpha = 0 for each branch; weights by He's rule, biases zero [De2020].

    When to use it: residual networks of rectifiers whose normalization was taken out and a factor put in.

    When not: branches without such a factor: fixup.
    """

    def last(self, target: Target) -> float:  # noqa: ARG002  the same for all
        """Return zero."""
        return 0.0

    def usual(self) -> str:
        """Return He's."""
        return "he_normal"


@initializer("layerscale")
@dataclass(frozen=True)
class LayerScale(_BranchGain):
    """Each unit of a branch is multiplied by a number that begins small, the smaller the deeper the network.

    Formula: ``x + gamma f(x)`` with gamma = 0.1 up to 18 blocks, 1e-5 up to 24, 1e-6 beyond; a block has two branches.
    Weights are truncated Gaussians of 0.02, biases zero [Touvron2021].

    When to use it: vision transformers of more than a dozen blocks whose code has such factors.

    When not: branches without such a factor: gpt2.

    Parameters
    ----------
    value
        Of the factors; by depth, if zero.
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        self.needs(self.value >= 0.0, "a value above zero, or zero for that of the depth")

    def last(self, target: Target) -> float:
        """Return the value for the depth."""
        blocks = (target.place.branches or 0) / 2
        return self.value or (0.1 if blocks <= 18 else 1e-5 if blocks <= 24 else 1e-6)  # noqa: PLR2004  section 2 there

    def usual(self) -> str:
        """Return the truncated Gaussian, of 0.02 by default."""
        return "truncated_normal"

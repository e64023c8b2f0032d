"""What a prediction says of a site, and of a whole network: a number, its interval, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from justright.core.profile import Provenance

__all__ = ["Estimate", "Forecast", "Predicted", "Series"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The predicted RMS of one tensor.

    Parameters
    ----------
    rms
        RMS in the limit of wide layers.
    low, high
        Interval in which 95 % of the networks that are initialized like this lie.
    how
        ``"rule"``, or ``"fallback"`` where the operator was run on samples.
    provenance
        The weakest of what it rests on.
    trusted
        Whether the interval can be relied on.
    why
        Why it cannot; empty if it can.
    """

    rms: float
    low: float
    high: float
    how: str = "rule"
    provenance: Provenance = Provenance.ASYMPTOTIC
    trusted: bool = True
    why: str = ""

    def contains(self, rms: float) -> bool:
        """Say whether a measured RMS lies in the interval.

        Examples
        --------
        >>> Estimate(1.0, 0.9, 1.2).contains(1.1), Estimate(1.0, 0.9, 1.2).contains(1.3)
        (True, False)
        """
        return self.low <= rms <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; values that JSON cannot hold become strings."""
        numbers = {name: _plain(getattr(self, name)) for name in ("rms", "low", "high")}
        words = {"how": self.how, "provenance": self.provenance.name.lower()}
        return {**numbers, **words, "trusted": self.trusted, "why": self.why}


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted of one site; ``None`` for what could not be."""

    forward: Estimate | None = None
    gradient: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "forward": self.forward.to_dict() if self.forward else None,
            "gradient": self.gradient.to_dict() if self.gradient else None,
        }


@dataclass(frozen=True, slots=True)
class Series:
    """One tensor of every repetition of a block, in order.

    Parameters
    ----------
    kind
        ``"attention logits"`` or ``"residual stream"``.
    name
        Name of the sites, with an asterisk for the number of the block.
    sites
        Their names.
    rms
        Predicted RMS of each.
    absmax
        Expected largest magnitude of each.
    """

    kind: str
    name: str
    sites: tuple[str, ...]
    rms: tuple[float, ...]
    absmax: tuple[float, ...]

    @property
    def growth(self) -> float:
        """RMS of the last over that of the first."""
        return self.rms[-1] / self.rms[0] if self.rms[0] else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        numbers = {"rms": [*map(_plain, self.rms)], "absmax": [*map(_plain, self.absmax)]}
        return {
            "kind": self.kind,
            "name": self.name,
            "sites": list(self.sites),
            **numbers,
            "growth": _plain(self.growth),
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a prediction says of a network as a whole.

    Parameters
    ----------
    loss
        Predicted loss and its interval; ``None`` where the loss could not be predicted.
    series
        How attention logits and residual streams grow from block to block.
    rule, fallback, none
        Numbers of floating-point sites predicted by a rule, by running the operator on samples, and not at all.
    trusted
        Number of those whose interval can be relied on.
    provenance
        Number of sites by the weakest origin of what was predicted.
    """

    loss: Estimate | None = None
    series: tuple[Series, ...] = ()
    rule: int = 0
    fallback: int = 0
    none: int = 0
    trusted: int = 0
    provenance: tuple[tuple[str, int], ...] = ()

    @property
    def sites(self) -> int:
        """Number of floating-point sites."""
        return self.rule + self.fallback + self.none

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "loss": self.loss.to_dict() if self.loss else None,
            "series": [each.to_dict() for each in self.series],
            "rule": self.rule,
            "fallback": self.fallback,
            "none": self.none,
            "trusted": self.trusted,
            "provenance": [{"origin": name, "sites": count} for name, count in self.provenance],
        }


def _plain(value: float) -> float | str:
    """Make a number that JSON can hold."""
    return value if math.isfinite(value) else str(value)

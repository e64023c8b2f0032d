"""One step of an optimizer, taken and undone: what it changed in the weights and in the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from justright.core.profile import Provenance

__all__ = ["ParameterStep", "StepRecord", "runs_away"]

LATE = 5
"""Losses at the end of a trial that are looked at: large steps make the loss swing from one step to the next."""


@dataclass(frozen=True, slots=True)
class ParameterStep:
    """What one step does to one parameter.

    Parameters
    ----------
    name, dtype
        The parameter and its dtype.
    size
        Number of elements.
    update, weight
        RMS of the step as the optimizer means it, before the parameter's dtype rounds it, and RMS of the parameter
        before it.
    pushed
        Share of elements that the step means to change.
    unchanged
        Share of the elements meant to change that still have the same value after the step, because it was smaller
        than half the distance to the next number of the parameter's own dtype; ``nan`` if none is meant to change.
    unchanged_float16, unchanged_bfloat16
        The same share if the parameter were kept in these dtypes.
    """

    name: str
    dtype: str
    size: int
    update: float
    weight: float
    pushed: float
    unchanged: float
    unchanged_float16: float
    unchanged_bfloat16: float

    @property
    def ratio(self) -> float:
        """RMS of the update over that of the weight; ``inf`` for a parameter of zeros that moves."""
        if not self.weight:
            return math.inf if self.update else 0.0
        return self.update / self.weight

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        values = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        return {**values, "ratio": _plain(self.ratio)}


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step of an optimizer does on the first batch; the model was put back to before it.

    Parameters
    ----------
    optimizer
        The optimizer in words: ``"SGD, lr 0.1, momentum 0.9"``.
    given
        Whether the user gave it; else it was chosen for the kind of network.
    why
        Why it was chosen; empty if it was given.
    untaken
        Why no step was taken; empty if it was. Nothing below is known then.
    rates
        Learning rate of every group of parameters.
    waiting
        Whether a schedule will raise a learning rate later (warm-up), so that small steps say little.
    left_out
        Number of trainable parameters that the optimizer does not have.
    before, after
        Loss before and after the step, on the same batch and with the same random numbers; ``after`` need not be
        finite.
    noise
        Change of the loss that rounding may make.
    predicted
        Change of the loss to first order: gradient times step.
    curvature
        Second derivative of the loss along the step, so that the change is ``predicted + curvature / 2`` to second
        order; ``nan`` if it is not known.
    curvature_from
        Exact for a Hessian-vector product, numerical for a difference of gradients, measured where it is only what the
        change of the loss leaves over beside its first order.
    stable
        Largest factor on the learning rates at which gradient descent is stable along the sharpest direction that was
        found (2 over the largest eigenvalue of the preconditioned Hessian), or, for an optimizer that was not given,
        along the step itself; ``nan`` if there was no reason to ask.
    tame
        Factor on the learning rates at which some steps bring the loss down, where those of the trial did not; ``nan``
        if that was not asked, or none was found.
    trial
        Losses after further real steps on the same batch, taken only where the first one gave a reason.
    growth
        Way from the start to the end of the trial, per step, over the length of the first step: how far momentum lets
        steps grow; 1 without a trial.
    frozen
        Share of the elements meant to change that have the same value after all steps of the trial as before it;
        ``nan`` without a trial.
    silenced
        Names of weights whose gradient is exactly zero after the trial and was not before it.
    parameters
        One record for every parameter that the optimizer moves.
    """

    optimizer: str
    given: bool = True
    why: str = ""
    untaken: str = ""
    rates: tuple[float, ...] = ()
    waiting: bool = False
    left_out: int = 0
    before: float = math.nan
    after: float = math.nan
    noise: float = 0.0
    predicted: float = math.nan
    curvature: float = math.nan
    curvature_from: Provenance = Provenance.UNKNOWN
    stable: float = math.nan
    tame: float = math.nan
    trial: tuple[float, ...] = ()
    growth: float = 1.0
    frozen: float = math.nan
    silenced: tuple[str, ...] = ()
    parameters: tuple[ParameterStep, ...] = ()

    @property
    def largest_rate(self) -> float:
        """Largest learning rate; ``nan`` if there is none."""
        return max(self.rates, default=math.nan)

    @property
    def runs_away(self) -> bool:
        """Whether the steps end above the loss they began with, or in numbers that are not finite."""
        lost = bool(self.parameters) and not math.isfinite(self.after)
        return lost or runs_away(self.trial, self.before + self.noise)

    @property
    def leaps(self) -> bool:
        """Whether a step that nobody asked for doubles the loss, and is larger than the largest stable one."""
        return not self.given and self.stable < 1.0 and self.after - self.before > abs(self.before)

    def unchanged(self, dtype: str = "") -> float:
        """Return the share of all elements meant to change that the step leaves as they are; ``nan`` if there is none.

        Parameters
        ----------
        dtype
            ``"float16"`` or ``"bfloat16"``: as if every parameter were kept in it; empty for their own.
        """
        name = f"unchanged_{dtype}" if dtype else "unchanged"
        pairs = list(self._shares(name))
        total = sum(count for count, _ in pairs)
        return sum(count * share for count, share in pairs) / total if total else math.nan

    def _shares(self, name: str) -> Iterator[tuple[float, float]]:
        for each in self.parameters:
            share = getattr(each, name)
            if not math.isnan(share):
                yield each.size * each.pushed, share

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        values = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        return {
            **values,
            "rates": [*map(_plain, self.rates)],
            "curvature_from": self.curvature_from.name.lower(),
            "trial": [*map(_plain, self.trial)],
            "silenced": list(self.silenced),
            "parameters": [each.to_dict() for each in self.parameters],
        }


def runs_away(losses: Sequence[float], start: float) -> bool:
    """Say whether losses end above a start, all of the last five, or in numbers that are not finite.

    Examples
    --------
    >>> runs_away([3.0, 9.0, 27.0], 1.0), runs_away([3.0, 0.9, 1.1], 1.0), runs_away([], 1.0)
    (True, False, False)
    """
    late = losses[-LATE:]
    return bool(late) and not (all(map(math.isfinite, late)) and min(late) <= start)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Make a number that JSON can hold: nan and the infinities become strings."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

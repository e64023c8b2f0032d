"""One real step of an optimizer, taken and undone; a few more where the first gives a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch

from justright.adapters.torch.curvature import Vectors, hessian, inner, largest_eigenvalue
from justright.adapters.torch.optimizers import Plan, described, rates_of, waits
from justright.adapters.torch.preserve import preserved
from justright.adapters.torch.rounding import HALVES, share_unmoved
from justright.adapters.torch.statistics import dense
from justright.adapters.torch.taking import Subject, Take, Taker
from justright.adapters.torch.travelled import travelled
from justright.adapters.torch.unasked import moved as stepped
from justright.adapters.torch.unasked import overlapping
from justright.adapters.torch.usual import Usual
from justright.core.profile import Provenance
from justright.core.step import ParameterStep, StepRecord
from justright.errors import InputError, JustRightError

__all__ = ["Subject", "step_of"]

TRIAL = 20
"""Further steps after one that overshoots: Adam forgets squares of gradients that were too small within
1 / (1 - 0.95) = 20 steps, and a step over the stability bound by 2 grows its error threefold a step, 3e9 in 20."""

PATIENCE = 60
"""Further steps while the loss is above its start and finite: what Adam throws up, it can bring down again, at the pace
at which it threw; three times as many steps as it had to rise."""

REACH = 10
"""Further steps after one that looks too small: momentum of 0.9 has then reached 1 - 0.9**11 = 69 % of its speed."""

SLOW = 1e-5
"""A step is looked at further where it takes no more than this part of the loss away, and moves no weight by more than
this part of itself: at that pace, a tenth takes 10 000 steps."""

SHORT = 5
"""Further steps in which a smaller learning rate must bring the loss down."""

TENTHS = 6
"""Learning rates that are tried, each a tenth of the one before: six decades."""

LOST = 0.5
"""Share of elements that rounding leaves as they are above which further steps show whether they stay so."""

ROUNDINGS = 8
"""Relative change of the loss that is taken for rounding, in epsilons of the coarsest dtype: some of its operations'
errors add up, each of half an epsilon."""

LARGEST = 2**30
"""Parameters above which no step is taken unasked: copies of a model of 4 GiB may not fit beside it."""


def step_of(subject: Subject, plan: Plan) -> StepRecord:
    """Take one step of the planned optimizer, see what it does, and put everything back bit for bit.

    Parameters
    ----------
    subject
        What to take it on.
    plan
        Which optimizer.

    Raises
    ------
    InputError
        If an optimizer that was given has nothing of this model, or its step raises.
    """
    with torch.inference_mode(mode=False), preserved(subject.model, subject.batch):
        optimizer = plan.optimizer(subject.model)
        mine = {id(each) for group in optimizer.param_groups for each in group["params"]}
        own = {name: each for name, each in subject.model.named_parameters() if each.requires_grad}
        record = StepRecord(
            described(optimizer),
            plan.given,
            plan.why,
            rates=rates_of(optimizer),
            waiting=waits(optimizer),
            left_out=sum(id(each) not in mine for each in own.values()),
            before=subject.loss,
        )
        moved = {name: each for name, each in own.items() if id(each) in mine and name in subject.gradients}
        coarsest = max((torch.finfo(each.dtype).eps for each in moved.values()), default=0.0)
        record = replace(record, noise=ROUNDINGS * coarsest * abs(subject.loss))
        hindrance = _hindrance(subject, moved, given=plan.given)
        if hindrance:
            return replace(record, untaken=hindrance)
        try:
            if not plan.given:
                return _unasked(subject, optimizer, moved, record)
            return _Examiner(Taker(subject, optimizer, moved), record.before + record.noise).examined(record)
        except JustRightError:
            raise
        except Exception as error:
            return _failed(record, error)


def _unasked(
    subject: Subject, optimizer: Usual, parameters: Mapping[str, torch.nn.Parameter], record: StepRecord
) -> StepRecord:
    """Add what one step of the usual optimizer does; its gradients are used up."""
    if overlapping(parameters.values()):
        return replace(record, untaken="parameters share memory: give optimizer=... to have a step taken all the same")
    with stepped(optimizer, parameters, subject.gradients, subject.sizes) as (promised, steps):
        record = _taken(record, subject.loss_now(), promised, steps)
    return _bounded(record) if _overshoots(record) else record


def _taken(record: StepRecord, after: float, predicted: float, parameters: tuple[ParameterStep, ...]) -> StepRecord:
    """Add what a step did."""
    return replace(
        record,
        after=after,
        predicted=predicted,
        curvature=2 * (after - record.before - predicted),
        curvature_from=Provenance.MEASURED,
        parameters=parameters,
    )


def _hindrance(subject: Subject, moved: Vectors, *, given: bool) -> str:
    """Say what stands against a step; empty if nothing does."""
    if not moved:
        return "no parameter of the optimizer gets a gradient"
    if not given and sum(each.numel() for each in moved.values()) > LARGEST:
        return f"the model has more than {LARGEST:,} parameters: give optimizer=... to have a step taken all the same"
    if not math.isfinite(subject.loss) or not subject.finite:
        return "the loss or its gradient is not finite"
    return ""


def _failed(record: StepRecord, error: Exception) -> StepRecord:
    words = f"{type(error).__name__}: {error}"
    if not record.given:
        return replace(record, untaken=words)
    raise InputError(
        words, where="step of the optimizer", expected="an optimizer that takes a step with this model's gradients",
        try_='one from torch.optim, or a name: optimizer="adamw:3e-4"',
    ) from error  # fmt: skip


class _Examiner:
    """Examines a step, and what it gives a reason for; a trial has come down when its loss is `start` again."""

    def __init__(self, taker: Taker, start: float) -> None:
        self.taker = taker
        self.subject = taker.subject
        self.moved = taker.moved
        self.start = start

    def examined(self, record: StepRecord) -> StepRecord:
        """Take the first step, and further ones after one that looks too large, too small, or lost to rounding."""
        meant = self.taker.meant()
        with self.taker.undone() as (step, before):
            step(self.subject.gradients)
            record = self._first(record, before, meant)
            if not _overshoots(record) and not _too_short(record):
                return record
            changes = self._changes(before) | meant
            record = self._tried(record, step, before, changes)
        if not record.runs_away and not record.silenced:
            return record
        return self._tamed(record if meant else self._bent(record, changes))

    def _first(self, record: StepRecord, before: Vectors, meant: Vectors) -> StepRecord:
        """Add what the first step did."""
        after = self.subject.loss_now()
        predicted, parameters = travelled(before, self.moved, meant, self.subject.gradients, self.subject.sizes)
        return _taken(record, after, predicted, parameters)

    def _changes(self, before: Vectors) -> dict[str, torch.Tensor]:
        return {name: each.detach() - before[name] for name, each in self.moved.items()}

    def _tried(self, record: StepRecord, step: Take, before: Vectors, changes: Vectors) -> StepRecord:
        """Take further steps, as many as it takes to see where they lead."""
        lengths = (TRIAL, PATIENCE, self.start) if _overshoots(record) else (REACH,)
        losses, last = self.taker.further(step, *lengths)
        way = self._changes(before)
        first = inner(changes, changes) ** 0.5
        return replace(
            record,
            trial=tuple(losses),
            growth=inner(way, way) ** 0.5 / first / (1 + len(losses)) if first else 1.0,
            frozen=share_unmoved(self.subject.gradients, before, self.moved),
            silenced=tuple(
                name
                for name, each in self.moved.items()
                if each.dim() > 1
                and _norm(self.subject.gradients[name])
                and not _norm(last.get(name, each.new_zeros(1)))
            ),
        )

    def _bent(self, record: StepRecord, changes: Vectors) -> StepRecord:
        """Add what the Hessian says about a step that goes too far."""
        gradients = self.subject.gradients
        scales = {name: _ratio(_norm(change), _norm(gradients[name])) for name, change in changes.items()}
        dense_ones = {name: dense(gradients[name]) for name in changes}
        with hessian(self.subject.run, self.moved) as matrix:
            along = inner(changes, matrix(changes))
            largest = largest_eigenvalue(matrix, scales, dense_ones)
        stable = 2.0 / largest if 0.0 < largest < math.inf else math.nan
        return replace(record, curvature=along, curvature_from=matrix.provenance, stable=stable)

    def _tamed(self, record: StepRecord) -> StepRecord:
        """Add a factor on the learning rates with which the loss falls: the stable one, or the first tenth of it."""
        first = record.stable if record.stable < 1.0 else 0.1
        factors = (first / 10**power for power in range(TENTHS))
        return replace(record, tame=next((each for each in factors if self._falls(each)), math.nan))

    def _falls(self, factor: float) -> bool:
        with self.taker.undone(factor) as (step, _):
            step(self.subject.gradients)
            losses, _ = self.taker.further(step, SHORT)
        return bool(losses) and all(map(math.isfinite, losses)) and losses[-1] < self.subject.loss


def _overshoots(record: StepRecord) -> bool:
    """Say whether the loss fell by less than half of what its slope promises, or rose.

    On a parabola the least loss along the step then lies before its end. Of an optimizer that nobody asked for, only a
    step that doubles the loss is worth a second look, and no trial.
    """
    bound = record.predicted / 2 if record.given else abs(record.before)
    return not record.after - record.before <= bound + record.noise


def _bounded(record: StepRecord) -> StepRecord:
    """Add how far the parabola through the change of the loss and its slope lets a step go before the loss rises."""
    bends = 0.0 < record.curvature < math.inf and record.predicted < 0.0
    return replace(record, stable=-2.0 * record.predicted / record.curvature if bends else math.nan)


def _too_short(record: StepRecord) -> bool:
    ratios = [each.ratio for each in record.parameters if each.weight]
    slow = max(ratios, default=0.0) < SLOW and abs(record.predicted) < SLOW * abs(record.before)
    return slow or record.unchanged() > LOST


def _norm(tensor: torch.Tensor) -> torch.Tensor:
    wide = torch.float32 if tensor.dtype in HALVES else None
    return torch.linalg.vector_norm(dense(tensor.detach()), dtype=wide)


def _ratio(above: torch.Tensor, below: torch.Tensor) -> float:
    return float(above / below) if float(below) else 0.0

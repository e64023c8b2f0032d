"""A prescription at work: applied, verified, undone, written down and read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from justright.adapters.base import Adapter, adapter_of
from justright.checking import check
from justright.core.layout import Kind, WeightLayout
from justright.core.prescription import Line, Prescription
from justright.core.streams import Stream
from justright.errors import InputError, JustRightError, ModelError
from justright.initializers.base import Initializer
from justright.initializers.parsing import scheme
from justright.initializers.target import Target
from justright.prescribing.fresh import trained
from justright.prescribing.written import read, written
from justright.report.comparison import Comparison, compare

if TYPE_CHECKING:
    from justright.report.report import Report

__all__ = ["Applied", "Plan", "PlanError"]


class PlanError(JustRightError, ValueError):
    """A plan does not fit a model."""


@dataclass(frozen=True)
class Applied:
    """What was set.

    Parameters
    ----------
    set_, left
        Names of the parameters that were set, and of those that were left, with the reasons.
    undo
        Puts the values back that were there, bit for bit.
    """

    set_: tuple[str, ...]
    left: dict[str, str]
    undo: Callable[[], None] = field(repr=False)

    def __str__(self) -> str:
        """Return how many were set, and which were left why."""
        rows = [f"left {name}: {why}" for name, why in self.left.items()]
        return "\n".join([f"{len(self.set_)} parameters set, {len(self.left)} left", *rows])


@dataclass(frozen=True)
class Plan:
    """A prescription that can be applied to a model, verified on it, undone, written to a file and read from one.

    Parameters
    ----------
    prescription
        What every parameter is to get.
    before
        Report on the model as it was when the plan was made, if it had values.
    """

    prescription: Prescription
    before: Report | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return a line for every parameter."""
        return str(self.prescription)

    def apply(self, model: Any, *, seed: int = 0, force: bool = False) -> Applied:  # noqa: ANN401
        """Set the parameters of a model in place.

        Nothing is written before all is checked; after an error all values are as before.

        Parameters
        ----------
        model
            The model that the plan was made for, or one of the same parameters.
        seed
            Of the random numbers: they depend on it, on the name of a parameter, and on nothing else.
        force
            Whether to overwrite values that look trained.

        Raises
        ------
        PlanError
            If the plan is for another model, a parameter cannot be filled, nothing is left to fill, or the values look
            trained.
        SchemeError
            If a scheme cannot serve a parameter.
        ModelError
            If a parameter has no values.
        """
        adapter = adapter_of(model)
        holders = {name: (read, parameter) for name, (read, parameter, _) in adapter.holders(model)}
        self._fits(holders)
        left = {line.name: line.because for line in self.prescription.lines if not line.scheme}
        jobs = list(self._jobs(adapter, model, holders, left))
        if not jobs:
            raise PlanError("nothing that could be set", where="plan", expected="a parameter with requires_grad",
                            try_="requires_grad_(True) on what should be set")  # fmt: skip
        if not force and (why := trained((target, adapter.values(each)) for target, each, _ in jobs)):
            raise PlanError(why, where="apply", expected="values as an initializer leaves them",
                            try_="force=True, if these weights may be lost")  # fmt: skip
        undo = adapter.keep([each for _, each, _ in jobs])
        try:
            for target, parameter, made in jobs:
                adapter.fill(parameter, made.sample(target, Stream.of(seed, target.name)))
        except BaseException:
            undo()
            raise
        return Applied(tuple(target.name for target, _, _ in jobs), left, undo)

    def verify(self, model: Any, batch: Any, *, loss: Any = None) -> Comparison:  # noqa: ANN401
        """Check a model again, and return what changed since the plan was made, side by side.

        Raises
        ------
        InputError
            If the plan has no report on what was before, as one that was read from a file.
        """
        if self.before is None:
            raise InputError("a plan without a report", where="verify", expected="one that jr.prescribe made",
                             try_="jr.compare(jr.check(...), jr.check(...))")  # fmt: skip
        return compare(self.before, check(model, batch, loss=loss, title=f"{self.before.title}, prescribed"))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the plan as YAML, and write it to a file if a path is given."""
        text = written(self.prescription.to_dict())
        if path is not None:
            Path(path).write_text(text, "utf-8")
        return text

    @classmethod
    def from_yaml(cls, source: str | Path) -> Plan:
        """Return the plan that a file holds, or a text of several lines.

        Raises
        ------
        InputError
            If it is no plan; the message says where.
        SchemeError
            If a scheme in it has parameters that cannot be, such as a standard deviation that is no number.
        """
        found = Prescription.from_dict(read(source))
        for line in found.lines:
            if line.scheme:
                scheme(line.scheme)
        return cls(found)

    def _fits(self, holders: dict[str, Any]) -> None:
        """Raise `PlanError` unless plan and model have the same parameters of the same shapes."""
        planned = {line.name: line.shape for line in self.prescription.lines}
        missing = [name for name in planned if name not in holders]
        extra = [name for name in holders if name not in planned]
        other = [name for name, shape in planned.items() if name in holders and tuple(holders[name][1].shape) != shape]
        for names, what in ((missing, "not in the model"), (extra, "not in the plan"), (other, "of another shape")):
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise PlanError(f"{names[0]}{more}, {what}", where="plan", expected="the model that it was made for",
                                try_="jr.prescribe")  # fmt: skip

    def _jobs(
        self,
        adapter: Adapter,
        model: Any,  # noqa: ANN401
        holders: dict[str, Any],
        left: dict[str, str],
    ) -> Iterator[tuple[Target, Any, Initializer]]:
        for line in self.prescription.lines:
            known, parameter = holders[line.name]
            if not line.scheme:
                continue
            if not parameter.requires_grad:
                left[line.name] = "frozen"
                continue
            if why := adapter.unfit(model, line.name):
                raise PlanError(f"{line.name}: {why}", where="apply", expected="a parameter of floating-point numbers",
                                try_="scheme: null in the plan, to leave it")  # fmt: skip
            if parameter.is_meta:
                raise ModelError("a parameter without values", where=line.name, expected="a model with memory")
            target = _target(line, known, str(parameter.dtype).rpartition(".")[2])
            made = scheme(line.scheme)
            made.declared(target)
            yield target, parameter, made


def _target(line: Line, read: Target | None, dtype: str) -> Target:
    """Return what a line says of a parameter, and what its module says where the line says nothing."""
    if line.layout is not None:
        return Target(line.name, line.layout, dtype, line.place)
    if read is not None:
        return read
    return Target(line.name, WeightLayout(line.shape, kind=Kind.OTHER), dtype)

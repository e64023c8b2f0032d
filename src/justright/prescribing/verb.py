"""The verb: prescribe an initialization for a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from justright.adapters.base import Adapter, adapter_of
from justright.adapters.placed import placed
from justright.checking import check
from justright.core.inputs import parse_input
from justright.core.prescription import Line, Prescription
from justright.errors import InputError
from justright.initializers.base import Initializer
from justright.initializers.target import Target
from justright.initializing import planned
from justright.prescribing.auto import automatic
from justright.prescribing.plan import Plan
from justright.propagation.solved import Means
from justright.report.report import Report

__all__ = ["prescribe"]

AUTO = "auto"


def prescribe(
    model: Any,  # noqa: ANN401
    batch: Any,  # noqa: ANN401
    scheme: str | Initializer | Mapping[str, str | Initializer] = AUTO,
    *,
    loss: Any = None,  # noqa: ANN401
    growth: float = 2.0,
    exclude: Iterable[str] = (),
    report: Report | None = None,
) -> Plan:
    """Say how every parameter of a network should be initialized, each with its reason; nothing is changed.

    Parameters
    ----------
    model
        A `torch.nn.Module`.
    batch
        As for `justright.check`.
    scheme
        ``"auto"``: the size of every weight is solved for, so that signals keep their second moment and gradients
        theirs, residual streams grow as asked, and the initial loss is at chance. Or any scheme of the catalogue, or a
        mapping from patterns of parameter names to schemes.
    loss
        As for `justright.check`.
    growth
        Of ``"auto"``: factor by which the second moment of a residual stream grows over all branches, above one.
    exclude
        Patterns of names of parameters to leave as they are.
    report
        What `justright.check` said of this model and batch, if it was called already.

    Returns
    -------
    Plan
        It can be applied, verified, undone and written to a file.

    Raises
    ------
    SchemeError
        If a scheme does not fit the network; the message says why.
    InputError
        If a pattern matches no parameter, or `growth` is not above one.

    Examples
    --------
    >>> import torch, justright as jr
    >>> layers = [layer for _ in range(30) for layer in (torch.nn.Linear(64, 64), torch.nn.Tanh())]
    >>> model, x = torch.nn.Sequential(*layers), torch.randn(32, 64)
    >>> plan = jr.prescribe(model, x)
    >>> jr.check(model, x).verdict, plan.apply(model, seed=0) and jr.check(model, x).verdict
    ('warning', 'healthy')
    """
    if not 1.0 < growth < float("inf"):
        raise InputError(f"growth={growth}", where="prescribe", expected="a factor above one", try_="growth=2.0")
    adapter = adapter_of(model)
    found = list(placed(adapter, model, batch))
    patterns = tuple(exclude)
    _matched(patterns, [name for name, _ in found])
    if scheme == AUTO:
        made = _automatic(adapter, model, batch, loss, found, patterns, growth)
    else:
        made = _named(found, scheme, patterns)
    return Plan(made, report if report is not None else check(model, batch, loss=loss))


def _automatic(
    adapter: Adapter,
    model: Any,  # noqa: ANN401
    batch: Any,  # noqa: ANN401
    loss: Any,  # noqa: ANN401
    found: list[Any],
    exclude: tuple[str, ...],
    growth: float,
) -> Prescription:
    job = adapter.prepare(model, parse_input(batch) if isinstance(batch, str) else batch, loss)
    graph = adapter.record(job) if adapter.small(job) else adapter.trace(job)
    means = Means(graph, dict(adapter.arrays(job)), adapter.apply, adapter.run)
    unread = {name: Line(name, tuple(each.shape), because=why) for name, (target, each, why) in found if target is None}
    left = {name: why for name, (_, each, _) in found if (why := _left(name, each, exclude))}
    targets: list[Target] = [target for name, (target, _, _) in found if target is not None and name not in left]
    solved = automatic(means, targets, growth)
    lines = {line.name: line for line in solved.lines} | unread
    shapes = {name: tuple(each.shape) for name, (_, each, _) in found}
    return Prescription(AUTO, tuple(
        Line(name, shapes[name], because=left[name]) if name in left else lines[name] for name, _ in found
    ), solved.said)  # fmt: skip


def _left(name: str, parameter: Any, exclude: tuple[str, ...]) -> str:  # noqa: ANN401
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return "excluded"
    return "" if parameter.requires_grad else "frozen"


def _named(
    found: list[Any], scheme: str | Initializer | Mapping[str, str | Initializer], exclude: tuple[str, ...]
) -> Prescription:
    lines = []
    for job in planned(found, scheme, exclude):
        row, target = job.row, job.target
        line = Line(row.name, row.shape, row.scheme, row.left or "; ".join(row.notes))
        if target is not None:
            line = replace(line, layout=target.layout, place=target.place, std=row.std)
        lines.append(line)
    written = str(scheme) if not isinstance(scheme, Mapping) else "by pattern"
    return Prescription(written, tuple(lines))


def _matched(patterns: tuple[str, ...], names: list[str]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"{pattern!r}, which matches no parameter", where="exclude", expected="a pattern of names")

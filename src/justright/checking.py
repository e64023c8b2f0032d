"""The main job: trace, predict, measure, diagnose, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from justright.adapters.base import Adapter, Job, Target, adapter_of
from justright.core.coverage import Coverage, Gap, Ran
from justright.core.graph import Graph, Initializer
from justright.core.profile import Profile, SiteRecord
from justright.diagnostics.base import Case, diagnose
from justright.errors import ForwardError, InputError, TraceError
from justright.foreseeing import foresee, joined
from justright.measure.engine import Measurement, measure
from justright.report.report import Report

__all__ = ["check", "check_target"]

Progress = Callable[[str, int, int], None]


def check(
    model: Any,  # noqa: ANN401
    batch: Any = None,  # noqa: ANN401
    *,
    loss: Any = None,  # noqa: ANN401
    optimizer: Any = None,  # noqa: ANN401
    batches: Iterable[Any] | None = None,
    device: str | None = None,
    title: str | None = None,
    initializers: Mapping[str, Initializer] | None = None,
    notes: Iterable[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Examine a model before its first training step: how large its signals and gradients are, and what is wrong.

    The model is left bit for bit as it came: parameters, buffers, gradients, modes, hooks and random states.

    Parameters
    ----------
    model
        A `torch.nn.Module`, in the mode in which it should be examined; compiled and data-parallel wrappers are taken
        off.
    batch
        What the forward gets: a tensor, a mapping of keyword arguments, a tuple of positional arguments, a tuple
        ``(inputs, target)``, or a specification such as ``"8,3,224,224"``. A tuple ends with the target if a loss is
        given, or if the forward has no place for its last item.
    loss
        A callable of (output, target), or a name: ``"cross_entropy"``, ``"mse"`` … Without one it is chosen: by the
        target's dtype, else the model's own ``output.loss``, else a fixed random direction at the output.
    optimizer
        A `torch.optim.Optimizer` over the model's parameters, whose state comes back as well; a callable from
        parameters to one; or a name and a rate such as ``"adamw:3e-4"``. One step of it is taken on the first batch and
        undone. Without one it is chosen by the kind of network, and what it shows is at most worth a note.
    batches
        Several batches of one structure in place of one; statistics are those of all their elements.
    device
        Where the model must be (``"cuda"``); it is not moved.
    title
        How to call the model in the report.
    initializers
        Initializer of each parameter, where recorded.
    notes
        Sentences for the report's list of assumptions.
    progress
        Called with a stage, what is done and what there is in all.

    Returns
    -------
    Report
        Verdict, findings, profile and coverage; prints itself in a terminal and in a notebook.

    Raises
    ------
    JustRightError
        With four parts, if the model cannot be checked: no model, no parameters, a batch that does not fit, a forward
        that raises, a loss that is no scalar.

    Examples
    --------
    >>> import torch, justright as jr
    >>> torch.manual_seed(0).__class__.__name__
    'Generator'
    >>> layers = [layer for _ in range(20) for layer in (torch.nn.Linear(64, 64), torch.nn.Sigmoid())]
    >>> report = jr.check(torch.nn.Sequential(*layers), torch.randn(32, 64))
    >>> report.verdict, [finding.name for finding in report.findings]
    ('error', ['vanishing-gradient'])
    """
    given = [batch] if batches is None else list(batches)
    if not given:
        raise InputError("no batches", where="batches", expected="at least one batch", try_="check(model, batch)")
    adapter = adapter_of(model)
    jobs = [
        adapter.prepare(
            model,
            _spec(each),
            loss,
            device=device,
            initializers=initializers,
            notes=tuple(notes),
            optimizer=optimizer,
        )
        for each in given
    ]
    return _examine(adapter, jobs, title, progress or (lambda *_: None), chosen=loss is None)


def check_target(target: Target, *, device: str | None = None, progress: Progress | None = None) -> Report:
    """Check what a model source gave: model, batch, loss, and whatever was recorded while it was built."""
    return check(
        target.model,
        target.batch,
        loss=target.loss,
        optimizer=target.optimizer,
        device=device,
        title=target.title or None,
        initializers=target.initializers,
        notes=target.notes,
        progress=progress,
    )


def _spec(batch: Any) -> Any:  # noqa: ANN401
    from justright.core.inputs import parse_input

    return parse_input(batch) if isinstance(batch, str) else batch


def _examine(adapter: Adapter, jobs: list[Job], title: str | None, progress: Progress, *, chosen: bool) -> Report:
    began = time.perf_counter()
    progress("trace", 0, 1)
    graph, untraced = _traced(adapter, jobs[0])
    progress("trace", 1, 1)
    foreseen = None if graph is None else foresee(adapter, jobs[0], graph)
    measured = measure(adapter, jobs, graph, progress=progress)
    foreseen = foresee(adapter, jobs[0], measured.graph) if foreseen is None else foreseen
    measured = replace(measured, profile=joined(measured.profile, foreseen))
    ran: list[Ran] = []
    findings, unjudged = diagnose(Case(measured.graph, measured.profile), tell=ran.append)
    notes = (*jobs[0].notes, *([f"loss, since none was given: {measured.scored}"] if chosen else []))
    gaps = (*unjudged, *untraced, *foreseen.gaps)
    coverage = replace(_coverage(measured, gaps, (*notes, *_stepped(measured))), diagnostics=tuple(ran))
    facts = {
        **jobs[0].facts,
        "loss": measured.scored,
        **_optimizer(measured),
        "seconds": f"{time.perf_counter() - began:.2f}",
    }
    return Report(title or facts["model"], measured.graph, measured.profile, findings, coverage, facts)


def _optimizer(measured: Measurement) -> dict[str, str]:
    step = measured.profile.step
    return {"optimizer": step.optimizer + ("" if step.given else " (chosen)")} if step and step.optimizer else {}


def _stepped(measured: Measurement) -> tuple[str, ...]:
    step = measured.profile.step
    if step is None or step.given or step.untaken:
        return ()
    return (f"optimizer, since none was given: {step.optimizer}, {step.why}",)


def _traced(adapter: Adapter, job: Job) -> tuple[Graph | None, tuple[Gap, ...]]:
    """Trace without data; where that is impossible, measuring records the structure, and the ledger says why.

    A forward that raises without data may run with data; if it raises then too, that error is the better one. The
    structure of a small model is recorded from a real forward, which is the same and done sooner.
    """
    if adapter.small(job):
        return adapter.record(job), ()
    try:
        return adapter.trace(job), ()
    except (TraceError, ForwardError) as error:
        return None, (Gap("structure without data", error.got, where=error.where),)


def _coverage(measured: Measurement, gaps: tuple[Gap, ...], notes: tuple[str, ...]) -> Coverage:
    graph, profile = measured.graph, measured.profile
    unnamed = tuple(
        Gap(f"operator {native}", "no canonical name: its units and its part in trends are not judged", count)
        for native, count in graph.unnamed().items()
    )
    sites = profile.sites
    differentiable = [record for record in sites if graph.by_name[record.name].differentiable]
    return Coverage(
        nodes=len(graph.nodes),
        named=len(graph.nodes) - sum(graph.unnamed().values()),
        sites=len(sites),
        forward=sum(record.forward is not None for record in sites),
        differentiable=len(differentiable),
        gradient=sum(record.gradient is not None for record in differentiable),
        parameters=sum(record.trainable for record in profile.parameters),
        parameters_with_gradient=sum(record.trainable and record.gradient is not None for record in profile.parameters),
        gaps=(*unnamed, *_unmeasured(profile, differentiable), *gaps),
        assumptions=tuple(dict.fromkeys((*notes, *graph.notes, *measured.notes))),
    )


def _unmeasured(profile: Profile, differentiable: list[SiteRecord]) -> tuple[Gap, ...]:
    blind = [record for record in profile.sites if record.forward is None]
    silent = [record for record in differentiable if record.gradient is None]
    gaps = []
    if blind:
        gaps.append(Gap("forward statistics", "the run did not reach it", len(blind), blind[0].name))
    if silent:
        gaps.append(Gap("gradient", "no gradient came here: not on a path to the loss", len(silent), silent[0].name))
    return tuple(gaps)

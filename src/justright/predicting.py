"""Predicting a network: trace, predict, diagnose what a prediction can show, report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from justright.adapters.base import ADAPTERS, Adapter, Job, Target, adapter_of, load_adapter
from justright.core.coverage import Coverage, Gap, Ran
from justright.core.data import DataRecord, summarize_data
from justright.core.graph import Graph, Initializer, Role, Site
from justright.core.inputs import InputSpec, parse_input
from justright.core.profile import Profile
from justright.diagnostics.base import Case, diagnose
from justright.errors import BackendError, InputError, JustRightError, ModelError, TraceError
from justright.ops.base import OPERATORS
from justright.ops.rule import RULES
from justright.propagation.engine import Prediction, predicted, unknown_leaves
from justright.propagation.interior import interior
from justright.report.report import Report

__all__ = ["predict", "predict_target"]

Progress = Callable[[str, int, int], None]

ASSUMED: Final = "a function that brings a backward of its own has the derivative of what it computes"
"""What is assumed of a `torch.autograd.Function` of the program."""

REBUILT: Final = 2**28
"""Elements of parameters up to which a model is built with values after all: 1 GiB in float32."""


def predict(
    model: Any,  # noqa: ANN401
    batch: Any = None,  # noqa: ANN401
    *,
    loss: Any = None,  # noqa: ANN401
    without: Iterable[str] = (),
    title: str | None = None,
    initializers: Mapping[str, Initializer] | None = None,
    notes: Iterable[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Predict how large the signals and gradients of a model will be, from its operators alone.

    No weight needs to exist: a model on the meta device will do, or a function that builds one, of any size. Parameters
    are what their recorded initializers draw, and their values where no initializer is known.

    Parameters
    ----------
    model
        A `torch.nn.Module`, which may be on the meta device; or what builds one, whose parameters then get a shape and
        no memory, and whose initializers are recorded: a callable without arguments, a configuration of transformers,
        or the name of a library's model, as ``"transformers:gpt2"`` or ``"timm:resnet50"``.
    batch
        What the forward gets, in any form that `justright.check` takes; of a library's model one is made if there is
        none. Of a specification such as ``"8,3,224,224"``
        random data are made: standard normal, or integers in range.
    loss
        As for `justright.check`.
    without
        Canonical names of operators whose rules are switched off: they are run on samples, which tests the rules.
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
        Verdict on what a prediction can show, profile with an interval at every site, precision forecast, coverage.

    Raises
    ------
    JustRightError
        With four parts, if the model cannot be predicted: no model, a batch that does not fit, an operator without a
        shape, a rule to switch off that does not exist.

    Examples
    --------
    >>> import torch, justright as jr
    >>> def build():
    ...     return torch.nn.Sequential(*[torch.nn.Linear(4096, 4096) for _ in range(3)])
    >>> report = jr.predict(build, "8,4096")
    >>> round(report.profile.by_name["0/linear"].forward.rms, 2), report.forecast.none
    (0.58, 0)
    """
    names = _rules(without)
    target = Target(model, batch, loss, title=title or "", initializers=initializers or {}, notes=tuple(notes))
    if _is_model(model):
        return predict_target(target, without=names, progress=progress)
    if not callable(model):
        return predict_target(
            _loaded(target, values=False),
            without=names,
            rebuild=lambda: _loaded(target, values=True),
            progress=progress,
        )
    built = _built(target, model)
    return predict_target(built, without=names, rebuild=lambda: replace(built, model=model()), progress=progress)


def predict_target(
    target: Target,
    *,
    without: Iterable[str] = (),
    rebuild: Callable[[], Target] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Predict what a model source gave: model, batch, loss, and whatever was recorded while it was built.

    Parameters
    ----------
    target
        The model, which may be without values, and what goes with it.
    without
        Canonical names of operators whose rules are switched off.
    rebuild
        Builds it with values; called for a model of moderate size if the initializer of a parameter is not known.
    progress
        Called with a stage, what is done and what there is in all.
    """
    began = time.perf_counter()
    tell = progress or (lambda *_: None)
    names = _rules(without)
    tell("trace", 0, 1)
    work = _traced(target)
    if rebuild is not None and work.unknown and sum(site.size for site in work.graph.sites if _stored(site)) <= REBUILT:
        work = _traced(rebuild())
    tell("trace", 1, 1)
    tell("predict", 0, 1)
    adapter = work.adapter
    arrays = dict(adapter.arrays(work.job))
    found = predicted(work.graph, arrays.items(), without=names, apply=adapter.apply, run=adapter.run)
    tell("predict", 1, 1)
    profile = replace(found.profile, data=_data(work.graph, arrays))
    report = _reported(work, replace(found, profile=profile), chosen=target.loss is None)
    facts = {**report.context, "seconds": f"{time.perf_counter() - began:.2f}"}
    return replace(report, title=target.title or facts["model"], context=facts)


@dataclass(frozen=True)
class _Work:
    """A traced model: what it takes, its graph, and what is not known of it."""

    adapter: Adapter
    job: Job
    graph: Graph
    unknown: tuple[str, ...]
    gaps: tuple[Gap, ...]


def _stored(site: Site) -> bool:
    return site.role in {Role.PARAMETER, Role.BUFFER}


def _rules(without: Iterable[str]) -> tuple[str, ...]:
    """Check the names of operators whose rules are switched off."""
    names = (without,) if isinstance(without, str) else tuple(without)
    unknown = [name for name in names if name not in RULES and name not in OPERATORS]
    if unknown:
        raise InputError(
            f"no rule for {', '.join(map(repr, unknown))}", where="without",
            expected="canonical names of operators that have a rule, such as 'softmax'",
            try_="report.profile.sites shows the name of every site's operator",
        )  # fmt: skip
    return names


def _notes(target: Target, batch: Any) -> tuple[str, ...]:  # noqa: ANN401
    assumed = ("the values of the batch follow from its specification alone",) if isinstance(batch, InputSpec) else ()
    return (*target.notes, *assumed)


def _is_model(thing: Any) -> bool:  # noqa: ANN401
    try:
        adapter_of(thing)
    except ModelError:
        return False
    return True


def _loaded(target: Target, *, values: bool) -> Target:
    """Build the model that a library's configuration or the name of its model stands for; leave others as they are."""
    for name in ADAPTERS:
        try:
            adapter = load_adapter(name)
        except BackendError:
            continue
        with adapter.recording_initializers() as recorded:
            found = adapter.load(target.model, values=values)
            if found is not None:
                return replace(
                    target,
                    model=found.model,
                    batch=found.batch if target.batch is None else target.batch,
                    title=target.title or found.title,
                    initializers=target.initializers or recorded(found.model),
                    notes=(*found.notes, *target.notes),
                )
    return target


def _built(target: Target, make: Callable[[], Any]) -> Target:
    """Build a model without values, and record its initializers."""
    for name in ADAPTERS:
        if name in sys.modules:
            adapter = load_adapter(name)
            with adapter.recording_initializers() as recorded:
                model = adapter.weightless(make)
                adapter_of(model)
                return replace(target, model=model, initializers=target.initializers or recorded(model))
    raise ModelError(
        f"the function {getattr(make, '__name__', 'given')!r}, and no framework is imported", where="model",
        expected="a function that builds a model of PyTorch", try_="import torch first",
    )  # fmt: skip


def _traced(target: Target) -> _Work:
    adapter = adapter_of(target.model)
    batch = parse_input(target.batch) if isinstance(target.batch, str) else target.batch
    notes = _notes(target, batch)
    job = adapter.prepare(target.model, batch, target.loss, initializers=target.initializers, notes=notes)
    graph, untraced = _graph_of(adapter, job)
    unknown = unknown_leaves(graph, adapter.arrays(job))
    gap = (
        Gap("parameters and buffers", "neither initializer nor values are known", len(unknown), unknown[0])
        if unknown
        else None
    )
    return _Work(adapter, job, graph, unknown, (*untraced, *_branches(graph), *([gap] if gap else [])))


def _branches(graph: Graph) -> tuple[Gap, ...]:
    """Say where a forward that was recorded reads values, by which it may take another way for another batch."""
    reads = [node for node in graph.nodes if node.op == "item"]
    reason = "the forward reads values of tensors: predicted is the way that this batch takes with these weights"
    return (Gap("control flow", reason, len(reads), reads[0].source),) if reads else ()


def _graph_of(adapter: Adapter, job: Job) -> tuple[Graph, tuple[Gap, ...]]:
    """Trace without data; where that is impossible and the model has values, record one real forward."""
    if adapter.small(job):
        return adapter.record(job), ()
    try:
        return adapter.trace(job), ()
    except TraceError as error:
        first = error
    try:
        graph = adapter.record(job)
    except JustRightError:
        raise first from None
    return graph, (Gap("structure without data", first.got, where=first.where),)


def _data(graph: Graph, arrays: Mapping[str, Any]) -> tuple[DataRecord, ...]:
    """Summarize the batch, as far as it has values: what is judged of data needs no weight."""
    scored = {graph.root(site): node for node in graph.nodes if (site := node.operand("target")) is not None}
    batch = [(site, arrays[site.name]) for site in graph.sites if site.role is Role.INPUT and site.name in arrays]
    return tuple(
        summarize_data(
            values,
            "target" if site.name.startswith("target") else "input",
            site.dtype,
            scored[site.index].attributes.get("ignore_index") if site.index in scored else None,
        ).finish(site.name)
        for site, values in batch
        if values.size
    )


def _reported(work: _Work, found: Prediction, *, chosen: bool) -> Report:
    job, graph = work.job, work.graph
    ran: list[Ran] = []
    findings, unjudged = diagnose(Case(graph, found.profile), tell=ran.append)
    notes = (
        *job.notes,
        *([ASSUMED] if interior(graph) else []),
        *([f"loss, since none was given: {job.score.used}"] if chosen and job.score.used else []),
    )
    coverage = _coverage(graph, found.profile, (*work.gaps, *found.gaps, *unjudged), notes)
    coverage = replace(coverage, diagnostics=tuple(ran))
    facts = {**job.facts, "loss": job.score.used}
    return Report("", graph, found.profile, findings, coverage, facts, found.forecast)


def _coverage(graph: Graph, profile: Profile, gaps: tuple[Gap, ...], notes: tuple[str, ...]) -> Coverage:
    differentiable = [record for record in profile.sites if graph.by_name[record.name].differentiable]
    trainable = [record for record in profile.parameters if record.trainable]
    return Coverage(
        nodes=len(graph.nodes),
        named=len(graph.nodes) - sum(graph.unnamed().values()),
        sites=len(profile.sites),
        forward=sum(record.forward is not None for record in profile.sites),
        differentiable=len(differentiable),
        gradient=sum(record.gradient is not None for record in differentiable),
        parameters=sum(parameter.trainable for parameter in graph.parameters),
        parameters_with_gradient=sum(record.gradient is not None for record in trainable),
        gaps=gaps,
        assumptions=tuple(dict.fromkeys((*notes, *graph.notes))),
    )

"""PyTorch's side of the protocol: trace, record, observe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from justright.adapters.base import Arrays, Job, Observation, Target, Watch
from justright.adapters.torch.apply import apply, run
from justright.adapters.torch.calibration import Row, calibrate
from justright.adapters.torch.conditions import open_form
from justright.adapters.torch.data import data_of
from justright.adapters.torch.execute import RealExecutor, ShapeExecutor
from justright.adapters.torch.gradients import gradients, opening
from justright.adapters.torch.guard import Guard, Guarding
from justright.adapters.torch.initializers import recording_initializers
from justright.adapters.torch.job import batch_tensors, own_tensors, prepare
from justright.adapters.torch.layouts import Holder, fill, holders
from justright.adapters.torch.losses import PROBE, floating_outputs
from justright.adapters.torch.optimizers import plan_of, usual_plan
from justright.adapters.torch.place import ModuleStack, line_of_traceback
from justright.adapters.torch.preserve import preserved
from justright.adapters.torch.recorder import Executor, Recorder
from justright.adapters.torch.shapes import check_values, shapes_only, signal_to_meta
from justright.adapters.torch.statistics import host_array, summary_of
from justright.adapters.torch.step import Subject, step_of
from justright.adapters.torch.twins import twins
from justright.adapters.torch.watcher import Left, Watcher
from justright.adapters.torch.weightless import weightless
from justright.adapters.torch.written import keep, unfit
from justright.core.graph import Graph, Initializer, Node, Parameter, Role
from justright.core.step import StepRecord
from justright.core.uses import weight_layout
from justright.errors import ForwardError, JustRightError, LossError, TraceError
from justright.statistics.rows import identical_rows

__all__ = ["ADAPTER", "TorchAdapter"]

SMALL = 1 << 20
"""Elements of model and batch: a forward takes a few hundredths of a second, PyTorch's shape rules 1.3 s to import."""

LOSS = "loss"
"""Module path under which the loss's own operations stand."""


class TorchAdapter:
    """Serves `torch.nn.Module`."""

    name = "torch"

    def is_model(self, thing: Any) -> bool:  # noqa: ANN401
        """Say whether this is a module."""
        return isinstance(thing, torch.nn.Module)

    def prepare(
        self,
        model: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        loss: Any = None,  # noqa: ANN401
        *,
        device: str | None = None,
        initializers: Mapping[str, Initializer] | None = None,
        notes: Sequence[str] = (),
        optimizer: Any = None,  # noqa: ANN401
    ) -> Job:
        """Check model, batch, loss and optimizer, and decide how they go together."""
        plan = plan_of(optimizer)
        job = prepare(model, batch, loss, device=device, initializers=initializers, notes=notes)
        return replace(job, optimizer=plan)

    def recording_initializers(self) -> AbstractContextManager[Callable[[Any], Mapping[str, Initializer]]]:
        """Record initializers while a model is built."""
        return recording_initializers()

    def load(self, source: Any, *, values: bool = True) -> Target | None:  # noqa: ANN401
        """Build a model from a library source, or from a library's configuration."""
        from justright.adapters.torch.libraries import load

        return load(source, values=values)

    def weightless(self, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Build a model whose parameters have a shape alone."""
        return weightless(make)

    def calibrate(
        self,
        model: Any,  # noqa: ANN401
        jobs: Sequence[Job],
        scheme: Any,  # noqa: ANN401
        *,
        state: Path | None,
        key: str,
        begin: Callable[[], object],
        progress: Callable[[str, int, int], None],
    ) -> tuple[Row, ...]:
        """Change parameters by what batches do or weights hold, and say of each what was changed, before and after."""
        return calibrate(model, jobs, scheme, state=state, key=key, begin=begin, progress=progress)

    def holders(self, model: Any) -> Iterator[tuple[str, Holder]]:  # noqa: ANN401
        """Yield every parameter with its layout."""
        return holders(model)

    def values(self, parameter: Any) -> np.ndarray:  # noqa: ANN401
        """Return the values of a parameter, those of short formats in float32."""
        found: np.ndarray = parameter.detach().cpu().to(torch.promote_types(parameter.dtype, torch.float32)).numpy()
        return found

    def keep(self, parameters: Sequence[Any]) -> Callable[[], None]:
        """Copy parameters, and return what puts their values back."""
        return keep(parameters)

    def unfit(self, model: Any, name: str) -> str:  # noqa: ANN401
        """Say why a parameter cannot be filled; else empty."""
        return unfit(model, name)

    def fill(self, parameter: Any, values: np.ndarray) -> None:  # noqa: ANN401
        """Write values into a parameter."""
        fill(parameter, values)

    def trace(self, job: Job) -> Graph:
        """Make the graph from shapes: weights and signals are never read."""
        executor = ShapeExecutor()
        with preserved(job.model, _tensors(job)) as guard, _nothing_saved():
            shapes_only(job.model)
            return _record(
                own_tensors(job, lambda tensor: signal_to_meta(tensor.detach())), guard, executor, executor.notes
            )

    def record(self, job: Job) -> Graph:
        """Make the graph from one real forward."""
        check_values(job.model)
        with preserved(job.model, _tensors(job)) as guard:
            return _record(own_tensors(job), guard, RealExecutor(), [])

    def small(self, job: Job) -> bool:
        """Say whether model and batch are small and hold values."""
        tensors = [*job.model.parameters(), *job.model.buffers(), *_tensors(job)]
        return sum(each.numel() for each in tensors) <= SMALL and not any(each.is_meta for each in tensors)

    def arrays(self, job: Job) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the values of parameters, buffers and batch, by the names of their sites."""
        named = (*job.model.named_parameters(), *job.model.named_buffers(), *batch_tensors(job))
        for name, tensor in named:
            if not tensor.is_meta and not tensor.is_complex():
                yield name, host_array(tensor)

    def apply(
        self, node: Node, operands: Sequence[np.ndarray], seed: int, wanted: Sequence[bool] | None = None
    ) -> tuple[Arrays, Callable[[Arrays], Arrays]]:
        """Run the operator of one node on arrays."""
        return apply(node, operands, seed, wanted)

    def run(
        self, nodes: Sequence[Node], given: Mapping[int, NDArray[Any]], wanted: frozenset[int], seed: int
    ) -> tuple[dict[int, NDArray[Any]], Callable[[Mapping[int, NDArray[Any]]], dict[int, NDArray[Any]]]]:
        """Run nodes one after the other on arrays by site."""
        return run(nodes, given, wanted, seed)

    def observe(self, job: Job, graph: Graph, watch: Watch) -> Observation | None:
        """Run forward and backward for real, and summarize every floating site."""
        check_values(job.model)
        with preserved(job.model, _tensors(job)) as guard:
            own = own_tensors(job)  # which the forward may write to, and the given ones serve again
            parameters = dict(job.model.named_parameters())  # those of now: a forward may add some
            watcher = Watcher(graph, watch, guard.before_write)
            _look_at_leaves(watcher, graph, own)
            watcher.seen.data.update(data_of(batch_tensors(own)))
            try:
                with open_form(), watcher:
                    loss = _forward(own, ModuleStack(job.model))[1]
                    watcher.end_forward()
                    found = gradients(parameters, loss)
            except Left:
                return None
            _look_at_parameters(watcher, graph, parameters, found)
            watcher.seen.losses.append(float(loss.detach()))
            watcher.seen.scored = job.score.used
        if watch.step:
            watcher.seen.step = _step(job, graph, watcher.seen, found)
        return watcher.seen

    def opening(self, job: Job, names: Sequence[str], steps: int) -> Mapping[str, int]:
        """Say after how many small steps of the other parameters these get a gradient."""
        return opening(lambda parameters: _trial(job, parameters), dict(job.model.named_parameters()), names, steps)


ADAPTER = TorchAdapter()


def _tensors(job: Job) -> list[torch.Tensor]:
    return [tensor for _, tensor in batch_tensors(job)]


def _step(job: Job, graph: Graph, seen: Observation, found: dict[str, torch.Tensor]) -> StepRecord:
    """Take one step of the optimizer with these gradients, and undo it."""
    plan = job.optimizer or usual_plan(graph)
    if seen.scored == PROBE:
        return StepRecord("", plan.given, untaken="no loss was given, and a random direction has no minimum")

    @contextmanager
    def run(*, differentiable: bool = True) -> Iterator[torch.Tensor]:
        graded = torch.set_grad_enabled(differentiable)
        with preserved(job.model, _tensors(job)) as guard, open_form(), graded, Guarding(guard):
            yield _forward(own_tensors(job), ModuleStack(job.model))[1]

    finite = not any(each.finish().nonfinite for each in seen.parameter_gradients.values())
    sizes = {name: each.finish().rms for name, each in seen.parameters.items()}
    return step_of(Subject(job.model, _tensors(job), run, seen.losses[-1], found, finite, sizes), plan)


def _trial(job: Job, parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Gradients with these parameters in place of the model's own."""
    with preserved(job.model, _tensors(job)) as guard, open_form(), Guarding(guard):
        loss = _forward(own_tensors(job), ModuleStack(job.model), parameters)[1]
        return gradients(parameters, loss)


@contextmanager
def _nothing_saved() -> Iterator[None]:
    """Let autograd mark what is differentiable without keeping any tensor for a backward that never comes."""

    def refuse(_packed: None) -> torch.Tensor:
        raise TraceError(
            "a backward inside the forward, which a trace without data does not have",
            where="forward",
            expected="a forward without torch.autograd.grad",
            try_="give a real batch: the structure is then recorded from one real forward",
        )

    with torch.autograd.graph.saved_tensors_hooks(lambda _tensor: None, refuse):
        yield


def _record(job: Job, guard: Guard, executor: Executor, notes: list[str]) -> Graph:
    stack = ModuleStack(job.model)
    recorder = Recorder(stack, executor, guard.before_write)
    parameters = _add_leaves(recorder, job)
    with open_form(), recorder:
        output, loss = _forward(job, stack)
    outputs = [site for each in floating_outputs(output) if (site := recorder.site_of(each)) is not None]
    return recorder.builder.finish(
        outputs=outputs,
        loss=recorder.site_of(loss),
        parameters=parameters,
        notes=[*notes, *recorder.notes],
        calls=recorder.calls,
        known=recorder.known,
    )


def _forward(
    job: Job, stack: ModuleStack, parameters: Mapping[str, torch.Tensor] | None = None
) -> tuple[Any, torch.Tensor]:
    """Run the forward and the loss, with other parameters if they are given; put the user's own errors into words."""
    with stack.following():
        try:
            if parameters is None:
                output = job.model(*job.args, **job.kwargs)
            else:
                output = functional_call(job.model, dict(parameters), job.args, dict(job.kwargs))
        except Exception as error:
            raise _in_words(
                error, ForwardError, stack.failed or "forward", expected="a forward that runs on this batch",
                try_='integers, such as "int64:2,16:0..100"' if "Long" in str(error) and "indices" in str(error)
                else "check the batch's shape and dtype against what this module takes",
            ) from error  # fmt: skip
        try:
            with stack.named(LOSS):
                return output, job.score(output)
        except Exception as error:
            raise _in_words(
                error, LossError, LOSS, expected="a loss that can be computed from this output and target",
                try_="check the target's shape, dtype and range against what the loss takes",
            ) from error  # fmt: skip


def _in_words(error: Exception, kind: type[JustRightError], place: str, *, expected: str, try_: str) -> JustRightError:
    """Make a four-part error from the user's own, with the deepest line of the user's code; ours stay as they are."""
    if isinstance(error, JustRightError):
        return error
    line = line_of_traceback(error.__traceback__)
    where = f"{place} ({line})" if line else place
    return kind(f"{type(error).__name__}: {error}", where=where, expected=expected, try_=try_)


def _add_leaves(recorder: Recorder, job: Job) -> list[Parameter]:
    names: dict[int, list[str]] = {}
    for name, parameter in job.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    made = []
    for name, parameter in job.model.named_parameters():
        site = recorder.add_leaf(parameter, name, Role.PARAMETER)
        aliases = tuple(each for each in names[id(parameter)] if each != name)
        initializer = job.initializers.get(name)
        made.append(Parameter(name, site, parameter.requires_grad, aliases, initializer=initializer))
    for name, buffer in job.model.named_buffers():
        recorder.add_leaf(buffer, name, Role.BUFFER)
    for name, tensor in batch_tensors(job):
        recorder.add_leaf(tensor, name, Role.INPUT)
    return made


def _look_at_leaves(watcher: Watcher, graph: Graph, job: Job) -> None:
    """Summarize what no call makes: the batch, the buffers and the parameters."""
    leaves = [*batch_tensors(job), *job.model.named_buffers(), *job.model.named_parameters()]
    for name, tensor in leaves:
        site = graph.by_name.get(name)
        if site is not None and site.floating and tensor.numel():
            watcher.look(tensor, site.index)


def _look_at_parameters(
    watcher: Watcher, graph: Graph, parameters: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> None:
    seen = watcher.seen
    layouts = {parameter.name: weight_layout(graph, parameter) for parameter in graph.parameters}
    for name, parameter in parameters.items():
        site = graph.by_name[name].index
        seen.parameters[name] = seen.forward.get(site) or summary_of(parameter)
        if name not in found:
            continue
        seen.parameter_gradients[name] = seen.gradient[site] = watcher.gradient(found[name])
        layout = layouts.get(name)
        if layout is not None:
            values, slopes = host_array(parameter), host_array(found[name])
            (units,) = layout.outputs
            seen.identical[name] = (values.shape[units], identical_rows(values, slopes, units))
    seen.same = twins(parameters, seen.parameters)

"""What an engine asks of a framework, and how the framework of a model is found."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from justright.core.data import DataSummary
from justright.core.edges import EdgeRecord
from justright.core.graph import Graph, Initializer, Node
from justright.core.step import StepRecord
from justright.core.zones import Zones
from justright.errors import BackendError, ModelError
from justright.statistics.relations import AttentionSums, RelationSums, RoutingSums
from justright.statistics.summary import Summary
from justright.statistics.units import UnitCounts

__all__ = ["Adapter", "Job", "Observation", "Places", "Score", "Target", "Watch", "adapter_of", "load_adapter"]

Arrays = Sequence[NDArray[Any] | None]
"""Outputs of an operator, or gradients."""

ADAPTERS: Mapping[str, str] = {"torch": "justright.adapters.torch"}
"""Framework, as it is imported, to the package that serves it."""


@dataclass(frozen=True)
class Target:
    """What a model source gave: a model, and whatever else it knew.

    Parameters
    ----------
    model
        The model, in its framework's own class.
    batch
        A batch in any form that `Adapter.prepare` takes, or an `InputSpec`; ``None`` if unknown.
    loss
        Callable, name or ``None``.
    optimizer
        Optimizer, if the source gave one.
    title
        How to call it in a report.
    initializers
        Initializer of each parameter, as recorded while the model was built.
    notes
        Assumptions made on the way.
    """

    model: Any
    batch: Any = None
    loss: Any = None
    optimizer: Any = None
    title: str = ""
    initializers: Mapping[str, Initializer] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Score(Protocol):
    """From an output to the scalar that gradients start from; `used` says in words what the last one was."""

    used: str

    def __call__(self, output: Any) -> Any:  # noqa: ANN401
        """Score an output."""
        ...


@dataclass(frozen=True)
class Job:
    """A model with all that one forward and backward needs; made by `Adapter.prepare`, opaque to engines.

    Parameters
    ----------
    model
        The model itself, unwrapped.
    args, kwargs
        What its forward gets.
    score
        From the forward's output to the scalar that gradients start from.
    target
        What the output is compared with, ``None`` if nothing.
    facts
        What was found and chosen, for the report: class, loss, batch, mode, device.
    notes
        Assumptions made on the user's behalf, each a sentence.
    initializers
        Initializer of each parameter, where recorded.
    optimizer
        The optimizer whose step is tried, in the framework's own terms; ``None`` to choose one for the network.
    """

    model: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    score: Score
    facts: Mapping[str, str]
    target: Any = None
    notes: tuple[str, ...] = ()
    initializers: Mapping[str, Initializer] = field(default_factory=dict)
    optimizer: Any = None


class Places(NamedTuple):
    """How the axes of a site lie.

    Parameters
    ----------
    examples
        Axis along which the examples of the batch lie, of length ``outer * number of examples * inner``.
    outer, inner
        How much of what comes before and after the examples is folded into that axis.
    units
        Axis of the units; all others are positions.
    """

    examples: int
    outer: int
    inner: int
    units: int


@dataclass(frozen=True)
class Watch:
    """Where to look closer while the network runs.

    Parameters
    ----------
    units
        Site → its unit axis and the flat parts of its function.
    edges
        Sites whose distance to the edge of a function's domain is wanted.
    relations
        Sites whose examples, positions and units are to be compared.
    attention
        Outputs of softmaxes whose rows are to be summarized → their axis.
    routing
        Scores of routers → how many experts each token is sent to.
    step
        Whether to take one step of the optimizer, and undo it.
    """

    units: Mapping[int, tuple[int, Zones]] = field(default_factory=dict)
    edges: frozenset[int] = frozenset()
    relations: Mapping[int, Places] = field(default_factory=dict)
    attention: Mapping[int, int] = field(default_factory=dict)
    routing: Mapping[int, int] = field(default_factory=dict)
    step: bool = False


@dataclass
class Observation:
    """What one forward and backward showed, by site index and by parameter name; `scored` says what the loss was."""

    forward: dict[int, Summary] = field(default_factory=dict)
    gradient: dict[int, Summary] = field(default_factory=dict)
    units: dict[int, UnitCounts] = field(default_factory=dict)
    parameters: dict[str, Summary] = field(default_factory=dict)
    parameter_gradients: dict[str, Summary] = field(default_factory=dict)
    identical: dict[str, tuple[int, tuple[tuple[int, ...], ...]]] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    scored: str = ""
    data: dict[str, DataSummary] = field(default_factory=dict)
    edges: dict[int, EdgeRecord] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    relations: dict[int, RelationSums] = field(default_factory=dict)
    attention: dict[int, AttentionSums] = field(default_factory=dict)
    routing: dict[int, RoutingSums] = field(default_factory=dict)
    step: StepRecord | None = None


class Adapter(Protocol):
    """One framework. Every method leaves the model bit for bit as it was, also when it raises."""

    name: str

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
        """Check model, batch and loss, decide how they go together, and say what was assumed."""
        ...

    def trace(self, job: Job) -> Graph:
        """Make the operator graph from shapes alone; raises `TraceError` where that needs data."""
        ...

    def record(self, job: Job) -> Graph:
        """Make the operator graph from one real forward."""
        ...

    def small(self, job: Job) -> bool:
        """Say whether one more real forward takes less time than to trace without data."""
        ...

    def arrays(self, job: Job) -> Iterator[tuple[str, Any]]:
        """Yield the values of parameters, buffers and batch as arrays, by the names of their sites."""
        ...

    def apply(
        self, node: Node, operands: Sequence[NDArray[Any]], seed: int, wanted: Sequence[bool] | None = None
    ) -> tuple[Arrays, Callable[[Arrays], Arrays]]:
        """Run the operator of one node on arrays, in the order of its operands, and with its attributes.

        Returns its outputs, and a function from gradients at them to gradients at the operands; ``None`` stands for
        what is no array or has no gradient. Operators that draw noise use this seed and no other. Gradients are taken
        at the operands that `wanted` marks, at all floating-point ones without it.

        Raises `ForwardError` where the operator does not run alone, or has no gradient.
        """
        ...

    def run(
        self, nodes: Sequence[Node], given: Mapping[int, NDArray[Any]], wanted: frozenset[int], seed: int
    ) -> tuple[dict[int, NDArray[Any]], Callable[[Mapping[int, NDArray[Any]]], dict[int, NDArray[Any]]]]:
        """Run nodes one after the other on arrays by site.

        Returns what they make by site, and a function from gradients at some of these to the gradients at all of them
        and at the given sites that `wanted` has. Raises `ForwardError` where a node does not run alone.
        """
        ...

    def observe(self, job: Job, graph: Graph, watch: Watch) -> Observation | None:
        """Run forward and backward and summarize every floating site; ``None`` if the run left the graph."""
        ...

    def opening(self, job: Job, names: Sequence[str], steps: int) -> Mapping[str, int]:
        """Say after how many small steps of the other parameters the gradients of these stop being zero."""
        ...

    def recording_initializers(self) -> AbstractContextManager[Callable[[Any], Mapping[str, Initializer]]]:
        """Record initializers while a model is built; what it yields maps a model to its parameters' initializers."""
        ...

    def load(self, source: Any, *, values: bool = True) -> Target | None:  # noqa: ANN401
        """Build a model from a library source (``"transformers:…"``) or configuration; ``None`` if it is neither.

        Without `values` its parameters have a shape alone.
        """
        ...

    def holders(self, model: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
        """Yield every parameter once: its name; what is to be filled, itself, and why if that is not known."""
        ...

    def fill(self, parameter: Any, values: NDArray[Any]) -> None:  # noqa: ANN401
        """Write an array into a parameter, rounded to its type, on its device."""
        ...

    def values(self, parameter: Any) -> NDArray[Any]:  # noqa: ANN401
        """Return the values of a parameter as NumPy can hold them."""
        ...

    def keep(self, parameters: Sequence[Any]) -> Callable[[], None]:
        """Copy parameters, and return what puts their values back, bit for bit."""
        ...

    def unfit(self, model: Any, name: str) -> str:  # noqa: ANN401
        """Say why a parameter of a model cannot be filled: it is sharded, quantized or made from others; else empty."""
        ...

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
    ) -> Sequence[tuple[str, float, float]]:
        """Change parameters by what batches do or weights hold, and say of each what was changed, before and after.

        `begin` sets the weights that it starts with, unless `state` is of a run that goes on.
        """
        ...

    def weightless(self, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Call what builds a model, so that its parameters have a shape alone and take no memory."""
        ...

    def is_model(self, thing: Any) -> bool:  # noqa: ANN401
        """Say whether this adapter serves this object."""
        ...


def load_adapter(name: str) -> Adapter:
    """Import the adapter of a framework by name.

    Raises
    ------
    BackendError
        If there is none, or the framework is not installed.
    """
    if name not in ADAPTERS:
        raise BackendError(f"framework {name!r}", expected=" or ".join(ADAPTERS), where="adapter")
    try:
        adapter: Adapter = importlib.import_module(ADAPTERS[name]).ADAPTER
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise BackendError(
            f"no package {name!r}",
            where="adapter",
            expected=f"{name} installed",
            try_=f"pip install 'justright[{name}]'",
        ) from None
    return adapter


def adapter_of(model: Any) -> Adapter:  # noqa: ANN401
    """Find the adapter of a model, asking only frameworks that are imported already.

    Raises
    ------
    ModelError
        If no adapter knows this object.
    """
    for adapter in _imported():
        if adapter.is_model(model):
            return adapter
    raise ModelError(
        f"{_described(model)}",
        where="model",
        expected="a model, such as a torch.nn.Module instance",
        try_="give the model itself: build it first if this is its class, call it if this is its factory",
    )


def _imported() -> Iterable[Adapter]:
    return (load_adapter(name) for name in ADAPTERS if name in sys.modules)


def _described(model: Any) -> str:  # noqa: ANN401
    return f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"

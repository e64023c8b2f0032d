"""Reports of networks that were never run: every number in them is chosen by the test."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from justright.core.coverage import Coverage, Gap, Ran
from justright.core.data import RANGES, DataRecord
from justright.core.edges import EdgeRecord
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Graph, GraphBuilder, Parameter, Role
from justright.core.information import AttentionStatistics, RelationStatistics, RoutingStatistics
from justright.core.prediction import Estimate, Forecast, Predicted, Series
from justright.core.profile import ParameterRecord, Profile, Provenance, SiteRecord, TensorStatistics, UnitStatistics
from justright.core.step import StepRecord
from justright.report import Report

Law = Callable[[int], float]
"""RMS as a function of the layer, counted from 1."""

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "[bold]red[/bold]",
    "<!--\u2028",
    "\x1b[31m",
    "<b>bold</b><br>",
)
"""Names that HTML, a script element, rich, a terminal or plotly would read as commands."""


def statistics(rms: float, count: int = 512) -> TensorStatistics:
    """Statistics of a tensor whose RMS is this number."""
    bad = 0 if math.isfinite(rms) else count
    inf = bad if math.isinf(rms) else 0
    return TensorStatistics(
        count, 0.0, rms, rms, 3 * rms, rms / 100, float(rms == 0),
        nan=bad - inf, positive_inf=inf, histogram=histogram(rms, count),
    )  # fmt: skip


def histogram(rms: float, count: int) -> tuple[tuple[int, int], ...]:
    """One element at a hundredth of the RMS, one at three times it, the others at it; nothing if it is no number."""
    if not 0 < rms < math.inf:
        return ()
    values = [rms / 100, *[rms] * (count - 2), 3 * rms]
    return tuple(sorted(Counter(math.frexp(value)[1] - 1 for value in values).items()))


def network(
    depth: int, forward: Law, gradient: Law, *, module: Callable[[int], str], source: str = "model.py:{line}"
) -> tuple[Graph, Profile]:
    """Chain of linear layers and ReLUs with a loss; weight and bias are leaves of the graph."""
    builder = GraphBuilder()
    records: dict[int, SiteRecord] = {}
    parameters: list[Parameter] = []

    def record(site: int, op: str, where: str, line: int, role: Role, *, rms: float, grad: float, at: int = 0) -> None:
        units = UnitStatistics(1, 64, at % 7, at % 3, 0.1, "relu(x)") if op == "relu" else None
        dtype, shape = "float32", builder.shape(site)
        records[site] = SiteRecord(
            "", op, where, source.format(line=line), shape, dtype, role.value,
            statistics(rms), statistics(grad), units, gain=1.0, cumulative=rms, depth=at,
        )  # fmt: skip

    signal = builder.leaf("input.0", (8, 64), "float32", Role.INPUT)
    record(signal, "", "", 1, Role.INPUT, rms=1.0, grad=gradient(1))
    for layer in range(1, depth + 1):
        name = module(layer)
        weight = builder.leaf(f"{name}.weight", (64, 64), "float32", Role.PARAMETER, differentiable=True)
        bias = builder.leaf(f"{name}.bias", (64,), "float32", Role.PARAMETER, differentiable=True)
        record(weight, "", name, 3, Role.PARAMETER, rms=0.1, grad=gradient(layer))
        record(bias, "", name, 3, Role.PARAMETER, rms=0.0, grad=gradient(layer))
        parameters += [Parameter(f"{name}.weight", weight), Parameter(f"{name}.bias", bias)]
        for op, operands in (("linear", [("weight", weight), ("bias", bias)]), ("relu", [])):
            (signal,) = builder.node(
                op, f"aten.{op}.default", [("input", signal), *operands], [((8, 64), "float32", True)],
                module=name, module_type="Linear", source=source.format(line=2 + layer % 5),
            )  # fmt: skip
            line = 2 + layer % 5
            record(signal, op, name, line, Role.ACTIVATION, rms=forward(layer), grad=gradient(layer), at=layer)
    (loss,) = builder.node("mean", "aten.mean.default", [("input", signal)], [((), "float32", True)], source="")
    record(loss, "mean", "", 9, Role.ACTIVATION, rms=0.5, grad=1.0, at=depth)
    graph = builder.finish(
        outputs=(signal,), loss=loss, parameters=parameters, notes=["The graph was traced with one batch."]
    )
    return graph, _profile(graph, records)


def _profile(graph: Graph, records: dict[int, SiteRecord]) -> Profile:
    """Name the records as the closed graph does."""
    named = tuple(replace(records[site.index], name=site.name) for site in graph.sites)
    weights = tuple(
        ParameterRecord(parameter.name, True, named[parameter.site].forward, named[parameter.site].gradient)
        for parameter in graph.parameters
    )
    return Profile(named, weights, loss=0.5)


def example(kind: Any) -> Any:
    """One value of a type; a record has every part that it may have."""
    origin, arguments = get_origin(kind), [each for each in get_args(kind) if each is not type(None)]
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: example(hints[field.name]) for field in fields(kind)})
    if origin is tuple:
        return tuple(example(each) for each in arguments if each is not ...)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {example(arguments[0]): example(arguments[1])}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return example(arguments[0]) if arguments else {float: 0.5, int: 1, bool: True, str: "text"}[kind]


def complete(profile: Profile) -> Profile:
    """The same profile with every record that an examination may add, on its last site and on the whole."""
    *sites, last = profile.sites
    kinds = {
        "edge": EdgeRecord, "relation": RelationStatistics, "attention": AttentionStatistics,
        "routing": RoutingStatistics,
    }  # fmt: skip
    last = replace(last, **{name: example(kind) for name, kind in kinds.items()})
    data = replace(example(DataRecord), beyond=dict.fromkeys(RANGES, 0.5))
    return replace(profile, sites=(*sites, last), data=(data,), step=example(StepRecord))


def coverage_of(profile: Profile, gaps: tuple[Gap, ...] = (), assumptions: tuple[str, ...] = ()) -> Coverage:
    """Ledger of a profile in which every site has both statistics."""
    sites, parameters = len(profile.sites), len(profile.parameters)
    ran = (Ran("JR103", "vanishing-gradient", 0.001),)
    return Coverage(sites, sites, sites, sites, sites, sites, parameters, parameters, gaps, assumptions, ran)


CONTEXT = {
    "model": "Net (25,216 parameters)",
    "loss": "mean of the squared output, chosen by justright",
    "batch": "8 random inputs of shape 64",
    "mode": "training",
    "device": "cpu",
    "versions": "justright 0.1.0, torch 2.13.0",
}
ASSUMPTIONS = ("The loss is the mean of the squared output.", "Inputs are standard normal.")


def healthy(depth: int = 50) -> Report:
    """Nothing to complain about."""
    graph, profile = network(
        depth,
        lambda at: 1 + 0.03 * math.sin(at),
        lambda at: 1e-3 * (1 + 0.05 * math.cos(at)),
        module=lambda at: f"layers.{at}",
    )
    return Report("Net, 50 layers", graph, profile, (), coverage_of(profile, (), ASSUMPTIONS), CONTEXT)


def vanishing(depth: int = 50, growth: float = 0.7) -> Report:
    """Signals and gradients that shrink from layer to layer."""
    graph, profile = network(
        depth, lambda at: growth**at, lambda at: growth ** (depth - at) * 1e-2, module=lambda at: f"blocks.{at}.mlp"
    )
    profile = complete(profile)
    sites = tuple(f"blocks.{at}.mlp/linear" for at in range(1, depth // 2 + 1))
    note = Finding(
        "JR301", "identical-units", Severity.NOTE, "blocks.3.mlp.bias", "64 equal values", "values that differ",
        "biases start at zero, which is harmless here", "nothing to do", sites=("blocks.3.mlp.bias",),
    )  # fmt: skip
    warning = Finding(
        "JR204", "dead-units", Severity.WARNING, "blocks.5.mlp/relu (model.py:12)", "9.4 % of the units dead",
        "under 5 %", "the biases are shifted by one standard deviation", "torch.nn.init.zeros_(layer.bias)",
        (Evidence("dead units", 0.094, "share of units", None, 0.05),), ("blocks.5.mlp/relu",),
    )  # fmt: skip
    growth_rate = Evidence("gradient growth", math.log(growth), "nats per layer", -0.1, 0.1)
    error = Finding(
        "JR103", "vanishing-gradient", Severity.ERROR, f"blocks.1.mlp to blocks.{depth // 2}.mlp (model.py:41)",
        "gradients shrink by a factor 0.70 per layer, χ₁ = 0.49 ± 0.01",
        "a factor between 0.9 and 1.1 per layer (χ₁ ≈ 1)",
        "the weights are drawn with gain 0.99 before a ReLU, which halves the second moment: σ_w² E[φ'²] = 0.49",
        "justright.prescribe(model, batch).apply(model)",
        (growth_rate, Evidence("depth scale", 2.8, "layers", 20)), sites,
    )  # fmt: skip
    gaps = (
        Gap("operator aten._fancy_attention", "no canonical name, so that no rule applies", 12, "blocks.7.attention"),
        Gap("gradient", "integer tensor", 1, "tokens"),
    )
    return Report(
        f"Transformer, {depth} blocks",
        graph,
        profile,
        (note, warning, error),
        coverage_of(profile, gaps, ASSUMPTIONS),
        CONTEXT,
    )


def nonfinite(depth: int = 24) -> Report:
    """Signals that overflow half-way, gradients that are zero before."""

    def forward(at: int) -> float:
        return 4.0**at if at < 12 else (math.inf if at < 18 else math.nan)

    graph, profile = network(depth, forward, lambda at: 0.0 if at < 12 else math.nan, module=lambda at: f"stage.{at}")
    finding = Finding(
        "JR101", "non-finite-signal", Severity.ERROR, "stage.12/linear (model.py:4)", "512 of 512 elements infinite",
        "finite values", "the signal grows by a factor 4 per layer", "justright.prescribe(model, batch).apply(model)",
        (Evidence("rms", math.inf, "", 0.1, 10.0), Evidence("rms", math.nan)), ("stage.12/linear",),
    )  # fmt: skip
    return Report("Net that overflows", graph, profile, (finding,), coverage_of(profile), CONTEXT)


def hostile() -> Report:
    """Every text is an attack."""
    img, script, markup, comment, escape, _ = HOSTILE
    every = " ".join(HOSTILE)
    graph, profile = network(
        6,
        lambda _: 1.0,
        lambda _: 1.0,
        module=lambda at: f"{HOSTILE[at % 6]}.{at}",
        source=f"{img}{script}.py:{{line}}",
    )
    finding = Finding(
        markup, img, Severity.ERROR, *(f"{part} {every}" for part in ("where", "got", "expected", "because", "try")),
        (Evidence(img, 1.0, script, 0.0, 2.0),), (f"{img}.6/linear", f"{script}.1/relu", "no such site " + img),
    )  # fmt: skip
    coverage = coverage_of(profile, (Gap(f"gap {img}", f"reason {script}", 3, f"at {comment}"),), (f"assumed {every}",))
    return Report(every, graph, profile, (finding,), coverage, {img: script, markup: escape})


def large(sites: int = 5000) -> Report:
    """As many sites as a large language model has."""
    return vanishing(sites // 4, growth=0.99)


def empty() -> Report:
    """A graph with nothing in it."""
    return Report("", Graph((), ()), Profile(()))


def foreseen() -> Report:
    """A prediction in place of a measurement."""
    report = vanishing()
    estimate = Estimate(1.0, 0.5, 2.0, "rule", Provenance.ASYMPTOTIC, False, "a reason")
    sites = tuple(replace(each, predicted=Predicted(estimate, estimate)) for each in report.profile.sites)
    profile = replace(report.profile, sites=sites, provenance=Provenance.ASYMPTOTIC)
    series = Series("residual stream", "blocks.*/add", ("blocks.0/add", "blocks.1/add"), (1.0, 2.0), (4.0, 8.0))
    forecast = Forecast(estimate, (series,), 3, 2, 1, 4, (("exact", 2), ("asymptotic", 3)))
    return replace(report, profile=profile, forecast=forecast)


MAKERS = {
    "healthy": healthy,
    "vanishing": vanishing,
    "nonfinite": nonfinite,
    "hostile": hostile,
    "large": large,
    "empty": empty,
    "foreseen": foreseen,
}


@pytest.fixture(scope="session")
def reports() -> dict[str, Report]:
    """All of them by name; they are immutable."""
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(params=list(MAKERS))
def report(request: pytest.FixtureRequest, reports: dict[str, Report]) -> Report:
    """Each of them in turn."""
    return reports[request.param]


@pytest.fixture
def ramp() -> Callable[[Law], Report]:
    """Make a report of 30 layers whose forward RMS follows a law."""

    def make(law: Law) -> Report:
        graph, profile = network(30, law, lambda _: 1.0, module=lambda at: f"layers.{at}")
        return Report("ramp", graph, profile)

    return make


@pytest.fixture
def hostile_names() -> tuple[str, ...]:
    """Names that some reader would take for a command."""
    return HOSTILE

"""The graph traced from shapes alone is the graph of a real run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

import justright as jr
from justright.adapters.torch import ADAPTER
from justright.adapters.torch.vocabulary import canonical
from justright.core.vocabulary import Kind, kind_of
from justright.errors import DataDependentError

HERE = Path(__file__)


def both(model, batch, loss=None):
    job = ADAPTER.prepare(model, batch, loss)
    return ADAPTER.trace(job), ADAPTER.record(job)


def same(traced, recorded):
    """Assert that two graphs are equal, and say where they are not."""
    for kind in ("nodes", "sites", "parameters"):
        for mine, theirs in zip(getattr(traced, kind), getattr(recorded, kind), strict=True):
            assert mine == theirs
    assert (traced.outputs, traced.loss, traced.calls) == (recorded.outputs, recorded.loss, recorded.calls)


def test_traced_graph_is_that_of_a_real_run(case):
    _, model, batch = case
    same(*both(model, batch))


def test_tracing_twice_gives_one_graph(case):
    _, model, batch = case
    job = ADAPTER.prepare(model, batch)
    assert ADAPTER.trace(job) == ADAPTER.trace(job)


def test_modes_give_other_graphs():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    graphs = [both(model.train(mode), torch.randn(2, 4)) for mode in (True, False)]
    for pair in graphs:
        same(*pair)
    drawn = [[node.op for node in traced.nodes].count("random_bernoulli") for traced, _ in graphs]
    assert drawn == [1, 0]


@pytest.mark.usefixtures("all_are_large")
def test_recurrent_model_is_recorded_with_a_note():
    report = jr.check(nn.GRU(4, 6, batch_first=True), torch.randn(2, 5, 4))
    assert any("recorded from a real forward" in note for note in report.coverage.assumptions)
    uses = {parameter.name: len(parameter.uses) for parameter in report.graph.parameters}
    assert uses["weight_hh_l0"] == 5  # once a time step


@dataclasses.dataclass
class Result:
    scores: torch.Tensor
    hidden: dict


class Forms(nn.Module):
    """Takes keywords and a nested mapping; returns a dataclass with containers in it."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(4, 3)

    def forward(self, inputs, *, scale=1.0, masks=()):
        y = self.lin(inputs["x"]) * scale
        for mask in masks:
            y = y.masked_fill(mask, 0.0)
        return Result(y, {"all": [y.exp(), (y.sum(), y.argmax(-1))], "n": 3, "none": None})


def test_nested_inputs_and_outputs():
    batch = {
        "inputs": {"x": torch.randn(2, 4), "unused": torch.randn(7)},
        "masks": [torch.tensor([[True, False, False], [False, True, True]])],
        "scale": 0.5,
    }
    traced, recorded = both(Forms(), batch)
    same(traced, recorded)
    inputs = {site.name: site.shape for site in traced.sites if site.role.value == "input"}
    assert inputs == {"input['inputs']['x']": (2, 4), "input['inputs']['unused']": (7,), "input['masks'][0]": (2, 3)}
    assert [traced.sites[site].shape for site in traced.outputs] == [(2, 3), (2, 3), ()]
    assert traced.sites[traced.nodes[traced.sites[traced.loss].node].operands[0].site].shape == ()
    fills = [node.attributes for node in traced.nodes if node.op == "multiply" and "other" in node.attributes]
    assert {"other": 0.5} in fills


class Controlled(nn.Module):
    """Branches on whatever it is told to."""

    def __init__(self, condition) -> None:
        super().__init__()
        self.lin, self.condition = nn.Linear(4, 4), condition

    def forward(self, x, ids):
        y = self.lin(x)
        return y.relu() if self.condition(self, x, ids, y) else y.tanh()


FROM_SHAPES = {
    "shape": lambda _net, _x, _ids, y: y.shape[0] > 1,
    "length": lambda _net, x, _ids, _y: len(x) == 2,
    "item": lambda _net, _x, ids, _y: ids.max().item() == 3,
    "truth": lambda _net, _x, ids, _y: bool((ids == 3).any()),
    "mask": lambda _net, _x, ids, _y: ids[ids > 1].numel() == 2,
    "nonzero": lambda _net, _x, ids, _y: len(torch.nonzero(ids)) == 3,
    "unique": lambda _net, _x, ids, _y: len(ids.unique()) == 4,
    "list": lambda _net, _x, ids, _y: ids.tolist() == [0, 1, 2, 3],
    "positions": lambda _net, _x, _ids, y: torch.arange(5, device=y.device).sum().item() == 10,
    "table": lambda _net, _x, _ids, _y: torch.linspace(0, 1, 3)[-1].item() == 1.0,
    "mode": lambda net, _x, _ids, _y: net.training,
}

FROM_DATA = {
    "weights": lambda net, _x, _ids, _y: bool(net.lin.weight.sum() < 100),
    "input": lambda _net, x, _ids, _y: x.mean().item() < 100,
    "signal": lambda _net, _x, _ids, y: bool((y < 100).all()),
    "mask": lambda _net, _x, _ids, y: y[y < 100].numel() == 8,
    "routing": lambda _net, _x, ids, y: ids[(y[0] < 100).nonzero()].numel() == 4,
    "random": lambda _net, _x, _ids, _y: torch.rand(()).item() < 2,
}

BATCH = {"x": torch.ones(2, 4), "ids": torch.tensor([0, 1, 2, 3])}


@pytest.mark.parametrize("condition", FROM_SHAPES.values(), ids=FROM_SHAPES.keys())
def test_control_flow_on_shapes_and_integers_is_followed(condition):
    traced, recorded = both(Controlled(condition), BATCH)
    same(traced, recorded)
    assert "relu" in {node.op for node in traced.nodes}


@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize("condition", FROM_DATA.values(), ids=FROM_DATA.keys())
def test_control_flow_on_values_names_the_line_and_is_recorded(condition):
    model = Controlled(condition)
    with pytest.raises(DataDependentError) as raised:
        ADAPTER.trace(ADAPTER.prepare(model, BATCH))
    file, _, line = raised.value.where.rpartition(":")
    assert Path(file).samefile(HERE)
    assert int(line) == condition.__code__.co_firstlineno
    report = jr.check(model, BATCH)
    assert "relu" in {node.op for node in report.graph.nodes}
    gap = next(gap for gap in report.coverage.gaps if gap.what == "structure without data")
    assert gap.where == raised.value.where


OPERATORS = (HERE.parent / "data" / "eager_forward_operators.txt").read_text().split()


@pytest.mark.parametrize("native", OPERATORS)
def test_operators_of_real_models_have_canonical_names(native):
    assert kind_of(canonical(native, {})) is not Kind.UNKNOWN


@torch.library.custom_op("justright_tests::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@torch.library.custom_op("justright_tests::halve", mutates_args=())
def halve(x: torch.Tensor) -> torch.Tensor:
    return x / 2


for operator, factor in ((double, 2.0), (halve, 0.5)):
    operator.register_autograd(lambda _context, gradient, factor=factor: gradient * factor)
halve.register_fake(torch.empty_like)


@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize(("operator", "traceable"), [(double, False), (halve, True)])
def test_unknown_operators_keep_their_name_and_stand_in_the_ledger(operator, traceable):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 4)

        def forward(self, x):
            return operator(self.lin(x)) + 1

    native = f"{operator._qualname.replace('::', '.')}.default"
    report = jr.check(Net(), torch.randn(2, 4))
    assert native in {node.op for node in report.graph.nodes}
    gaps = {gap.what: gap for gap in report.coverage.gaps}
    assert gaps[f"operator {native}"].count == 1
    assert ("structure without data" in gaps) is not traceable
    assert report.coverage.named == report.coverage.nodes - 1
    produced = next(node for node in report.graph.nodes if node.op == native).outputs[0]
    assert report.profile.by_name[report.graph.sites[produced].name].gradient is not None

"""The example axis against what the network does: changing one example changes that row of every site, and no other."""

from __future__ import annotations

import math

import pytest

import justright as jr
from justright.adapters.torch import relations as torch_relations
from justright.adapters.torch import watcher
from justright.core.information import read_sites
from justright.testing import zoo

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

MIXING = {"information/batch-attention-4", "information/nodes-32"}
"""Networks in which examples do see each other."""

FOLLOWED = [
    "mlp/relu-he",
    "attention/post-norm",
    "attention/masked-own",
    "attention/mixer",
    "information/pure-attention-1",
    "information/sharp-3",
    "information/experts",
    "language/gpt2",
    "language/llama",
    "language/bert",
    "language/vit",
]


def seen_by(name, change, monkeypatch):
    """Every compared site, as rows of examples, with the batch changed first."""
    model, batch, loss = zoo.NETWORKS[name].build(0)
    parts = dict(batch) if isinstance(batch, dict) else list(batch)
    place = next(iter(parts)) if isinstance(parts, dict) else 0
    parts[place] = change(parts[place])
    found = []

    def spy(tensor, places):
        found.append(torch_relations._ordered(tensor.detach(), places).clone())

    monkeypatch.setattr(watcher, "relation_of", spy)
    jr.check(model.eval(), parts if isinstance(parts, dict) else tuple(parts), loss=loss)
    return found


def with_example_changed(tensor):
    changed = tensor.clone()
    changed[3] = tensor[5]
    return changed


@pytest.mark.parametrize("name", FOLLOWED)
def test_changing_one_example_changes_its_row_alone(name, monkeypatch):
    if not zoo.NETWORKS[name].available:
        pytest.skip("needs a package")
    before = seen_by(name, lambda tensor: tensor, monkeypatch)
    after = seen_by(name, with_example_changed, monkeypatch)
    assert len(before) == len(after) > 1
    for one, other in zip(before, after, strict=True):
        scale = one.abs().max()
        differ = ((one - other).abs() > 1e-4 * scale).flatten(1).any(1)
        assert differ.nonzero().flatten().tolist() in ([3], [])
    assert sum(not torch.equal(one, other) for one, other in zip(before, after, strict=True)) == len(before)


def relations_of(name, dtype=None, batches=1):
    model, (inputs, target), loss = zoo.NETWORKS[name].build(0)
    if dtype is not None:
        model, inputs = model.to(dtype), inputs.to(dtype)
    report = jr.check(model, batches=[(inputs, target)] * batches, loss=loss)
    return report, {record.name: record.relation for record in report.profile.sites if record.relation}


def test_sites_that_weights_read_are_compared():
    report, found = relations_of("attention/post-norm")
    names = {report.graph.sites[site].name for site in read_sites(report.graph)}
    assert names <= found.keys()
    assert {"input[0]"} <= found.keys()


@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-4), ("bfloat16", 0.1), ("float16", 0.02)])
def test_relations_hold_in_every_dtype(dtype, close):
    _, single = relations_of("attention/pre-norm")
    report, other = relations_of("attention/pre-norm", getattr(torch, dtype))
    assert report.verdict == "healthy"
    assert single.keys() == other.keys()
    for name, relation in single.items():
        assert other[name].spread == pytest.approx(relation.spread, rel=close)
        assert other[name].distinct == relation.distinct or dtype != "float64"


def test_several_batches_are_pooled():
    _, once = relations_of("mlp/relu-he")
    _, twice = relations_of("mlp/relu-he", batches=2)
    for name, relation in once.items():
        assert twice[name].examples == 2 * relation.examples
        assert twice[name].spread == pytest.approx(relation.spread, rel=1e-9)
        assert twice[name].distinct == relation.distinct


def test_attention_and_routing_are_recorded_and_the_model_is_left_as_it_was():
    model, batch, loss = zoo.NETWORKS["information/sharp-3"].build(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    report = jr.check(model, batch, loss=loss)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    found = [record.attention for record in report.profile.sites if record.attention]
    assert [each.positions for each in found] == [64, 64, 64]
    model, batch, loss = zoo.NETWORKS["information/experts-one"].build(0)
    routed = [each.routing for each in jr.check(model, batch, loss=loss).profile.sites if each.routing]
    assert [(each.tokens, each.load) for each in routed] == [(128, (128, 0, 0, 0, 0, 0, 0, 0))]


def test_one_example_gives_gaps_and_no_finding():
    model, (inputs, target), loss = zoo.NETWORKS["mlp/relu-he"].build(0)
    report = jr.check(model, (inputs[:1], target[:1]), loss=loss)
    asked = {code for gap in report.coverage.gaps for code in gap.codes}
    assert {"JR601", "JR602", "JR604"} <= asked
    assert not any(finding.code.startswith("JR6") for finding in report.findings)


def test_equal_inputs_are_a_matter_of_the_data():
    model, (inputs, target), loss = zoo.NETWORKS["mlp/relu-he"].build(0)
    report = jr.check(model, (inputs[:1].expand(16, -1), target[:16]), loss=loss)
    assert not any(finding.code.startswith("JR60") for finding in report.findings)
    assert any("JR601" in gap.codes for gap in report.coverage.gaps)


class Doubled(torch.nn.Module):
    """Units that are copies up to a scale that normalization takes away, and a head that tells them apart or not."""

    def __init__(self, *, equal):
        super().__init__()
        self.first, self.head = torch.nn.Linear(64, 16, bias=False), torch.nn.Linear(16, 10)
        with torch.no_grad():
            self.first.weight[8:] = 2.0 * self.first.weight[:8]
            self.head.weight[:, 8:] = self.head.weight[:, :8] if equal else self.head.weight[:, 8:]

    def forward(self, x):
        x = self.first(x)
        return self.head(torch.relu(x / x.std(0)))


@pytest.mark.parametrize("equal", [True, False])
def test_copies_count_only_where_their_gradients_are_copies(equal):
    _, batch, loss = zoo.NETWORKS["mlp/relu-he"].build(0)
    torch.manual_seed(0)
    report = jr.check(Doubled(equal=equal), batch, loss=loss)
    relation = next(each.relation for each in report.profile.sites if each.op == "relu")
    assert relation.distinct == 8
    assert relation.gradient_distinct == (8 if equal else 16)
    assert math.isclose(relation.varying, 16)

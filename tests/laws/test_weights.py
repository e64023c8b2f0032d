"""Laws of the diagnostics of weights: what they say follows the size, the copies and the growth that were built in."""

from __future__ import annotations

import copy
import math

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch
from torch import nn

import justright as jr
from justright.adapters.torch import ADAPTER
from justright.core.findings import Severity
from justright.diagnostics._weights import gain, records
from justright.diagnostics.base import DIAGNOSTICS, Case
from justright.testing import zoo
from justright.testing.laws import check_finding

CODES = ("JR304", "JR305", "JR306", "JR307")


def examined(model, batch, code, **more):
    """Findings of one diagnostic, its symptoms aside."""
    report = jr.check(model, batch, **more)
    made = list(DIAGNOSTICS[code].check(Case(report.graph, report.profile)))
    found = [each for each in made if hasattr(each, "severity")]
    for finding in found:
        check_finding(finding, report.graph)
    return found


def of_network(name, code, seed=0):
    model, batch, loss = zoo.NETWORKS[name].build(seed)
    return examined(model, batch, code, loss=loss)


def plain(depth, width=64, scale=2**0.5):
    layers = []
    for _ in range(depth):
        layer = nn.Linear(width, width)
        nn.init.normal_(layer.weight, std=scale / width**0.5)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.mark.parametrize("code", CODES)
def test_near_misses_and_healthy_networks_of_the_shelf_are_silent(code):
    for network in zoo.NETWORKS.values():
        if network.family == "weights" and network.healthy:
            found = of_network(network.name, code)
            assert [each for each in found if each.severity > Severity.NOTE] == [], network.name


@pytest.mark.parametrize("code", CODES)
def test_every_fault_has_three_networks(code):
    sick = [network for network in zoo.NETWORKS.values() if network.fault == code and network.family == "weights"]
    assert len(sick) >= 3
    for network in sick:
        assert any(each.severity > Severity.NOTE for each in of_network(network.name, code)), network.name


@pytest.mark.parametrize(("shape", "axis"), [((32, 48), 1), ((48, 32), 0)])
def test_gain_is_what_a_weight_does_to_noise(rng, shape, axis):
    """Linear stores [out, in]; a matrix that multiplies from the right stores [in, out]."""

    class Right(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(rng.normal(0, 0.3, shape), dtype=torch.float32))

        def forward(self, x):
            return x @ (self.weight.t() if axis else self.weight)

    batch = torch.tensor(rng.normal(size=(4096, 48)), dtype=torch.float32)
    report = jr.check(Right(), batch)
    ((layer, record),) = records(Case(report.graph, report.profile))
    seen = report.profile.by_name[report.graph.sites[layer.outputs[0]].name].gain
    assert gain(record) == pytest.approx(seen, rel=5 / math.sqrt(4096))  # five standard errors, at least


def test_large_layer_is_told_from_its_size_alone(rng):
    batch = (torch.randn(64, 64), torch.randint(0, 10, (64,)))
    for factor, expected in ((1.0, []), (100.0, []), (2000.0, [Severity.WARNING])):
        model = plain(5)
        with torch.no_grad():
            model[4].weight.mul_(factor)
        found = examined(model, batch, "JR304", loss="cross_entropy")
        assert [each.severity for each in found] == expected
        assert all(each.sites == ("4.weight",) for each in found)


def test_growth_of_all_layers_is_no_outlier():
    batch = (torch.randn(64, 64), torch.randint(0, 10, (64,)))
    assert examined(plain(5, scale=2000.0), batch, "JR304", loss="cross_entropy") == []


def test_copies_are_named_whatever_their_order():
    layer = nn.Linear(16, 16)
    model = nn.Sequential(layer, nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), copy.deepcopy(layer))
    (found,) = examined(model, torch.randn(32, 16), "JR305")
    assert found.severity is Severity.NOTE
    assert found.sites == ("0.weight", "4.weight")


def test_frozen_copies_and_shared_layers_are_meant():
    layer = nn.Linear(16, 16)
    target = copy.deepcopy(layer).requires_grad_(False)
    assert examined(nn.Sequential(layer, nn.Tanh(), target), torch.randn(32, 16), "JR305") == []
    assert examined(nn.Sequential(layer, nn.Tanh(), layer), torch.randn(32, 16), "JR305") == []


def test_growth_of_copies_is_judged_without_a_way_around_only():
    model = zoo.NETWORKS["weights/copied-16-64"].build(0)[0]

    class Around(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.body = body

        def forward(self, x):
            for part in self.body:
                x = x + 0.01 * part(x) if isinstance(part, nn.Linear) and part.out_features == 64 else part(x)
            return x

    batch = torch.randn(64, 64)
    assert [each.severity for each in examined(model, batch, "JR305")] == [Severity.WARNING]
    assert [each.severity for each in examined(Around(model), batch, "JR305")] == [Severity.NOTE]


def test_recorded_parameter_is_named_with_its_line():
    with ADAPTER.recording_initializers() as recorded:
        model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
        model[0].bias = nn.Parameter(torch.empty(8))
        initializers = recorded(model)
    with torch.no_grad():
        model[0].bias.fill_(0.25)  # what memory held, the same in every run
    (found,) = examined(model, torch.randn(4, 8), "JR306", initializers=initializers)
    assert (found.severity, found.sites) == (Severity.WARNING, ("0.bias",))
    assert examined(model, torch.randn(4, 8), "JR306") == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda shape: torch.randn(shape) * 1e20,
        lambda shape: torch.distributions.StudentT(2.0).sample(shape),
        lambda shape: torch.exp(3 * torch.randn(shape)),
        lambda shape: torch.where(torch.rand(shape) < 0.5, 0.0, -1e30),
        lambda shape: torch.randn(shape) * 1e-20,
        torch.zeros,
        torch.eye,
    ],
)
def test_what_is_drawn_or_chosen_is_not_stale(draw):
    model = nn.Linear(32, 32)
    with torch.no_grad():
        model.weight.copy_(draw(32) if draw is torch.eye else draw((32, 32)))
    assert examined(model, torch.randn(64, 32), "JR306") == []


class Stream(nn.Module):
    """x + f(x) again and again, where f keeps the size of its input times a factor."""

    def __init__(self, blocks, factor, norm=False):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(256, 256, bias=False) for _ in range(blocks)])
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=factor / 16)
        self.norm = nn.LayerNorm(256) if norm else nn.Identity()

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(self.norm(x))
        return x


@pytest.mark.parametrize("factor", [0.3, 1.0, 1.4])
def test_growth_of_a_stream_is_that_of_independent_sums(factor):
    """Squares of independent parts add: each block multiplies the second moment by 1 + factor**2."""
    per_block = math.log1p(factor**2) / 2
    blocks = math.ceil(5.5 / per_block)
    (found,) = examined(Stream(blocks, factor), torch.randn(64, 256), "JR307")
    rate, total = found.evidence
    assert rate.value == pytest.approx(per_block, rel=0.15)
    assert total.value == pytest.approx(rate.value * blocks)
    assert found.severity is Severity.WARNING
    assert examined(Stream(math.floor(4.0 / per_block), factor), torch.randn(64, 256), "JR307") == []


def test_normalized_streams_and_outsized_branches_are_not_blamed_on_a_missing_norm():
    batch = torch.randn(64, 256)
    assert examined(Stream(32, 1.0, norm=True), batch, "JR307") == []
    assert examined(Stream(8, 30.0), batch, "JR307") == []

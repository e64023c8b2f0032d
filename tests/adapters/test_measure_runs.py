"""What a measurement makes of statistics: batches together, gains, sparse gradients, backwards in the forward."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from justright.adapters.torch import ADAPTER
from justright.measure.engine import measure


def sum_of_squares(output, _batch=None):
    return output.square().sum()  # so that the gradient at an example does not depend on how many there are


def test_batches_together_are_one_large_batch():
    model = nn.Sequential(nn.Linear(6, 9), nn.Sigmoid(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 2))
    model = model.double()
    parts = [torch.randn(size, 6).double() for size in (5, 1, 4)]
    one = measure(ADAPTER, [ADAPTER.prepare(model, torch.cat(parts), sum_of_squares)])
    many = measure(ADAPTER, [ADAPTER.prepare(model, part, sum_of_squares) for part in parts])
    for mine, theirs in zip(many.profile.sites, one.profile.sites, strict=True):
        if mine.role != "activation" or mine.op in {"transpose", "sum"} or mine.module == "loss":
            continue
        for found, expected in ((mine.forward, theirs.forward), (mine.gradient, theirs.gradient)):
            for name in ("count", "mean", "rms", "std", "absmax", "min_nonzero", "zeros"):
                assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)
            assert found.histogram == expected.histogram
        assert (mine.units is None) == (theirs.units is None)
        if mine.units:
            assert (mine.units.dead, mine.units.saturated) == (theirs.units.dead, theirs.units.saturated)
            assert mine.units.share == pytest.approx(theirs.units.share)
    assert many.profile.loss == pytest.approx(one.profile.loss / len(parts), rel=1e-5)


def test_gain_and_cumulative_gain_are_ratios_of_rms():
    model = nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Linear(30, 4))
    rms = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _module, args, out, name=name: rms.update({name: (args[0], out)}))
    batch = torch.randn(50, 6)
    profile = measure(ADAPTER, [ADAPTER.prepare(model, batch)]).profile
    model(batch)
    size = {name: [float(each.detach().square().mean().sqrt()) for each in pair] for name, pair in rms.items()}
    for name, op in (("0", "linear"), ("1", "tanh"), ("2", "linear")):
        record = profile.by_name[f"{name}/{op}"]
        assert record.gain == pytest.approx(size[name][1] / size[name][0], rel=1e-5)
        assert record.cumulative == pytest.approx(size[name][1] / size["0"][0], rel=1e-5)


def test_sparse_gradients_count_the_zeros_that_they_leave_out():
    model = nn.Sequential(nn.Embedding(30, 4, sparse=True), nn.Linear(4, 3))
    dense = copy.deepcopy(model)
    dense[0].sparse = False
    batch = torch.tensor([[1, 2, 1], [7, 7, 29]])
    found, expected = (
        measure(ADAPTER, [ADAPTER.prepare(each, batch)]).profile.parameter["0.weight"] for each in (model, dense)
    )
    assert found.gradient.count == 120
    assert found.gradient.zeros == pytest.approx(1 - 4 * 4 / 120)
    for name in ("mean", "rms", "std", "absmax", "min_nonzero", "zeros"):
        assert getattr(found.gradient, name) == pytest.approx(getattr(expected.gradient, name), rel=1e-6)


def test_a_backward_in_the_forward_leaves_no_gradient_of_its_own():
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 1))

        def forward(self, x):
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.net(x).sum(), x, create_graph=True)[0]

    model, batch = Force(), torch.randn(4, 3)
    measured = measure(ADAPTER, [ADAPTER.prepare(model, batch, sum_of_squares)])
    kept = []
    model.net[0].register_forward_hook(lambda *args: kept.append(args[2]))
    loss = sum_of_squares(model(batch))
    expected = torch.autograd.grad(loss, kept[0])[0].square().mean().sqrt()
    assert measured.profile.by_name["net.0/linear"].gradient.rms == pytest.approx(float(expected), rel=1e-5)
    assert measured.profile.by_name["net.1/silu"].gradient is None  # the force does not depend on it

"""Laws of the diagnostics of half precision, against what real casts to float16 and real autocast do."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import justright as jr
from justright.core.findings import Severity
from justright.diagnostics._precision import HALF, halves, largest_scale, lost_square, smallest_scale
from justright.diagnostics.base import DIAGNOSTICS, Case
from justright.statistics import summarize
from justright.testing import zoo
from justright.testing.laws import check_finding

CODES = ("JR501", "JR502")


def case_of(model, batch, **more):
    report = jr.check(model, batch, **more)
    return Case(report.graph, report.profile)


def found(case, code):
    made = [each for each in DIAGNOSTICS[code].check(case) if hasattr(each, "severity")]
    for finding in made:
        check_finding(finding, case.graph)
    return made


def of_network(network, seed=0):
    model, batch, loss = network.build(seed)
    return case_of(model, batch, loss=loss)


def shelf():
    return [network for network in zoo.NETWORKS.values() if network.family == "precision"]


@pytest.mark.parametrize("code", CODES)
def test_sick_networks_are_named_and_near_misses_are_silent(code):
    assert sum(network.fault == code for network in shelf()) >= 3
    for network in shelf():
        alarms = [each for each in found(of_network(network), code) if each.severity > Severity.NOTE]
        assert bool(alarms) == (network.fault == code), network.name


def trained(network, dtype):
    """Whether the best of two steps of plain SGD brings the loss down by half in this dtype."""
    ends = []
    for step in (0.1, 0.01):
        model, (inputs, target), _ = network.build(0)
        model, inputs = model.to(dtype), inputs.to(dtype)
        optimizer = torch.optim.SGD(model.parameters(), step, momentum=0.9)
        losses = []
        for _ in range(60):
            loss = nn.functional.cross_entropy(model(inputs).float(), target)
            losses.append(float(loss.detach()))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append(losses[-1] < 0.5 * losses[0])
    return any(ends)


@pytest.mark.parametrize("name", ["precision/spectrum", "precision/polynomial-9", "precision/own-norm"])
def test_sick_networks_train_in_float32_and_not_in_float16(name):
    assert trained(zoo.NETWORKS[name], torch.float32)
    assert not trained(zoo.NETWORKS[name], torch.float16)


@pytest.mark.parametrize("name", ["precision/spectrum-scaled", "precision/polynomial-3", "precision/own-norm-unit"])
def test_near_misses_train_in_float16(name):
    assert trained(zoo.NETWORKS[name], torch.float16)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6, 1e-7, 1e-9])
@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_lost_square_is_what_a_cast_loses(rng, scale, tail):
    values = rng.standard_normal(200_000) if tail == "normal" else rng.standard_t(3.0, 200_000)
    values = (scale * values).astype(np.float32)
    gone = values.astype(np.float16) == 0
    wide = values.astype(np.float64) ** 2
    exact = wide[gone].sum() / wide.sum()
    # Within the bin that the edge cuts the density is taken to be flat in the logarithm: off by a few per cent of it.
    assert lost_square(summarize(values).finish(), HALF.underflow) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e-8])
def test_scales_are_where_casts_keep_norm_and_range(rng, scale):
    values = (scale * rng.standard_normal(50_000)).astype(np.float32)
    statistics = summarize(values).finish()
    least, most = smallest_scale(statistics, HALF, 0.01), largest_scale(statistics, HALF)

    def after(k):
        with np.errstate(over="ignore"):
            return (values.astype(np.float64) * 2.0**k).astype(np.float16)

    def lost(k):
        square = values.astype(np.float64) ** 2
        return square[after(k) == 0].sum() / square.sum()

    assert np.isfinite(after(most)).all()
    assert not np.isfinite(after(most + 1)).all()
    assert lost(least) < 0.02
    assert lost(least - 2) > 0.01


class Zoology(nn.Module):
    """Operators of every kind that autocast treats differently."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.batch = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.scale = nn.Parameter(torch.ones(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.batch(self.convolution(x)))
        x = torch.tanh(self.linear(x.mean((2, 3))) * 0.5)
        x = x + torch.sigmoid(x)
        y = self.norm(x) + x.exp()
        z = torch.softmax(x, -1) @ torch.outer(self.scale, self.scale)
        return self.head((x * self.scale + y + z).abs().sqrt())


class Dtypes(TorchDispatchMode):
    """Records the operator and dtype of everything floating that a forward makes."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self.seen.setdefault(func.overloadpacket.__name__, []).append(result.dtype)
        return result


def test_what_is_half_is_what_autocast_makes_half():
    torch.manual_seed(0)
    model, batch = Zoology(), torch.randn(8, 1, 6, 6)
    case = case_of(model, batch)
    held = {half.site for half in halves(case)}
    names = {"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "exp": "exp", "softmax": "_softmax"}
    names |= {"absolute": "abs", "sqrt": "sqrt", "mean": "mean"}
    made = {op: [node.outputs[0] in held for node in case.graph.nodes if node.op == op] for op in names}
    with torch.autocast("cpu", dtype=torch.float16), Dtypes() as dtypes:
        model(batch)
    for op, half in made.items():
        real = [dtype is torch.float16 for dtype in dtypes.seen[names[op]]]
        expected = [False] if op == "exp" else real  # on CPU exp stays half; on CUDA it is computed in float32
        # The last root is read by a contraction, which casts it.
        assert half[: len(expected)] == ([True] if op in {"sqrt", "softmax"} else expected), op


def attention(mask):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.projection = nn.Linear(8, 24)
            self.register_buffer("hidden", torch.ones(6, 6).triu(1).bool())

        def forward(self, x):
            query, key, value = self.projection(x).chunk(3, -1)
            scores = query @ key.transpose(1, 2) / 8**0.5
            return torch.softmax(mask(scores, self.hidden), -1) @ value

    return Masked()


@pytest.mark.parametrize(
    "mask",
    [
        lambda scores, hidden: scores.masked_fill(hidden, float("-inf")),
        lambda scores, hidden: scores.masked_fill(hidden, -1e9),
        lambda scores, hidden: scores + hidden * torch.finfo(torch.float32).min,
        lambda scores, hidden: torch.where(hidden, torch.tensor(-1e30), scores),
        lambda scores, hidden: scores - 1e9 * hidden,
    ],
)
def test_masks_are_no_overflow(mask):
    case = case_of(attention(mask), torch.randn(4, 6, 8))
    assert found(case, "JR501") == found(case, "JR502") == []


@pytest.mark.parametrize(("size", "severity"), [(1.0, None), (3e4, Severity.NOTE), (1e6, Severity.WARNING)])
def test_overflow_is_judged_by_the_largest_magnitude(size, severity):
    batch = torch.randn(32, 16)
    batch[3, 5] = size
    case = case_of(nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16)), batch)
    seen = found(case, "JR501")
    assert [each.severity for each in seen] == ([] if severity is None else [severity])
    assert all(each.sites[0] == "input[0]" for each in seen)


def test_small_heads_and_scaled_branches_may_vanish():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = nn.Linear(16, 16)
            self.scale = nn.Parameter(torch.full((16,), 1e-8))
            self.head = nn.Linear(16, 10)
            nn.init.normal_(self.head.weight, std=1e-9)

        def forward(self, x):
            return self.head(x + self.scale * self.branch(x))

    case = case_of(Scaled(), (torch.randn(32, 16), torch.randint(0, 10, (32,))), loss="cross_entropy")
    assert [each for each in found(case, "JR502") if each.severity > Severity.NOTE] == []


@pytest.mark.parametrize("binades", [10, 30, 60])
def test_window_closes_when_gradients_lie_further_apart_than_float16_is_wide(binades):
    """x → W x 2**b → W x 2**-b: gradients before and after the middle lie b binades apart, and float16 has 40."""

    class Sandwich(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False)

        def forward(self, x):
            return self.second(self.first(x) * 2.0**-binades) * 2.0**binades

    target = torch.randn(16, 32)
    case = case_of(Sandwich(), (torch.randn(16, 32), target), loss="mse")
    alarms = [each for each in found(case, "JR502") if each.severity > Severity.NOTE]
    assert bool(alarms) == (binades > 25)  # float16 rounds to zero at 2**-25


def test_a_model_in_float16_is_a_gap():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).half()
    report = jr.check(model, torch.randn(4, 8).half())
    assert {code for gap in report.coverage.gaps for code in gap.codes} >= set(CODES)
    assert math.isfinite(report.profile.loss)

"""What only looks like a bad input is checked like any other, and what is wrong with a network is a finding."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import justright as jr


def mlp(**options) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(**options)


X = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


class Does(nn.Module):
    """Has two layers, and does as it is told."""

    def __init__(self, forward) -> None:
        super().__init__()
        self.inner, self.lin, self.told = nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Linear(8, 8), forward

    def forward(self, *args, **kwargs):
        return self.told(self, *args, **kwargs)


def names(report) -> set[str]:
    return {finding.name for finding in report.findings}


def with_nan() -> nn.Module:
    model = mlp()
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    return model


FOUND = {
    "NaN in the weights": (lambda: jr.check(with_nan(), X), "non-finite", "0.weight"),
    "labels that do not exist": (
        lambda: jr.check(mlp(), (X, torch.full((6,), 9)), loss="cross_entropy"),
        "labels-out-of-range",
        "target",
    ),
    "detached output": (lambda: jr.check(Does(lambda net, x: net.lin(x).detach()), X), "no-gradient", ""),
    "parameters without use": (lambda: jr.check(Does(lambda _net, x: x * 2), X), "no-gradient", ""),
    "no_grad in the forward": (
        lambda: jr.check(Does(torch.no_grad()(lambda net, x: net.lin(x))), X),
        "no-gradient",
        "",
    ),
}


@pytest.mark.parametrize(("call", "name", "where"), FOUND.values(), ids=FOUND.keys())
def test_what_is_wrong_with_a_network_is_a_finding(call, name, where):
    report = call()
    assert name in names(report)
    assert any(where in finding.where for finding in report.findings if finding.name == name)


class InLists(nn.Module):
    """Keeps weights where PyTorch does not find them."""

    def __init__(self) -> None:
        super().__init__()
        self.weights, self.lin = [torch.randn(8, 8, requires_grad=True)], nn.Linear(8, 8)

    def forward(self, x):
        return self.lin(x @ self.weights[0])


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(8, 8)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.lin(x).relu()


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8, dtype=torch.cfloat))

    def forward(self, x):
        return (torch.view_as_complex(torch.stack([x, x], -1)) @ self.weight).abs()


def compiled_in_place() -> nn.Module:
    model = mlp()
    model.compile(backend="eager")
    return model


def behind_a_zero_head() -> nn.Module:
    model = nn.Sequential(nn.Embedding(9, 8, sparse=True), nn.Linear(8, 4))
    nn.init.zeros_(model[1].weight)
    return model


def squares(output, targets):
    return (output - targets[0]["y"]).square().mean()


def inside(context, model=mlp, batch=None, *, warm=False):
    built = model()
    with context:
        if warm:
            built(X)
        return jr.check(built, torch.randn(6, 8) if batch is None else batch)


HANDLED = {
    "compiled": lambda: jr.check(torch.compile(mlp(), backend="eager"), X),
    "compiled in place": lambda: jr.check(compiled_in_place(), X),
    "data parallel": lambda: jr.check(nn.DataParallel(mlp()), X),
    "compiled data parallel": lambda: jr.check(torch.compile(nn.DataParallel(mlp()), backend="eager"), X),
    "no_grad outside": lambda: inside(torch.no_grad()),
    "inference_mode outside": lambda: inside(torch.inference_mode()),
    "inference_mode and a specification": lambda: inside(torch.inference_mode(), batch="6,8"),
    "autocast outside": lambda: inside(torch.autocast("cpu", dtype=torch.bfloat16)),
    "autocast outside, after a run": lambda: inside(torch.autocast("cpu", dtype=torch.bfloat16), warm=True),
    "autocast inside": lambda: jr.check(Autocast(), X),
    "float16": lambda: jr.check(mlp(dtype=torch.float16), X.half()),
    "bfloat16": lambda: jr.check(mlp(dtype=torch.bfloat16), X.bfloat16()),
    "float64": lambda: jr.check(mlp(dtype=torch.float64), X.double()),
    "complex": lambda: jr.check(Complex(), X),
    "sparse gradient": lambda: jr.check(nn.Sequential(nn.Embedding(9, 8, sparse=True), mlp()), torch.tensor([[1, 2]])),
    "sparse gradient that is zero": lambda: jr.check(behind_a_zero_head(), torch.tensor([[1]])),
    "checkpoints": lambda: jr.check(Does(lambda net, x: checkpoint(net.inner, net.lin(x), use_reentrant=False)), X),
    "tensors in lists": lambda: jr.check(InLists(), X),
    "input overwritten": lambda: jr.check(Does(lambda net, x: net.lin(x.mul_(2))), X.clone()),
    "input through NumPy": lambda: jr.check(Does(lambda net, x: net.lin(x) * float(x.numpy().mean())), X),
    "gradient in the forward": lambda: jr.check(
        Does(lambda net, x: torch.autograd.grad(net.inner(x.requires_grad_()).sum(), x, create_graph=True)[0]), X
    ),
    "list of targets": lambda: jr.check(mlp(), (X, [{"y": torch.zeros(6, 4)}]), loss=squares),
    "no inputs": lambda: jr.check(Does(lambda net: net.lin.weight @ net.inner[0].weight), {}),
    "frozen": lambda: jr.check(mlp().requires_grad_(False), X),
    "batches of other sizes": lambda: jr.check(mlp(), batches=[X, X[:3]]),
    "one example": lambda: jr.check(mlp(), X[:1]),
}


@pytest.mark.parametrize("call", HANDLED.values(), ids=HANDLED.keys())
def test_unusual_but_right_input_is_checked(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = call()
    assert report.coverage.forward == report.coverage.sites > 0
    assert "non-finite" not in names(report)
    report.to_dict()
    str(report)


def test_wrappers_and_lists_are_told():
    said = [
        " ".join(HANDLED[name]().coverage.assumptions) for name in ("compiled", "data parallel", "tensors in lists")
    ]
    assert ["torch.compile" in said[0], "DataParallel" in said[1], "(8, 8)" in said[2]] == [True] * 3


def test_grad_modes_outside_change_nothing():
    plain = jr.check(mlp(), X)
    for context in (torch.no_grad(), torch.inference_mode()):
        assert inside(context, batch=X).profile.to_dict() == plain.profile.to_dict()


@pytest.mark.parametrize("name", ["<b>x</b>", "a&b", '"quoted"', "<script>alert(1)</script>", "ünïcode", "a b", "a#2"])
def test_names_are_data(name):
    model = nn.Sequential()
    model.add_module(name, nn.Linear(8, 8))
    model.register_parameter("</title>", nn.Parameter(torch.ones(8)))
    report = jr.check(model, X)
    assert f"{name}/linear" in report.profile.by_name
    assert f"{name}.weight" in report.profile.parameter


class Undefined(torch.autograd.Function):
    """Hands on its input, and says of its gradient that there is none."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, _gradient):
        return None


def test_an_undefined_gradient_is_no_gradient():
    """Autograd calls hooks with None where a backward leaves zeros unwritten."""

    def forward(self, x):
        inner = self.inner(x)
        return self.lin(inner.detach()) + Undefined.apply(inner)

    report = jr.check(Does(forward), X)
    site = next(record for record in report.profile.sites if record.name == "inner.1/tanh")
    assert site.gradient is None
    assert report.profile.parameter["lin.weight"].gradient is not None

"""Every operation has the module and the line it comes from, and every parameter its initializer with its line."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from justright.adapters.torch import ADAPTER

HERE = Path(__file__)


class Places(TorchDispatchMode):
    """Writes down every call with the module and the line of library code it comes from, by plain hooks and frames."""

    def __init__(self, model) -> None:
        super().__init__()
        self.running = []
        self.seen = []
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: self.running.append(name))
            module.register_forward_hook(lambda *_: self.running.pop() and None)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func not in (torch.ops.aten.detach.default, torch.ops.aten.lift_fresh.default):
            self.seen.append((str(func), self.running[-1], self.line()))
        return func(*args, **(kwargs or {}))

    def line(self) -> str:
        frame = sys._getframe(2)
        inside = (str(Path(torch.__file__).parent), f"{sys.base_prefix}/lib")
        while frame.f_code.co_filename.startswith(inside):
            frame = frame.f_back
        file = frame.f_code.co_filename
        return "" if file == __file__ else f"{file}:{frame.f_lineno}"


@pytest.mark.parametrize("case", ["bert", "gpt2", "residual", "mlp"], indirect=True)
def test_module_and_line_are_those_of_plain_hooks_and_frames(case):
    _, model, batch = case
    graph = ADAPTER.record(ADAPTER.prepare(model, batch))
    places = Places(model)
    with sdpa_kernel(SDPBackend.MATH), places:
        model(**batch) if isinstance(batch, dict) else model(batch)
    found = [
        (node.native, node.module, str(Path.cwd() / node.source) if node.source else "")
        for node in graph.nodes
        if 0 <= node.call < len(places.seen)
    ]
    calls = [node.call for node in graph.nodes if 0 <= node.call < len(places.seen)]
    assert found == [places.seen[call] for call in calls]
    assert len(calls) > len(places.seen) / 2
    rest = {node.module for node in graph.nodes if node.call >= len(places.seen)}
    assert rest <= {"loss"}


MARK = "  # " + "at: "


class Marked(nn.Module):
    """Says at the end of a line what is on it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        x = self.inner(x)  # at: inner.0/linear inner.1/tanh
        y = torch.relu(x) + (
            x * self.scale  # at: /multiply
        )
        return [
            self.helper(each)
            for each in y.unbind(1)  # at: /unbind
        ]

    def helper(self, x):
        return x.exp()  # at: /exp


def test_source_line_is_that_of_the_statement():
    graph = ADAPTER.trace(ADAPTER.prepare(Marked(), torch.randn(2, 4)))
    lines = HERE.read_text().splitlines()
    checked = set()
    for number, line in enumerate(lines, start=1):
        for name in line.partition(MARK)[2].split():
            module, _, op = name.partition("/")
            sources = {node.source.rpartition(":") for node in graph.nodes if (node.module, node.op) == (module, op)}
            assert {(Path(file).name, int(found)) for file, _, found in sources} == {(HERE.name, number)}
            checked.add(op)
    assert checked == {"linear", "tanh", "multiply", "unbind", "exp"}


NEW = {
    "linear": lambda: nn.Linear(4, 3).weight,
    "linear bias": lambda: nn.Linear(4, 3).bias,
    "convolution": lambda: nn.Conv2d(2, 3, 3).weight,
    "embedding": lambda: nn.Embedding(5, 4).weight,
    "embedding with padding": lambda: nn.Embedding(5, 4, padding_idx=0).weight,
    "norm scale": lambda: nn.LayerNorm(4).weight,
    "norm shift": lambda: nn.BatchNorm1d(4).bias,
    "attention": lambda: nn.MultiheadAttention(4, 2).in_proj_weight,
    "recurrent": lambda: nn.LSTM(4, 9).weight_hh_l0,
    "randn": lambda: nn.Parameter(torch.randn(3, 4)),
    "rand": lambda: nn.Parameter(torch.rand(3, 4)),
    "zeros": lambda: nn.Parameter(torch.zeros(3, 4)),
    "ones like": lambda: nn.Parameter(torch.ones_like(torch.empty(3, 4))),
    "full": lambda: nn.Parameter(torch.full((3, 4), 2.5)),
    "normal": lambda: nn.init.normal_(nn.Parameter(torch.empty(3, 4)), std=0.02),
    "in place": lambda: nn.Parameter(torch.empty(3, 4).normal_(1.0, 0.3)),
    "truncated": lambda: nn.init.trunc_normal_(nn.Parameter(torch.empty(3, 4)), std=0.02),
    "xavier": lambda: nn.init.xavier_uniform_(nn.Parameter(torch.empty(3, 4)), gain=2.0),
    "kaiming": lambda: nn.init.kaiming_normal_(nn.Parameter(torch.empty(3, 4)), nonlinearity="relu"),
    "orthogonal": lambda: nn.init.orthogonal_(nn.Parameter(torch.empty(4, 4))),
    "dirac": lambda: nn.init.dirac_(nn.Parameter(torch.empty(4, 4, 3))),
    "constant": lambda: nn.init.constant_(nn.Parameter(torch.empty(3, 4)), 0.5),
    "last one counts": lambda: nn.init.zeros_(nn.Linear(4, 3).weight),
    "other dtype": lambda: nn.Linear(4, 3).half().weight,
    "copied": lambda: nn.Parameter(nn.init.normal_(torch.empty(3, 4), std=0.02).clone()),
    "without a scheme": lambda: nn.Parameter(torch.tensor([[1.0, 2.0]])),
    "scaled afterwards": lambda: nn.Parameter(torch.randn(3, 4) * 0.02),
    "scaled in place": lambda: nn.Parameter(nn.init.normal_(torch.empty(3, 4)).mul_(0.02)),
}

ROOT5 = math.sqrt(5)  # torch.nn.Linear and convolutions call kaiming_uniform_ with it

EXPECTED = {
    "linear": ("kaiming_uniform", {"a": ROOT5}),
    "linear bias": ("uniform", {"a": -0.5, "b": 0.5}),
    "convolution": ("kaiming_uniform", {"a": ROOT5}),
    "embedding": ("normal", {"mean": 0.0, "std": 1.0}),
    "embedding with padding": ("normal", {"mean": 0.0, "std": 1.0}),
    "norm scale": ("ones", {}),
    "norm shift": ("zeros", {}),
    "attention": ("xavier_uniform", {"gain": 1.0}),
    "recurrent": ("uniform", {"a": -1 / 3, "b": 1 / 3}),
    "randn": ("normal", {"mean": 0.0, "std": 1.0}),
    "rand": ("uniform", {"from": 0.0, "to": 1.0}),
    "zeros": ("zeros", {}),
    "ones like": ("ones", {}),
    "full": ("constant", {"value": 2.5}),
    "normal": ("normal", {"mean": 0.0, "std": 0.02}),
    "in place": ("normal", {"mean": 1.0, "std": 0.3}),
    "truncated": ("trunc_normal", {"std": 0.02, "a": -2.0, "b": 2.0}),
    "xavier": ("xavier_uniform", {"gain": 2.0}),
    "kaiming": ("kaiming_normal", {"mode": "fan_in", "nonlinearity": "relu"}),
    "orthogonal": ("orthogonal", {"gain": 1}),
    "dirac": ("dirac", {"groups": 1}),
    "constant": ("constant", {"val": 0.5}),
    "last one counts": ("zeros", {}),
    "other dtype": ("kaiming_uniform", {"a": ROOT5}),
    "copied": ("normal", {"std": 0.02}),
}


class Holder(nn.Module):
    """Holds one parameter."""

    def __init__(self, make) -> None:
        super().__init__()
        self.weight = make()


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_initializers_are_recorded_with_their_line(name, device):
    if device == "meta" and name in {"orthogonal", "dirac", "truncated"}:
        pytest.skip("torch.nn.init does nothing without values")
    with torch.device(device), ADAPTER.recording_initializers() as recorded:
        for _ in range(20):  # memory that was filled by another scheme, and is free again
            nn.init.normal_(torch.empty(3, 4), std=7.0)
        model = Holder(NEW[name])
    found = recorded(model).get("weight")
    if name not in EXPECTED:
        assert found is None
        return
    scheme, arguments = EXPECTED[name]
    assert (found.name, found.arguments | arguments) == (scheme, found.arguments)
    file, _, line = found.source.rpartition(":")
    assert Path(file).samefile(HERE)
    assert int(line) == NEW[name].__code__.co_firstlineno


def test_initializers_reach_the_graph():
    with ADAPTER.recording_initializers() as recorded:
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    nn.init.zeros_(model[1].weight)  # outside: nobody saw it
    job = ADAPTER.prepare(model, torch.randn(2, 4), initializers=recorded(model))
    for graph in (ADAPTER.trace(job), ADAPTER.record(job)):
        schemes = {parameter.name: parameter.initializer.name for parameter in graph.parameters}
        assert schemes == {
            "0.weight": "kaiming_uniform", "0.bias": "uniform", "1.weight": "kaiming_uniform", "1.bias": "uniform",
        }  # fmt: skip


def test_the_model_that_is_built_is_the_same_with_and_without_recording(seed):
    built = []
    for record in (False, True):
        torch.manual_seed(seed)
        if record:
            with ADAPTER.recording_initializers():
                built.append(nn.TransformerEncoderLayer(8, 2).state_dict())
        else:
            built.append(nn.TransformerEncoderLayer(8, 2).state_dict())
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])

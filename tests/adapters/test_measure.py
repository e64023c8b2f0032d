"""Statistics at every site are those of plain PyTorch: every call's output kept, its gradient retained."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from justright.adapters.torch import ADAPTER
from justright.measure.engine import measure

UNCOUNTED = (torch.ops.aten.detach.default, torch.ops.aten.lift_fresh.default)


@dataclass
class Kept:
    """A tensor, a copy of the values that it had, and its version then: a write to its memory makes a new one."""

    tensor: torch.Tensor
    values: torch.Tensor
    version: int

    @property
    def written(self) -> bool:
        return self.version != self.tensor._version


class Keep(TorchDispatchMode):
    """Keeps what every call reads and makes."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.makes = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.settle()
        reads = self.kept((args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        if func not in UNCOUNTED:
            self.reads.append(reads)
            self.makes.append(self.kept(result))
        return result

    def kept(self, values) -> list[Kept]:
        return [
            Kept(each, each.detach().clone(), each._version)
            for each in pytree.tree_leaves(values)
            if torch.is_tensor(each)
        ]

    def settle(self) -> None:
        """Note the versions that the last call made; autograd counts them only after it."""
        for kept in self.makes[-1] if self.makes else ():
            kept.version = kept.tensor._version


def numbers(tensor: torch.Tensor) -> dict[str, float]:
    """Compute every statistic in float64, one after the other."""
    tensor = tensor.detach()
    values = tensor.double().numpy().ravel()
    with np.errstate(all="ignore"):
        sizes = np.abs(values)
        other = sizes[(sizes > 0) & ~np.isnan(sizes)]
        infinite = np.isposinf(sizes).any() and not np.isnan(values).any()
        return {
            "count": values.size,
            "mean": values.mean(),
            "rms": math.inf if infinite else np.sqrt(np.square(values).mean()),
            "std": values.std(),
            "absmax": sizes.max(),
            "min_nonzero": other.min() if other.size else math.nan,
            "zeros": (values == 0).mean(),
            "nan": np.isnan(values).sum(),
            "positive_inf": np.isposinf(values).sum(),
            "negative_inf": np.isneginf(values).sum(),
        }


def assert_statistics(found, tensor) -> None:
    expected = numbers(tensor)
    got = {name: getattr(found, name) for name in expected}
    exact = ("count", "absmax", "min_nonzero", "zeros", "nan", "positive_inf", "negative_inf")
    for name, value in expected.items():
        tolerance = 0.0 if name in exact else 1e-6 * expected["absmax"] if math.isfinite(expected["absmax"]) else 0.0
        assert got[name] == pytest.approx(value, rel=1e-5, abs=tolerance, nan_ok=True), name
    finite = [each for each in tensor.detach().double().flatten().tolist() if each and math.isfinite(each)]
    assert dict(found.histogram) == Counter(math.frexp(each)[1] - 1 for each in finite)


class Shapes(nn.Module):
    """Hands tensors on in every way: views, expansion, parts, writes in place, values that are not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 6)
        self.register_buffer("table", torch.linspace(-1, 1, 8))

    def forward(self, x):
        y = self.first(x).view(2, -1, 4).transpose(1, 2).reshape(-1, 8)
        y = y.relu_() + self.table.expand(y.shape[0], 8)
        a, b = y.chunk(2, dim=1)
        y = torch.cat([a.t().t().contiguous(), b.unsqueeze(0).repeat(1, 1, 1).squeeze(0)], 1)
        y = y.clone()
        y[:, 0] = 0.5
        z = self.second(y).unsqueeze(1).expand(-1, 3, 6)
        return z.mean(1), (x[:1] * 0).log(), (x[:1] * 0) / 0


class Convolutions(nn.Module):
    """Is small, and has everything that images have."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten())

    def forward(self, x):
        return self.net(x.to(memory_format=torch.channels_last))


OWN = {
    "shapes": lambda: (Shapes(), torch.randn(4, 6)),
    "convolutions": lambda: (Convolutions(), torch.randn(3, 2, 8, 8)),
    "lstm": lambda: (nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)),
    "float64": lambda: (nn.Sequential(nn.Linear(4, 5), nn.Tanh()).double(), torch.randn(3, 4).double()),
    "bfloat16": lambda: (nn.Sequential(nn.Linear(4, 5), nn.Tanh()).bfloat16(), torch.randn(3, 4).bfloat16()),
    "float16": lambda: (nn.Sequential(nn.Linear(4, 5), nn.Tanh()).half(), torch.randn(3, 4).half() * 100),
}


def first(output):
    while not isinstance(output, torch.Tensor):
        output = output[0]
    return output


def energy(output, _batch=None):
    """Be a loss for whatever comes out; a model's own loss is used as it is."""
    return output.loss if hasattr(output, "loss") else first(output).square().mean()


@contextlib.contextmanager
def unfused(model):
    """Switch off the fused kernels of recurrent layers, which show nothing of what is in them."""
    enabled = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(enabled and not isinstance(model, nn.RNNBase))
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(enabled)


def matched(measured, keep):
    """Yield the record of every site that a call made, with what the same call made or read in the plain run."""
    for node in measured.graph.nodes:
        if node.op == "written_through_view":
            kept = [keep.reads[node.call][node.attributes["operand"]]]
        else:
            kept = keep.makes[node.call] if node.call >= 0 else []
        for site, each in zip(node.outputs, kept, strict=False):
            record = measured.profile.by_name.get(measured.graph.sites[site].name)
            if record is not None:
                yield record, each


def compare(model, batch) -> None:
    """Compare every site's statistics with the values and gradients of a plain run."""
    measured = measure(ADAPTER, [ADAPTER.prepare(model, batch, energy)])
    keep, plain = Keep(), copy.deepcopy(model)
    with sdpa_kernel(SDPBackend.MATH), unfused(model), keep:
        loss = energy(plain(**batch) if isinstance(batch, dict) else plain(batch))
    keep.settle()
    for kept in itertools.chain(*keep.makes):
        if kept.tensor.requires_grad:
            kept.tensor.retain_grad()
    loss.backward()
    checked = 0
    for record, kept in matched(measured, keep):
        assert_statistics(record.forward, kept.values)
        if kept.tensor.requires_grad and not kept.tensor.is_leaf and not kept.written:
            assert (record.gradient is None) == (kept.tensor.grad is None)
            if kept.tensor.grad is not None:
                assert_statistics(record.gradient, kept.tensor.grad)
                checked += 1
    assert checked > 1
    assert measured.profile.loss == pytest.approx(float(loss.detach()), nan_ok=True)
    for name, parameter in plain.named_parameters():
        record = measured.profile.parameter[name]
        assert_statistics(record.value, parameter)
        assert (record.gradient is None) == (parameter.grad is None)
        if parameter.grad is not None:
            assert_statistics(record.gradient, parameter.grad)


@pytest.mark.parametrize("name", OWN)
def test_every_site_has_the_statistics_of_a_plain_run(name):
    torch.manual_seed(0)
    compare(*OWN[name]())


def test_every_site_of_known_models_has_the_statistics_of_a_plain_run(case):
    compare(*case[1:])

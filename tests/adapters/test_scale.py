"""Large models: traced without weights, and at a cost that grows with the number of operations, not faster."""

from __future__ import annotations

import cProfile
import json
import pstats
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

import justright as jr
from justright.adapters.torch import ADAPTER

GIANT = """
import json, resource, torch, transformers
from justright.adapters.torch import ADAPTER

config = transformers.LlamaConfig(
    hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8,
    vocab_size=128256, rope_theta=500000.0,
)
with torch.device("meta"):
    model = transformers.AutoModelForCausalLM.from_config(config)
ids = torch.randint(0, 100, (1, 16))
graph = ADAPTER.trace(ADAPTER.prepare(model, {"input_ids": ids, "labels": ids}))
print(json.dumps({
    "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "elements": sum(graph.sites[each.site].size for each in graph.parameters),
    "used": all(each.uses for each in graph.parameters),
    "attentions": sum(node.op == "softmax" for node in graph.nodes),
    "devices": sorted({str(each.device) for each in model.parameters()}),
    "loss": graph.sites[graph.loss].shape,
}))
"""


def test_a_model_of_70_billion_parameters_is_traced_in_little_memory():
    pytest.importorskip("transformers")
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", GIANT], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("bytes") < 1.5e9
    # embedding and head, and in each of 80 layers: q and o, k and v, three of the MLP, two norms; and the last norm
    layer = 2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672 + 2 * 8192
    elements = 2 * 128256 * 8192 + 80 * layer + 8192
    assert found == {"elements": elements, "used": True, "attentions": 80, "devices": ["meta"], "loss": []}


class Reads(TorchDispatchMode):
    """Writes down the calls that get one of some tensors."""

    def __init__(self, tensors) -> None:
        super().__init__()
        self.storages = {tensor.untyped_storage()._cdata for tensor in tensors}
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = [each for each in pytree.tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if any(each.untyped_storage()._cdata in self.storages for each in given):
            self.calls.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_trace_reads_no_weight_and_no_signal(case):
    _, model, batch = case
    job = ADAPTER.prepare(model, batch)
    signals = [
        each for each in pytree.tree_leaves(batch) if isinstance(each, torch.Tensor) and each.is_floating_point()
    ]
    buffers = [each for each in model.buffers() if each.is_floating_point()]
    reads = Reads([*model.parameters(), *buffers, *signals])
    with reads:
        ADAPTER.trace(job)
    assert set(reads.calls) <= {"aten.detach.default"}
    with reads:
        ADAPTER.record(job)
    assert set(reads.calls) > {"aten.detach.default"}


class Chain(nn.Module):
    """Is one weight, many times."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length, self.scale = length, nn.Parameter(torch.ones(3))

    def forward(self, x):
        for _ in range(self.length):
            x = x * self.scale
        return x


class Tower(nn.Sequential):
    """Is many weights, once each."""

    def __init__(self, length: int) -> None:
        super().__init__(*(layer for _ in range(length) for layer in (nn.Linear(3, 3, bias=False), nn.Tanh())))


def cost(model) -> int:
    """Count the functions that a check calls: time without the noise."""
    profile = cProfile.Profile()
    profile.enable()
    jr.check(model, torch.ones(2, 3))
    profile.disable()
    return pstats.Stats(profile).total_calls


@pytest.mark.parametrize("kind", [Chain, Tower])
def test_cost_is_linear_in_the_number_of_sites(kind):
    lengths = (50, 200, 800)
    jr.check(kind(10), torch.ones(2, 3))  # imports and compiles
    costs = [cost(kind(length)) for length in lengths]
    slopes = [(costs[i + 1] - costs[i]) / (lengths[i + 1] - lengths[i]) for i in range(2)]
    assert slopes[1] < 1.1 * slopes[0]


@pytest.mark.parametrize("kind", [Chain, Tower])
def test_ten_thousand_sites(kind):
    length = 10_000 if kind is Chain else 2_500
    report = jr.check(kind(length), torch.ones(2, 3))
    assert report.coverage.sites >= 10_000
    assert report.coverage.forward == report.coverage.sites
    report.to_dict()

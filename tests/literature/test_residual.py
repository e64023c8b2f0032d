"""Residual networks with a layer norm in front of each branch: the second moment of the stream grows by one a block."""

from __future__ import annotations

import pytest

from justright.adapters.base import load_adapter
from justright.propagation.engine import predicted

torch = pytest.importorskip("torch")
WIDTH, BLOCKS = 512, 20


class Branch(torch.nn.Module):
    """Layer norm, He's weights, a rectifier, and weights that keep its second moment."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.weight = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        torch.nn.init.normal_(self.weight.weight, std=(2.0 / WIDTH) ** 0.5)
        self.sign = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        torch.nn.init.normal_(self.sign.weight, std=WIDTH**-0.5)

    def forward(self, x):
        return x + self.sign(torch.relu(self.weight(self.norm(x))))


def test_a_stream_in_front_of_norms(holds):
    torch.manual_seed(0)
    adapter = load_adapter("torch")
    with adapter.recording_initializers() as recorded:
        model = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), *(Branch() for _ in range(BLOCKS)))
        torch.nn.init.normal_(model[0].weight, std=WIDTH**-0.5)
        torch.nn.init.zeros_(model[0].bias)
        initializers = recorded(model)
    batch = torch.randn(64, WIDTH), 1000.0 * torch.randn(64, WIDTH)
    job = adapter.prepare(model, batch, "mse", initializers=initializers)
    graph = adapter.trace(job)
    found = predicted(graph, adapter.arrays(job), apply=adapter.apply, run=adapter.run).profile.by_name
    ends = [found[name].predicted for name in ("0/linear", f"{BLOCKS}/add")]
    signal, gradient = (ends[1].forward.rms / ends[0].forward.rms, ends[0].gradient.rms / ends[1].gradient.rms)
    holds("ln.preln.relu.L20", [signal**2, gradient**2])

"""PyTorch's GRU as it is made, at rest: the gradient with respect to its first state, by the prediction's loops.

Weights that are the same at every step make it much larger than independent ones would: 15 times after ten steps.
"""

from __future__ import annotations

import pytest

from justright.adapters.base import load_adapter
from justright.propagation.engine import predicted

torch = pytest.importorskip("torch")
WIDTH = 500


class Cell(torch.nn.Module):
    """A GRU whose first state is a parameter of zeros."""

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.GRU(8, WIDTH, batch_first=True)
        self.state = torch.nn.Parameter(torch.zeros(1, 4, WIDTH))

    def forward(self, x):
        return self.cell(x, self.state)[0][:, -1]


@pytest.mark.parametrize("steps", [1, 5, 10, 20])
def test_the_gradient_of_the_first_state(steps, holds):
    adapter = load_adapter("torch")
    torch.manual_seed(0)
    with adapter.recording_initializers() as recorded:
        model = Cell()
        initializers = recorded(model)
    batch = torch.zeros(4, steps, 8), 1000.0 * torch.randn(4, WIDTH)
    job = adapter.prepare(model, batch, "mse", initializers=initializers)
    graph = adapter.trace(job)
    found = predicted(graph, adapter.arrays(job), apply=adapter.apply, run=adapter.run).profile.by_name
    first, last = (found[name].predicted.gradient.rms for name in ("state", "/select"))
    holds(f"torch.gru.rest.k{steps}", (first / last) ** 2)

"""The example of ten thousand layers, in short: a hundred of them, and what must hold at every depth."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import pytest
import torch

SOURCE = Path(__file__).parents[2] / "examples" / "ten_thousand_layers.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("ten_thousand_layers", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def runs(example, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return {run.scheme: run for run in example.main([200], list(example.SCHEMES), 25, out)}, out


def test_the_delta_orthogonal_network_learns_and_the_others_do_not_move(runs):
    losses = {name: run.losses for name, run in runs[0].items()}
    assert losses["delta-orthogonal"][-1] < 0.75 * math.log(10)
    for name in ("xavier", "he"):
        assert min(losses[name][5:]) > 0.9 * math.log(10), name


def test_gradients_of_first_and_last_layer_are_alike_only_there(runs):
    ratio = {name: run.first[0] / run.last[0] for name, run in runs[0].items()}
    assert ratio["delta-orthogonal"] == pytest.approx(1.0, abs=0.5)
    assert ratio["he"] > 10


def test_curves_are_saved(runs):
    saved = json.loads((runs[1] / "ten_thousand_layers.json").read_text())
    assert [row["scheme"] for row in saved] == list(runs[0])
    assert all(len(row["losses"]) == 25 for row in saved)
    assert "plotly" in (runs[1] / "ten_thousand_layers.html").read_text()


def test_memory_of_a_step_is_linear_in_depth(example):
    images = example.digits()[0][0][: example.BATCH]
    kept = {depth: example.kept_bytes(example.network(depth, "delta-orthogonal"), images) for depth in (10, 60, 110)}
    assert kept[110] - kept[60] == kept[60] - kept[10] > 0


def test_one_call_makes_the_weights_of_every_depth(example):
    """A layer's weights depend on its name and the seed, not on how many layers come after it."""
    short, long = (example.network(depth, "delta-orthogonal") for depth in (3, 9))
    assert torch.equal(short.body[2].weight, long.body[2].weight)
    middle = long.body[5].weight[:, :, 1, 1].double()
    assert torch.allclose(middle.T @ middle, 1.05 * torch.eye(example.CHANNELS, dtype=torch.float64), atol=1e-5)
    assert int(long.body[5].weight.count_nonzero()) == example.CHANNELS**2

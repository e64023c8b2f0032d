"""Which parameters hold the values of another one, against a comparison of all pairs; and what was never filled."""

from __future__ import annotations

import copy
import itertools

import pytest

pytest.importorskip("torch")

import torch

import justright as jr
from justright.adapters.torch import ADAPTER
from justright.adapters.torch.statistics import summary_of
from justright.adapters.torch.twins import twins
from justright.core.graph import NEVER_FILLED


def found(**parameters):
    return twins(parameters, {name: summary_of(each) for name, each in parameters.items()})


def test_copies_are_found_and_everything_else_is_not(seed):
    torch.manual_seed(seed)
    first, second = torch.randn(4, 8), torch.randn(4, 8)
    pool = [first, first.clone(), second, first.t().contiguous(), -first, first.double(), second.clone(), first + 0.0]
    pool += [first.flatten().flip(0).view(4, 8), first.flatten()[torch.randperm(32)].view(4, 8)]
    parameters = {f"p{index}": each for index, each in enumerate(pool)}
    expected = {}
    for one, other in itertools.combinations(parameters, 2):
        a, b = parameters[one], parameters[other]
        if a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all()) and other not in expected:
            expected[other] = expected.get(one, one)
    assert expected == {"p1": "p0", "p6": "p2", "p7": "p0"}
    assert found(**parameters) == expected


@pytest.mark.parametrize(
    "value",
    [torch.zeros(4, 4), torch.ones(4, 4), torch.eye(4), torch.randn(4, 4).sign(), torch.full((4, 4), torch.nan)],
)
def test_values_of_one_magnitude_are_equal_on_purpose(value):
    assert found(a=value, b=value.clone()) == {}


def test_equal_up_to_one_element_is_not_equal():
    weight = torch.randn(64, 64)
    other = weight.clone()
    other[3, 5], other[5, 3] = weight[5, 3], weight[3, 5]
    assert found(a=weight, b=other) == {}


def test_profile_tells_twins_and_leaves_the_model_alone():
    layer = torch.nn.Linear(8, 8)
    model = torch.nn.Sequential(layer, torch.nn.Tanh(), copy.deepcopy(layer), torch.nn.Linear(8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = jr.check(model, batches=[torch.randn(16, 8), torch.randn(4, 8)])
    same = {record.name: record.same_as for record in report.profile.parameters if record.same_as}
    assert same == {"2.weight": "0.weight", "2.bias": "0.bias"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert report.to_dict()["profile"]["parameters"][2]["same_as"] == "0.weight"


class Model(torch.nn.Module):
    """Parameters that were filled in every usual way, and three that were not."""

    def __init__(self):
        super().__init__()
        self.empty = torch.nn.Parameter(torch.empty(3, 4))
        self.constructor = torch.nn.Parameter(torch.Tensor(3, 3))
        self.like = torch.nn.Parameter(torch.empty_like(torch.zeros(5)))
        self.linear = torch.nn.Linear(4, 4)
        self.recurrent = torch.nn.LSTM(4, 4)
        self.table = torch.nn.Embedding(4, 4, padding_idx=0)
        self.attention = torch.nn.MultiheadAttention(4, 2)
        self.loaded = torch.nn.Linear(3, 3)
        self.loaded.load_state_dict(torch.nn.Linear(3, 3).state_dict())
        self.parts = torch.nn.Parameter(torch.empty(6))
        self.written = torch.nn.Parameter(torch.empty(4))
        with torch.no_grad():
            self.parts[:3].fill_(1.0)
            self.parts[3:].fill_(0.0)
            self.written[:] = torch.arange(4.0)
        self.computed = torch.nn.Parameter(torch.arange(1.0, 5.0).log())
        self.norm = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 4))
        self.orthogonal = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(4, 4))


@pytest.mark.parametrize("change", [lambda model: model, copy.deepcopy, lambda model: model.half()])
def test_recording_tells_what_was_never_filled(change):
    with ADAPTER.recording_initializers() as recorded:
        initializers = recorded(change(Model()))
    never = {name for name, each in initializers.items() if each.name == NEVER_FILLED}
    assert never == {"empty", "constructor", "like"}

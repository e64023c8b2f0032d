"""Every bad input has one clear error in four parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import justright as jr
from justright.errors import ForwardError, InputError, JustRightError, LossError, ModelError, TraceError


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


def raises(net, x):
    net.lin(x)
    raise KeyError("wrong")  # the line that is named


RAISING_LINE = raises.__code__.co_firstlineno + 2

with torch.inference_mode():
    MADE_FOR_INFERENCE = mlp()


def frozen_buffer() -> nn.Module:
    model = nn.BatchNorm1d(8)
    with torch.inference_mode():
        model.running_mean = torch.zeros(8)
    return model


ERRORS = {
    "class": (lambda: jr.check(nn.Linear, X), ModelError, ["the class Linear", "build it first"]),
    "None": (lambda: jr.check(None, X), ModelError, ["a NoneType", "torch.nn.Module"]),
    "text": (lambda: jr.check("model", X), ModelError, ["a str"]),
    "list": (lambda: jr.check([mlp(), mlp()], X), ModelError, ["a list"]),
    "factory": (lambda: jr.check(mlp, X), ModelError, ["a function", "call it"]),
    "no parameters": (lambda: jr.check(nn.ReLU(), X), ModelError, ["ReLU without parameters", "ModuleList"]),
    "lazy": (lambda: jr.check(nn.Sequential(nn.LazyLinear(4)), X), ModelError, ["0.weight", "lazy", "run one forward"]),
    "lazy buffer": (lambda: jr.check(nn.Sequential(mlp(), nn.LazyBatchNorm1d(affine=False)), X), ModelError, ["lazy"]),
    "inference parameters": (lambda: jr.check(MADE_FOR_INFERENCE, X), ModelError, ["0.weight", "inference_mode"]),
    "inference buffer": (lambda: jr.check(frozen_buffer(), X), ModelError, ["running_mean", "inference_mode"]),
    "without values": (lambda: jr.check(nn.Linear(8, 4, device="meta"), X), ModelError, ["weight", "meta", "to_empty"]),
    "no batch": (lambda: jr.check(mlp()), InputError, ["no batch", "8,3,224,224"]),
    "no batches": (lambda: jr.check(mlp(), batches=[]), InputError, ["no batches"]),
    "empty batch": (lambda: jr.check(mlp(), torch.ones(0, 8)), InputError, ["(0, 8)", "at least one example"]),
    "empty target": (lambda: jr.check(mlp(), (X, torch.ones(0)), loss="mse"), InputError, ["empty tensor"]),
    "uneven batch": (
        lambda: jr.check(mlp(), (X, torch.zeros(5).long()), loss="cross_entropy"),
        InputError,
        ["6 inputs and 5"],
    ),
    "batch without values": (lambda: jr.check(mlp(), X.to("meta")), InputError, ["batch", "meta"]),
    "specification": (lambda: jr.check(mlp(), "8x8"), InputError, ["'8x8'", "8,3,224,224"]),
    "other device": (lambda: jr.check(mlp(), X, device="cuda"), InputError, ["'cuda'", "'cpu'", "model.to('cuda')"]),
    "no device": (lambda: jr.check(mlp(), X, device="cudda"), InputError, ["'cudda'", "cuda"]),
    "shape": (lambda: jr.check(mlp(), torch.ones(6, 9)), ForwardError, ["0:", "6x9 and 8x16", "batch's shape"]),
    "dtype": (lambda: jr.check(mlp(), torch.ones(6, 8).long()), ForwardError, ["0:", "dtype"]),
    "text as batch": (lambda: jr.check(mlp(), ["6,8"]), ForwardError, ["0:", "not str"]),
    "array": (lambda: jr.check(mlp(), np.ones((6, 8), np.float32)), ForwardError, ["0:", "ndarray"]),
    "unknown keyword": (lambda: jr.check(mlp(), {"y": X}), ForwardError, ["forward:", "'y'"]),
    "missing argument": (lambda: jr.check(mlp(), {}), ForwardError, ["forward:", "missing 1 required"]),
    "layer": (
        lambda: jr.check(Does(lambda net, x: net.inner(net.lin(x)[:, :7])), X),
        ForwardError,
        ["inner.0", "6x7 and 8x8"],
    ),
    "forward": (
        lambda: jr.check(Does(raises), X),
        ForwardError,
        ["forward (", f"test_bad_input.py:{RAISING_LINE})", "'wrong'"],
    ),
    "reentrant": (
        lambda: jr.check(Does(lambda net, x: checkpoint(net.lin, net.inner(x), use_reentrant=True)), X),
        ForwardError,
        ["backward", "use_reentrant=False"],
    ),
    "reentrant first": (
        lambda: jr.check(
            Does(lambda net, x: net.lin(checkpoint(net.inner, x.requires_grad_(), use_reentrant=True))), X
        ),
        ForwardError,
        ["backward", "use_reentrant=False"],
    ),
    "unknown loss": (
        lambda: jr.check(mlp(), (X, torch.zeros(6).long()), loss="cross_entorpy"),
        LossError,
        ["try: cross_entropy"],
    ),
    "loss without target": (
        lambda: jr.check(mlp(), X, loss="mse"),
        LossError,
        ["'mse' without a target", "(inputs, target)"],
    ),
    "loss that is a number": (lambda: jr.check(mlp(), X, loss=3), LossError, ["a int", "callable"]),
    "loss that is no scalar": (
        lambda: jr.check(mlp(), X, loss=lambda y, _: y),
        LossError,
        ["(6, 4)", 'reduction="mean"'],
    ),
    "loss that is no tensor": (lambda: jr.check(mlp(), X, loss=lambda _y, _: 1.0), LossError, ["a float", "scalar"]),
    "loss that raises": (
        lambda: jr.check(mlp(), X, loss=lambda _y, _: 1 / 0),
        LossError,
        ["loss (", "ZeroDivisionError"],
    ),
    "integer outputs": (
        lambda: jr.check(Does(lambda net, x: net.lin(x).argmax(-1)), X),
        LossError,
        ["int64", "before argmax"],
    ),
    "no output": (lambda: jr.check(Does(lambda _net, _x: None), X), LossError, ["a NoneType"]),
    "changing structure": (
        lambda: jr.check(mlp(), batches=[X, {"input": torch.randn(2, 6, 8)}]),
        TraceError,
        ["structure"],
    ),
}


@pytest.mark.parametrize(("call", "kind", "said"), ERRORS.values(), ids=ERRORS.keys())
def test_error_is_clear(call, kind, said):
    with pytest.raises(JustRightError) as raised:
        call()
    error = raised.value
    assert type(error) is kind
    assert [part for part in said if part not in str(error)] == [], str(error)
    assert error.where
    assert error.expected
    assert "\n" not in error.where

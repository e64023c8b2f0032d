"""The model leaves bit for bit as it came, whatever its forward does to it, and also when something raises half-way.

Everything that a picture shows is read back from PyTorch and Python directly; nothing of it goes through the code that
restores.
"""

from __future__ import annotations

import collections
import contextlib
import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import justright as jr
from justright.adapters.base import Watch
from justright.adapters.torch import ADAPTER
from justright.errors import JustRightError


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def picture_of_tensor(tensor: torch.Tensor, *, python: bool = True) -> tuple:
    grad = tensor.grad if tensor.is_leaf else None
    return (
        (tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype, tensor.data_ptr(), bits(tensor)),
        (tensor.is_leaf, tensor.requires_grad, tensor.grad_fn, id(grad), None if grad is None else bits(grad)),
        list((tensor._backward_hooks or {}).items()),
        list(vars(tensor).items()) if python else None,
    )


def picture_of_value(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return id(value), picture_of_tensor(value)
    if isinstance(value, torch.Generator):
        return id(value), bits(value.get_state())
    if isinstance(value, np.random.Generator):
        return id(value), repr(value.bit_generator.state)
    if isinstance(value, dict):
        return id(value), [(key, picture_of_value(each)) for key, each in value.items()]
    if isinstance(value, list | tuple | collections.deque):
        return id(value), [picture_of_value(each) for each in value]
    return id(value), set(value) if isinstance(value, set) else None


def picture(model: nn.Module, batch: object) -> dict:
    hooks = torch.nn.modules.module
    return {
        "modules": [(id(module), picture_of_value(vars(module))) for module in model.modules()],
        "batch": [picture_of_tensor(each) for each in batch if isinstance(each, torch.Tensor)],
        "random": (bits(torch.get_rng_state()), repr(np.random.get_state()), random.getstate()),  # noqa: NPY002
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        "backends": (
            torch._C._get_mkldnn_enabled(),
            torch.backends.cudnn.enabled,
            torch.backends.mha.get_fastpath_enabled(),
            torch.backends.cuda.flash_sdp_enabled(),
        ),
        "process": (
            len(hooks._global_forward_hooks),
            len(hooks._global_forward_pre_hooks),
            len(torch.utils._python_dispatch._get_current_dispatch_mode_stack()),
        ),
    }


class Stop(torch.autograd.Function):
    """Is the identity, and raises in the backward."""

    @staticmethod
    def forward(_ctx, x):
        return x.clone()

    @staticmethod
    def backward(_ctx, _gradient):
        raise RuntimeError("stop in the backward")


def fail(*_args):
    raise ValueError("stop")


def add_hooks(net, x):
    net.inner.register_forward_hook(lambda *_: None)
    net.inner.weight.register_hook(lambda gradient: gradient)
    return x


def keep(name):
    def deed(net, x):
        setattr(net, name, x)
        return x

    return deed


DEEDS = {
    "batch norm": lambda net, x: net.norm(x),
    "dropout": lambda net, x: net.dropout(x),
    "spectral norm": lambda net, x: net.spectral(x),
    "old spectral norm": lambda net, x: net.old_spectral(x),
    "embedding with max_norm": lambda net, x: x + net.table(torch.tensor([1, 2])).sum(0),
    "new attribute": keep("fresh"),
    "attribute replaced": keep("kept"),
    "attribute deleted": lambda net, x: (delattr(net, "spare") if hasattr(net, "spare") else None, x)[1],
    "list": lambda net, x: (net.history.append(x.mean()), x)[1],
    "deque": lambda net, x: (net.recent.append(x), x)[1],
    "set": lambda net, x: (net.names.add("more"), x)[1],
    "dict in a dict": lambda net, x: (net.cache["inner"].update(x=x), x)[1],
    "submodule": lambda net, x: (setattr(net, "late", nn.Linear(4, 4)), x)[1],
    "mode": lambda net, x: (net.eval(), x)[1],
    "requires_grad": lambda net, x: (net.norm.weight.requires_grad_(False), x)[1],
    "gradient dropped": lambda net, x: (setattr(net.inner.weight, "grad", None), x)[1],
    "gradient written": lambda net, x: (net.inner.weight.grad is not None and net.inner.weight.grad.add_(1), x)[1],
    "hooks": add_hooks,
    "attribute of a parameter": lambda net, x: (setattr(net.inner.weight, "tag", 1), x)[1],
    "buffer": lambda net, x: (net.count.add_(1), x)[1],
    "buffer with history": lambda net, x: (net.state.mul_(0.9).add_(net.inner.weight[0]), x)[1],
    "buffer in a view": lambda net, x: (net.state[1:].zero_(), x)[1],
    "buffer replaced": lambda net, x: (setattr(net, "state", net.state + 1), x)[1],
    "tensor in a list": lambda net, x: (net.tensors[0].add_(1), x)[1],
    "several at once": lambda net, x: (torch._foreach_add_([net.state, net.tensors[0]], 1.0), x)[1],
    "parameter under no_grad": lambda net, x: (torch.no_grad()(net.inner.weight.mul_)(0.5), x)[1],
    "parameter by .data": lambda net, x: (net.inner.weight.data.clamp_(-0.1, 0.1), x)[1],
    "parameter's .data": lambda net, x: (setattr(net.inner.weight, "data", net.inner.weight.data * 2), x)[1],
    "input": lambda _net, x: x.mul_(2),
    "input in a view": lambda _net, x: (x[:, 0].zero_(), x)[1],
    "shape of the input": lambda _net, x: (x.unsqueeze_(0), x[0])[1],
    "flag of the input": lambda _net, x: (x.requires_grad_() if x.is_leaf else x),
    "random numbers": lambda _net, x: x + torch.randn(()) + random.random() + np.random.rand(),  # noqa: NPY002
    "own generators": lambda net, x: x + torch.randn((), generator=net.torch_rng) + net.numpy_rng.normal(),
    "raise in the forward": lambda _net, _x: fail(),
    "raise in the backward": lambda net, x: Stop.apply(net.inner(x)),
    "raise in a hook": lambda net, x: (net.inner.register_forward_hook(fail), net.inner(x))[1],
    "raise in a hook of the gradient": lambda net, x: (y := net.inner(x), y.register_hook(fail))[0],
    "interrupt": lambda _net, _x: (_ for _ in ()).throw(KeyboardInterrupt),
}  # fmt: skip

RAISING = {deed for deed in DEEDS if deed.startswith(("raise", "interrupt"))}


class Net(nn.Module):
    """Does deeds one after the other."""

    def __init__(self, deeds) -> None:
        super().__init__()
        self.deeds = deeds
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 4)
        self.norm, self.dropout = nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
        self.old_spectral = nn.utils.spectral_norm(nn.Linear(4, 4))
        self.table = nn.Embedding(3, 4, max_norm=0.1)
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("state", torch.ones(4))
        self.kept, self.spare, self.history, self.names = torch.ones(2), 1, [], {"a"}
        self.recent = collections.deque([1, 2], maxlen=2)
        self.cache = {"inner": {}}
        self.tensors = [torch.ones(4)]
        self.torch_rng, self.numpy_rng = torch.Generator().manual_seed(1), np.random.default_rng(1)

    def forward(self, x):
        for deed in self.deeds:
            x = DEEDS[deed](self, x)
        return self.head(x)


def made(deeds) -> tuple[Net, tuple[torch.Tensor, torch.Tensor]]:
    """Make a network with some gradients, mixed modes, a frozen parameter, hooks, and a batch."""
    torch.manual_seed(0)
    net = Net(deeds)
    net.inner(torch.randn(2, 4)).sum().backward()
    net.old_spectral.eval()
    net.head.bias.requires_grad_(False)
    nn.init.zeros_(net.head.weight)  # so that parameters with a gradient of zero are tried out
    net.inner.register_forward_hook(lambda *_: None)
    return net, (torch.randn(3, 4), torch.tensor([0, 1, 2]))


VERBS = {
    "check": jr.check,
    "trace": lambda net, batch: ADAPTER.trace(ADAPTER.prepare(net, batch)),
    "record": lambda net, batch: ADAPTER.record(ADAPTER.prepare(net, batch)),
    "observe": lambda net, batch: ADAPTER.observe(job := ADAPTER.prepare(net, batch), ADAPTER.record(job), Watch()),
    "opening": lambda net, batch: ADAPTER.opening(ADAPTER.prepare(net, batch), ["inner.weight"], 2),
    "loss that raises": lambda net, batch: jr.check(net, batch, loss=fail),
    "loss that is no scalar": lambda net, batch: jr.check(net, batch, loss=lambda output, _target: output),
    "batch that does not fit": lambda net, batch: jr.check(net, (torch.ones(3, 5), batch[1])),
}
BAD = ("loss that raises", "loss that is no scalar", "batch that does not fit")


def same_afterwards(deeds, verb) -> bool:
    """Assert that nothing changed; say whether the verb came to its end."""
    net, batch = made(deeds)
    before = picture(net, batch)
    ended = False
    with contextlib.suppress(JustRightError, KeyboardInterrupt):
        VERBS[verb](net, batch)
        ended = True
    after = picture(net, batch)
    for part, seen in before.items():
        assert seen == after[part], part
    return ended


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("deed", DEEDS)
def test_model_is_left_as_it_came(deed, verb):
    ended = same_afterwards([deed], verb)
    assert ended or deed in RAISING or verb in BAD


class Stuck(list):
    """Cannot be put back."""

    def clear(self):
        raise RuntimeError("stuck")


def test_what_cannot_be_put_back_keeps_nothing_else_from_it():
    net, batch = made(["list", "batch norm", "own generators", "mode"])
    net.history = Stuck()
    before = picture(net, batch)
    with pytest.raises(RuntimeError, match="stuck"):
        ADAPTER.record(ADAPTER.prepare(net, batch))
    list.clear(net.history)
    assert picture(net, batch) == before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(DEEDS)), min_size=2, max_size=6), st.sampled_from(sorted(VERBS)))
def test_model_is_left_as_it_came_after_several_deeds(deeds, verb):
    same_afterwards(deeds, verb)


@pytest.mark.parametrize("deed", sorted(DEEDS.keys() - RAISING))
def test_picture_shows_what_a_plain_run_changes(deed):
    net, batch = made([deed])
    before = picture(net, batch)
    net(batch[0])
    assert picture(net, batch) != before

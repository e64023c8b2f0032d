"""Functions with a backward of their own: taken for the derivative of what they compute, unless that is zero."""

import pytest
import torch
from torch import nn

import justright as jr


class Gate(torch.autograd.Function):
    """x² sigmoid(x), in several operators, with its derivative written out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, above):
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return above * (2 * x * gate + x * x * gate * (1 - gate))


class Steps(torch.autograd.Function):
    """Rounds to tenths, and passes the gradient straight through."""

    @staticmethod
    def forward(ctx, x):  # noqa: ARG004  the signature of PyTorch
        return (x * 10).round() / 10

    @staticmethod
    def backward(ctx, above):  # noqa: ARG004
        return above


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.second, self.function = nn.Linear(64, 200), nn.Linear(200, 10), function

    def forward(self, x):
        return self.second(self.function.apply(self.first(x)))


def reports(function):
    torch.manual_seed(0)
    batch = torch.randn(256, 64), torch.randint(0, 10, (256,))
    model = Net(function)
    return (run(model, batch, loss="cross_entropy") for run in (jr.predict, jr.check))


def test_the_gradient_passes_as_the_derivative_of_what_is_computed():
    predicted, measured = reports(Gate)
    found = {site.name: site.gradient.rms for site in predicted.profile.sites if site.gradient}
    real = {site.name: site.gradient.rms for site in measured.profile.sites if site.gradient}
    assert found["first.weight"] == pytest.approx(real["first.weight"], rel=0.1)
    assert not [gap for gap in predicted.coverage.gaps if "gradient of" in gap.what]
    assert any("backward of its own" in each for each in predicted.coverage.assumptions)


def test_a_function_that_is_flat_has_no_derivative_to_pass():
    predicted, _ = reports(Steps)
    assert "first.weight" not in {site.name for site in predicted.profile.sites if site.gradient}
    (gap,) = (gap for gap in predicted.coverage.gaps if gap.what.startswith("gradient of"))
    assert "zero" in gap.reason

"""One step of an optimizer: what it is said to do is what it does, and nothing of it stays."""

from __future__ import annotations

import copy
import math
import subprocess
import sys

import pytest
import torch
from torch import nn

import justright as jr
from justright.adapters.torch import travelled, usual
from justright.adapters.torch.curvature import hessian, inner, largest_eigenvalue
from justright.core.profile import Provenance
from justright.errors import InputError, JustRightError

O = torch.optim  # noqa: E741  as short as the lambdas below want it


class Net(nn.Module):
    """Everything that a step could disturb: dropout, running statistics, a sparse table, a tied and a frozen weight."""

    def __init__(self, *, sparse: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6, sparse=sparse)
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.norm, self.drop, self.head = nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 3)
        self.head.bias.requires_grad_(False)

    def forward(self, x):
        hidden = torch.tanh(self.norm(self.first(self.table(x).mean(1))))
        return self.head(self.drop(self.second(hidden)))


def batch(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 7, (16, 4), generator=generator), torch.randint(0, 3, (16,), generator=generator)


def net(**options) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Net(**options)


def bits(tensor: torch.Tensor) -> bytes:
    dense = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    return dense.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def picture_of(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return id(value), bits(value), None if value.grad is None or not value.is_leaf else bits(value.grad)
    if isinstance(value, dict):
        return [(id(key), picture_of(each)) for key, each in value.items()]
    return [picture_of(each) for each in value] if isinstance(value, list | tuple) else repr(value)


def picture(model: nn.Module, optimizer: object) -> object:
    tensors = [*model.parameters(), *model.buffers()]
    own = {name: each for name, each in vars(optimizer).items() if "hook" not in name}
    grads = [id(each.grad) for each in model.parameters()]
    return picture_of(tensors), picture_of(own), grads, model.training, bits(torch.get_rng_state())


def groups(model: nn.Module) -> list:
    head = [*model.head.parameters()]
    rest = [each for each in model.parameters() if not any(each is other for other in head)]
    return [{"params": rest}, {"params": head, "lr": 1e-4}]


OPTIMIZERS = {
    "sgd": lambda model: O.SGD(model.parameters(), 0.1),
    "sgd far too large": lambda model: O.SGD(model.parameters(), 1e4),
    "momentum": lambda model: O.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True),
    "adam": lambda model: O.Adam(model.parameters()),
    "adam far too large": lambda model: O.Adam(model.parameters(), 1e3),
    "adam far too small": lambda model: O.Adam(model.parameters(), 1e-12),
    "fused adamw": lambda model: O.AdamW(model.parameters(), fused=True),
    "foreach adam": lambda model: O.Adam(model.parameters(), foreach=True, amsgrad=True),
    "groups": lambda model: O.AdamW(groups(model), 1e-3),
    "lbfgs": lambda model: O.LBFGS(model.parameters(), 0.1),
    "adagrad": lambda model: O.Adagrad(model.parameters(), 0.1),
    "rmsprop": lambda model: O.RMSprop(model.parameters(), 1e-3, momentum=0.5, centered=True),
}


def warmed(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Leave a state in the optimizer and gradients on the parameters."""
    inputs, target = batch(1)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), target)
        loss.backward()
        return loss

    kept = {name: each.clone() for name, each in model.state_dict().items()}
    optimizer.step(closure)
    model.load_state_dict(kept)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_model_and_optimizer_stay_as_they_are(name, used):
    model = net()
    optimizer = OPTIMIZERS[name](model)
    if used:
        warmed(model, optimizer)
    before = picture(model, optimizer)
    step = jr.check(model, batch(), loss="cross_entropy", optimizer=optimizer).profile.step
    assert picture(model, optimizer) == before
    assert not step.untaken
    assert step.predicted != 0


def test_sparse_gradients_take_their_step():
    model = net(sparse=True)
    optimizer = O.SparseAdam([model.table.weight])
    before = picture(model, optimizer)
    step = jr.check(model, batch(), loss="cross_entropy", optimizer=optimizer).profile.step
    assert picture(model, optimizer) == before
    assert [each.name for each in step.parameters] == ["table.weight"]
    assert step.left_out == sum(each.requires_grad for each in model.parameters()) - 1


class Breaks(torch.optim.SGD):
    """Moves the weights, spoils its state, and raises."""

    def step(self, closure=None):  # noqa: ARG002
        for parameter in self.param_groups[0]["params"]:
            with torch.no_grad():
                parameter.add_(1.0)
            self.state[parameter]["seen"] = torch.ones(3)
        self.param_groups[0]["lr"] = 7.0
        raise ValueError("broken")


def test_a_step_that_raises_leaves_nothing_and_says_so_in_four_parts():
    model = net()
    optimizer = Breaks(model.parameters(), 0.1)
    before = picture(model, optimizer)
    with pytest.raises(InputError, match="broken") as caught:
        jr.check(model, batch(), loss="cross_entropy", optimizer=optimizer)
    assert all((caught.value.where, caught.value.got, caught.value.expected, caught.value.try_))
    assert picture(model, optimizer) == before


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "groups", "lbfgs", "rmsprop"])
def test_the_record_is_what_the_optimizer_does_to_a_copy(name):
    model, (inputs, target) = net(), batch()
    copied = copy.deepcopy(model)
    copied.drop.p = model.drop.p = 0.0
    optimizer = OPTIMIZERS[name](copied)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(copied(inputs), target)
        loss.backward()
        return loss

    first = closure()
    slopes = {each: each.grad.clone() for each in copied.parameters() if each.grad is not None}
    before = {each: each.detach().clone() for each in copied.parameters()}
    optimizer.step(closure if name == "lbfgs" else None)
    moved = {key: each.detach() - before[each] for key, each in copied.named_parameters()}
    after = nn.functional.cross_entropy(copied(inputs), target)
    slope = sum(float((slopes[each] * moved[key]).sum()) for key, each in copied.named_parameters() if each in slopes)

    step = jr.check(model, (inputs, target), loss="cross_entropy", optimizer=OPTIMIZERS[name](model)).profile.step
    assert (step.before, step.after) == pytest.approx((first.item(), after.item()), rel=1e-5)
    assert step.predicted == pytest.approx(slope, rel=1e-4)
    named = dict(copied.named_parameters())
    for each in step.parameters:
        assert each.update == pytest.approx(float(moved[each.name].square().mean().sqrt()), rel=1e-4)
        assert each.weight == pytest.approx(float(before[named[each.name]].square().mean().sqrt()))
    assert {each.name for each in step.parameters} >= {name for name, each in moved.items() if each.count_nonzero()}


def test_a_step_of_nothing_meets_the_same_loss_under_the_same_dropout():
    step = jr.check(net(), batch(), loss="cross_entropy", optimizer="sgd:0").profile.step
    assert step.after == step.before
    assert step.predicted == 0.0


def test_several_batches_take_the_step_of_the_first():
    alone = jr.check(net().eval(), batch(), loss="cross_entropy", optimizer="adam").profile.step
    both = jr.check(net().eval(), batches=[batch(), batch(5)], loss="cross_entropy", optimizer="adam").profile.step
    assert both == alone


class Bowl(nn.Module):
    """A parabola with curvatures 1, 2 ... 9 in a turned basis."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        basis = torch.linalg.qr(torch.randn(9, 9, generator=generator))[0]
        self.register_buffer("matrix", basis @ torch.diag(torch.arange(1.0, 10.0)) @ basis.T)
        self.weight = nn.Parameter(torch.randn(9, generator=generator))

    def forward(self, x):
        return x * (self.weight @ self.matrix @ self.weight) / 2


def own_loss(output, _target):
    return output.sum()


def bowl(optimizer):
    return jr.check(Bowl(), (torch.ones(1), torch.ones(1)), loss=own_loss, optimizer=optimizer).profile.step


def test_the_stable_step_of_a_parabola_is_two_over_its_curvature():
    step = bowl("sgd:1.0")
    assert step.stable == pytest.approx(2 / 9, rel=0.03)  # the power method's error after ten steps
    assert step.curvature_from is Provenance.EXACT
    change = step.after - step.before
    assert step.predicted + step.curvature / 2 == pytest.approx(change, rel=1e-4)
    assert step.runs_away
    assert step.tame == step.stable


@pytest.mark.parametrize(("rate", "runs"), [(0.9 * 2 / 9, False), (1.2 * 2 / 9, True)])
def test_gradient_descent_on_a_parabola_runs_away_over_the_bound(rate, runs):
    assert bowl(f"sgd:{rate}").runs_away is runs


def test_products_by_differences_agree_with_the_matrix():
    from contextlib import contextmanager

    model = Bowl()

    class Once(torch.autograd.Function):
        """A square without a second derivative."""

        @staticmethod
        def forward(ctx, weight):
            ctx.save_for_backward(weight)
            return weight @ model.matrix @ weight / 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient * (model.matrix @ ctx.saved_tensors[0])

    @contextmanager
    def run():
        yield Once.apply(model.weight)

    kept = model.weight.detach().clone()
    vector = {"weight": torch.linspace(-1, 1, 9)}
    with hessian(run, {"weight": model.weight}) as matrix:
        product = matrix(vector)["weight"]
        largest = largest_eigenvalue(matrix, {"weight": 1.0}, {"weight": torch.ones(9)})
    assert matrix.provenance is Provenance.NUMERICAL
    assert torch.equal(model.weight, kept)
    # Rounding of the gradients, eps |w|, over a step of sqrt(eps) |w|: a relative 3e-4, here times 9.
    assert torch.allclose(product, model.matrix @ vector["weight"], atol=3e-3 * 9)
    assert largest == pytest.approx(9.0, rel=0.05)


class Weighted(nn.Module):
    """Weights of one, and a loss that is linear in them."""

    def __init__(self, slopes: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("slopes", slopes)
        self.weight = nn.Parameter(torch.ones_like(slopes))

    def forward(self, x):
        return x * (self.weight * self.slopes).sum()


HALF = 2.0**-9
"""Half the distance from 1 to the next smaller number of bfloat16, whose last bit there is 2**-8."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_steps_below_half_a_distance_are_lost_and_the_others_are_not(dtype):
    slopes = torch.tensor([0.5, 0.9, 1.2, 3.0, 0.0, 0.2, 8.0, 0.1]) * HALF
    model = Weighted(slopes).to(dtype)
    data = (torch.ones(1, dtype=dtype), torch.ones(1, dtype=dtype))
    step = jr.check(model, data, loss=own_loss, optimizer="sgd:1.0").profile.step
    (weight,) = step.parameters
    assert weight.pushed == pytest.approx(7 / 8)
    assert weight.unchanged_bfloat16 == pytest.approx(4 / 7)
    assert weight.unchanged_float16 == pytest.approx(1 / 7)  # half its distance is 2**-12, over the smallest alone
    assert weight.unchanged == pytest.approx(4 / 7 if dtype is torch.bfloat16 else 0.0)
    # What was meant, not what rounding left of it: bfloat16 holds the slopes to a 256th.
    assert weight.update == pytest.approx(float(slopes.square().mean().sqrt()), rel=1 / 256)


def test_momentum_carries_small_steps_over():
    model = Weighted(torch.full((8,), 0.4 * HALF)).to(torch.bfloat16)
    data = (torch.ones(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16))
    plain = jr.check(model, data, loss=own_loss, optimizer=lambda each: O.SGD(each, 1.0)).profile.step
    heavy = jr.check(model, data, loss=own_loss, optimizer=lambda each: O.SGD(each, 1.0, momentum=0.9)).profile.step
    assert (plain.unchanged(), plain.frozen) == (1.0, 1.0)
    assert (heavy.unchanged(), heavy.frozen) == (1.0, 0.0)


def test_a_loss_that_is_lost_at_the_first_step_runs_away():
    step = bowl("sgd:1e30")
    assert not math.isfinite(step.after)
    assert step.trial == ()
    assert step.runs_away


def test_no_step_without_a_loss_and_none_on_numbers_that_are_not_finite():
    blind = jr.check(nn.Linear(3, 2), torch.randn(4, 3)).profile.step
    assert "loss" in blind.untaken
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, math.nan)
    lost = jr.check(model, (torch.randn(4, 3), torch.randn(4, 2)), loss="mse").profile.step
    assert "finite" in lost.untaken


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (usual.SGD([], 0.1, 0.9), lambda each: O.SGD(each, 0.1, momentum=0.9)),
        (usual.Adam([], 1e-2), lambda each: O.Adam(each, 1e-2)),
        (usual.AdamW([], 1e-2), lambda each: O.AdamW(each, 1e-2)),
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_the_first_steps_of_the_usual_optimizers_are_those_of_pytorch(ours, theirs):
    first = [nn.Parameter(torch.linspace(-1, 1, 7)), nn.Parameter(torch.ones(2, 3))]
    second = copy.deepcopy(first)
    reference = theirs(second)
    for each in second:
        each.grad = (each.detach() - 0.3).square() * torch.tensor([-1.0, 1.0]).repeat(4)[: each.shape[-1]]
    moved = [
        one.detach() + ours.change(one.detach(), other.grad, torch.empty_like(one))
        for one, other in zip(first, second, strict=True)
    ]
    reference.step()
    for one, other in zip(moved, second, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-7)


def test_a_step_that_nobody_asked_for_does_not_import_the_compiler():
    code = (
        "import sys, torch, justright as jr; "
        "jr.check(torch.nn.Linear(4, 3), (torch.randn(8, 4), torch.arange(8) % 3)); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_inner_products_of_complex_numbers_are_real():
    first, second = torch.tensor([1 + 2j, 3j]), torch.tensor([2 - 1j, 1 + 1j])
    assert inner({"a": first}, {"a": second, "b": second}) == float((first.conj() * second).sum().real)


ELSEWHERE = O.SGD([nn.Parameter(torch.ones(1))])


@pytest.mark.parametrize("wrong", ["adamm:1e-3", "sgd:fast", 3.0, lambda _: "sgd", ELSEWHERE])
def test_what_is_no_optimizer_of_this_model_is_said_in_four_parts(wrong):
    with pytest.raises(JustRightError) as caught:
        jr.check(net(), batch(), loss="cross_entropy", optimizer=wrong)
    assert "optimizer" in caught.value.where
    assert caught.value.got
    assert caught.value.expected


def test_a_chosen_step_into_infinity_is_a_note_without_a_bound():
    """The parabola through an infinite loss has no curvature, so that nothing can be said of a stable step."""
    torch.manual_seed(0)
    model, inputs = nn.Linear(4, 1), torch.arange(1.0, 9.0)[:, None].expand(8, 4)
    start = model(inputs).detach() + 1e-7

    def steep(output, _target):
        return torch.exp(1e5 * (output - start).abs()).mean()

    report = jr.check(model, (inputs, torch.zeros(8, 1)), loss=steep)
    step = report.profile.step
    assert math.isfinite(step.before)
    assert step.after == math.inf
    assert math.isnan(step.stable)
    assert [(each.code, each.severity.label) for each in report.findings] == [("JR901", "note")]


@pytest.mark.parametrize("piece", [5, 36, 2**18])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_step_is_measured_in_pieces_as_in_one(piece, dtype, monkeypatch):
    """Of plain gradient descent both are known: the step is the rate times the gradient, the slope its square."""
    monkeypatch.setattr(travelled, "PIECE", piece)
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1)).to(dtype)
    inputs, targets = torch.linspace(-1, 1, 30, dtype=dtype).reshape(5, 6), torch.full((5, 1), 0.25, dtype=dtype)
    step = jr.check(model, (inputs, targets), loss=nn.functional.mse_loss, optimizer="sgd:0.125").profile.step
    nn.functional.mse_loss(model(inputs), targets).backward()
    slopes = {name: each.grad.double() for name, each in model.named_parameters()}
    tolerance = 2**-6 if dtype is torch.bfloat16 else 1e-5  # the rate times the gradient is rounded once to the dtype
    for each in step.parameters:
        assert each.update == pytest.approx(0.125 * float(slopes[each.name].square().mean().sqrt()), rel=tolerance)
    expected = -0.125 * sum(float(each.square().sum()) for each in slopes.values())
    assert step.predicted == pytest.approx(expected, rel=tolerance)


class Held(torch.autograd.Function):
    """Passes on, as the gradient of a weight, a tensor that the caller goes on holding."""

    @staticmethod
    def forward(ctx, weight, held):
        ctx.held = held
        return (weight * held).sum()

    @staticmethod
    def backward(ctx, above):  # noqa: ARG004  the gradient above is one
        return ctx.held, None


@pytest.mark.parametrize("held_as", ["itself", "a view"])
def test_a_gradient_that_somebody_holds_is_not_written_over(held_as):
    held = torch.linspace(1.0, 2.0, 12).view(3, 4)
    kept = held.clone()
    given = held if held_as == "itself" else held.view(4, 3).view(3, 4)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.full((3, 4), 0.5))

        def forward(self, inputs):
            return Held.apply(self.weight, given) * inputs.mean()

    step = jr.check(Model(), (torch.ones(2), torch.ones(2)), loss=lambda output, _target: output).profile.step
    assert step.parameters
    assert torch.equal(held, kept)
    assert step.after == pytest.approx(float((kept * (0.5 - 1e-3)).sum()), rel=1e-6)


def test_parameters_that_lie_over_each_other_are_not_moved_unasked():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = nn.Parameter(first.weight.data)
    model = nn.Sequential(first, nn.Tanh(), second)
    inputs = torch.linspace(-1, 1, 20).view(5, 4)
    assert "share memory" in jr.check(model, (inputs, inputs), loss="mse").profile.step.untaken
    apart = torch.zeros(2, 4, 4)
    first.weight, second.weight = nn.Parameter(apart[0]), nn.Parameter(apart[1])  # one storage, two places
    assert not jr.check(model, (inputs, inputs), loss="mse").profile.step.untaken


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
def test_a_step_that_nobody_asked_for_is_the_one_that_pytorch_takes(dtype):
    """A weight whose axes are stored in another order too: its memory is not one row."""
    torch.manual_seed(0)
    layer = nn.Linear(6, 6, dtype=dtype)
    layer.weight = nn.Parameter(layer.weight.data.t().clone().t())
    inputs = torch.randn(5, 6, dtype=dtype)

    def loss(output, _target):
        return output.abs().square().mean().float()

    step = jr.check(layer, (inputs, inputs), loss=loss).profile.step
    before = {name: each.detach().clone() for name, each in layer.named_parameters()}
    loss(layer(inputs), inputs).backward()
    O.Adam(layer.parameters(), 1e-3).step()
    after = float(loss(layer(inputs), inputs).detach())
    assert step.after == pytest.approx(after, rel=2e-2 if dtype is torch.bfloat16 else 1e-5)
    if dtype is not torch.bfloat16:
        change = {
            name: (each.detach() - before[name]).abs().square().mean().sqrt() for name, each in layer.named_parameters()
        }
        assert {each.name: each.update for each in step.parameters} == pytest.approx(
            {name: float(each) for name, each in change.items()}, rel=1e-4
        )

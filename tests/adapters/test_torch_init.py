"""Laws of the in-place functions: what PyTorch's own tests of `torch.nn.init` assert, and generators honoured."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

from justright.torch import init  # noqa: E402  after the check that there is PyTorch

SHAPES = [(60, 50), (30, 20, 5), (20, 10, 4, 4), (10, 6, 3, 4, 4)]
CALLS = {
    "uniform_": (lambda t, g: init.uniform_(t, -1.3, 0.4, generator=g), lambda _: stats.uniform(-1.3, 1.7)),
    "normal_": (lambda t, g: init.normal_(t, 0.7, 2.5, generator=g), lambda _: stats.norm(0.7, 2.5)),
    "trunc_normal_": (
        lambda t, g: init.trunc_normal_(t, 0.5, 2.0, -1.0, 2.5, generator=g),
        lambda _: stats.truncnorm(-0.75, 1.0, 0.5, 2.0),
    ),
    "xavier_uniform_": (
        lambda t, g: init.xavier_uniform_(t, 1.5, generator=g),
        lambda fans: around(1.5 * math.sqrt(6.0 / sum(fans))),
    ),
    "xavier_normal_": (
        lambda t, g: init.xavier_normal_(t, 1.5, generator=g),
        lambda fans: stats.norm(0, 1.5 * math.sqrt(2.0 / sum(fans))),
    ),
    "kaiming_uniform_": (
        lambda t, g: init.kaiming_uniform_(t, 0.2, "fan_out", generator=g),
        lambda fans: around(math.sqrt(6.0 / (1.04 * fans[1]))),
    ),
    "kaiming_normal_": (
        lambda t, g: init.kaiming_normal_(t, nonlinearity="relu", generator=g),
        lambda fans: stats.norm(0, math.sqrt(2.0 / fans[0])),
    ),
}
RANDOM = {
    **{name: call for name, (call, _) in CALLS.items()},
    "orthogonal_": lambda t, g: init.orthogonal_(t, generator=g),
    "sparse_": lambda t, g: init.sparse_(t, 0.3, generator=g),
}


def around(bound):
    return stats.uniform(-bound, 2 * bound)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CALLS)
def test_distributions_are_those_of_torch(name, shape, seed):
    call, law = CALLS[name]
    tensor = torch.empty(shape)
    assert call(tensor, torch.Generator().manual_seed(seed)) is tensor
    fans = torch.nn.init._calculate_fan_in_and_fan_out(tensor)
    assert stats.kstest(tensor.numpy().ravel(), law(fans).cdf).pvalue > 1e-5


@pytest.mark.parametrize("name", init.__all__)
def test_signatures_are_those_of_torch(name):
    here, there = (inspect.signature(getattr(each, name)).parameters for each in (init, torch.nn.init))
    assert [(each.name, each.default) for each in here.values()] == [
        (each.name, each.default) for each in there.values()
    ]


@pytest.mark.parametrize("name", RANDOM)
def test_a_generator_decides_everything(name):
    first, again, other = (RANDOM[name](torch.empty(40, 30), torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    state = torch.get_rng_state()
    RANDOM[name](torch.empty(40, 30), torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", RANDOM)
def test_the_global_seed_decides_without_a_generator(name):
    drawn = []
    with torch.random.fork_rng():
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(RANDOM[name](torch.empty(40, 30), None))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"]
)
def test_gains_are_those_of_torch(name):
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.2) == torch.nn.init.calculate_gain("leaky_relu", 0.2)


def test_gains_that_torch_lacks_are_exact():
    assert init.calculate_gain("gelu") == pytest.approx(1.533530, abs=1e-6)  # quadrature of 800 nodes


@pytest.mark.parametrize("param", [True, [1], {"a": "b"}, "x"])
def test_a_slope_that_is_no_number_is_refused(param):
    with pytest.raises(ValueError, match="a number"):
        init.calculate_gain("leaky_relu", param)


@pytest.mark.parametrize(
    "call",
    [
        lambda: init.calculate_gain("relux"),
        lambda: init.eye_(torch.empty(3)),
        lambda: init.eye_(torch.empty(3, 2, 2)),
        lambda: init.dirac_(torch.empty(3, 3)),
        lambda: init.dirac_(torch.empty(3, 3, 3), groups=2),
        lambda: init.xavier_uniform_(torch.empty(3)),
        lambda: init.xavier_normal_(torch.empty(())),
        lambda: init.kaiming_uniform_(torch.empty(3)),
        lambda: init.kaiming_normal_(torch.empty(3, 4), mode="fan"),
        lambda: init.orthogonal_(torch.empty(3)),
        lambda: init.sparse_(torch.empty(3, 3, 3), 0.1),
        lambda: init.trunc_normal_(torch.empty(3), a=50.0, b=60.0),
    ],
)
def test_what_cannot_be_served_is_a_value_error(call):
    with pytest.raises(ValueError, match=r"expected|levels"):
        call()


def test_constants_and_identities():
    assert torch.equal(init.constant_(torch.empty(3, 2), 0.4), torch.full((3, 2), 0.4))
    assert torch.equal(init.ones_(torch.empty(3)), torch.ones(3))
    assert torch.equal(init.zeros_(torch.empty(3)), torch.zeros(3))
    assert torch.equal(init.eye_(torch.empty(3, 5)), torch.eye(3, 5))


@pytest.mark.parametrize(("outputs", "inputs", "groups"), [(8, 8, 1), (4, 8, 1), (12, 4, 2), (8, 2, 4)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_dirac_is_that_of_torch(outputs, inputs, groups, rank):
    tensor = torch.empty(outputs, inputs, *[3] * rank)
    assert torch.equal(init.dirac_(tensor, groups), torch.nn.init.dirac_(tensor.clone(), groups))


@pytest.mark.parametrize("shape", [(3, 3), (3, 6), (6, 3), (20, 5, 3), (4, 8, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_orthogonal_rows_or_columns(shape, dtype, seed):
    tensor = init.orthogonal_(torch.empty(shape, dtype=dtype), 1.5, torch.Generator().manual_seed(seed))
    matrix = tensor.reshape(shape[0], -1).double()
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    step = {torch.float32: 2**-20, torch.float64: 1e-13}.get(dtype, 2**-6)
    assert torch.allclose(product, 2.25 * torch.eye(len(product), dtype=torch.float64), atol=step)


@pytest.mark.parametrize("sparsity", [0.1, 0.25, 0.9])
def test_sparse_has_its_zeros_in_every_column(sparsity, seed):
    tensor = init.sparse_(torch.empty(40, 30), sparsity, 2.0, torch.Generator().manual_seed(seed))
    assert ((tensor == 0).sum(0) == math.ceil(40 * sparsity)).all()
    assert stats.kstest(tensor[tensor != 0].numpy(), stats.norm(0, 2.0).cdf).pvalue > 1e-5


def test_a_tensor_without_elements_is_left_with_a_warning():
    with pytest.warns(UserWarning, match="without elements"):
        init.kaiming_normal_(torch.empty(0, 3))


def test_no_truncated_number_lies_beyond_its_bounds():
    tensor = init.trunc_normal_(torch.empty(1_000_000), std=0.02, a=-0.04, b=0.04)
    assert float(tensor.abs().max()) <= np.float32(0.04)


def test_a_parameter_that_needs_gradients_is_filled_in_place():
    weight = torch.nn.Parameter(torch.empty(4, 4))
    assert init.kaiming_normal_(weight) is weight
    assert weight.requires_grad
    assert weight.grad_fn is None

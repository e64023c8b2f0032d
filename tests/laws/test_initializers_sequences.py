"""Laws of the schemes for sequence models and transformers, on the modules of PyTorch where these have a meaning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import brentq

import justright as jr
from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream
from justright.initializers.base import Place, SchemeError, Target
from justright.initializers.parsing import scheme


def law_of(written, layout, **place):
    return scheme(written).law(Target("w", layout, place=Place(**place)))


@pytest.mark.parametrize("cell", [torch.nn.LSTM, torch.nn.GRU, torch.nn.LSTMCell, torch.nn.GRUCell])
def test_recurrent_matrices_are_orthogonal_gate_by_gate(cell):
    model = cell(12, 32)
    jr.initialize(model, "recurrent_orthogonal(gain=0.9)")
    for name, parameter in model.named_parameters():
        if "weight_hh" in name:
            for gate in parameter.detach().double().split(32):
                assert torch.allclose(gate @ gate.T, 0.81 * torch.eye(32, dtype=torch.float64), atol=1e-5)
        elif "weight" in name:
            assert float(parameter.detach().std()) == pytest.approx(math.sqrt(2 / 44), rel=0.1)
        else:
            assert not parameter.any()


@pytest.mark.parametrize("cell", [torch.nn.RNN, torch.nn.LSTM])
def test_unitary_recurrence_commutes_with_the_imaginary_unit_and_keeps_lengths(cell):
    """A real matrix is complex-linear on pairs exactly if it commutes with J, which multiplies by i."""
    model = cell(12, 32)
    jr.initialize(model, "recurrent_unitary(gain=0.9)")
    j = torch.kron(torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64), torch.eye(16, dtype=torch.float64))
    for gate in model.weight_hh_l0.detach().double().split(32):
        assert torch.allclose(gate @ gate.T, 0.81 * torch.eye(32, dtype=torch.float64), atol=1e-5)
        assert torch.equal(gate @ j, j @ gate)
    with pytest.raises(SchemeError, match="even number"):
        jr.initialize(cell(12, 31), "recurrent_unitary")


def test_unitary_matrices_are_uniform():
    """Of a uniform unitary matrix E|tr U^k|² = k [Diaconis, Shahshahani]: here for 4,000 matrices of size 6."""
    layout = WeightLayout((4000, 12, 12), (1,), (2,), copies=(0,))
    x = scheme("unitary").sample(Target("w", layout), Stream.of(0, "w")).astype(np.float64)
    u = x[:, :6, :6] + 1j * x[:, 6:, :6]
    for power in (1, 2, 3):
        squares = np.abs(np.trace(np.linalg.matrix_power(u, power), axis1=1, axis2=2)) ** 2
        assert abs(squares.mean() - power) < 4.5 * squares.std() / math.sqrt(len(squares))


def test_irnn_keeps_its_state_for_ever():
    model = torch.nn.RNN(5, 40, nonlinearity="relu")
    jr.initialize(model, "irnn")
    state = torch.rand(1, 1, 40)
    _, after = model(torch.zeros(500, 1, 5), state)
    assert torch.allclose(after, state)
    assert float(model.weight_ih_l0.detach().std()) == pytest.approx(0.001, rel=0.2)


def test_forget_gate_is_one_after_both_biases_are_added():
    model = torch.nn.LSTM(8, 16, num_layers=2)
    jr.initialize(model, {"bias*": "forget_gate(value=1.5)", "*": "recurrent_orthogonal"})
    for layer in range(2):
        total = getattr(model, f"bias_ih_l{layer}") + getattr(model, f"bias_hh_l{layer}")
        entering, forget, *others = total.detach().split(16)
        assert (forget == 1.5).all()
        assert not any(each.any() for each in (entering, *others))


def test_the_time_scales_of_chrono_are_uniform():
    hidden, longest = 4000, 60
    model = torch.nn.LSTM(2, hidden)
    jr.initialize(model, {"bias*": f"chrono(longest={longest})", "weight*": "zeros"})
    entering, forget, *_ = model.bias_ih_l0.detach().double().split(hidden)
    assert torch.equal(entering, -forget)
    assert not model.bias_hh_l0.any()
    scales = 1 / (1 - torch.sigmoid(forget))  # steps until the state has fallen to 1/e, for long ones
    assert stats.kstest(scales.numpy() - 1, "uniform", (1, longest - 2)).pvalue > 1e-4


@pytest.mark.parametrize("gates", [("i", "f", "g", "o"), ("r", "z", "n")], ids=["LSTM", "GRU"])
@pytest.mark.parametrize("written", ["forget_gate", "chrono(longest=40)"])
def test_moments_of_gate_biases_are_as_declared(written, gates):
    layout = WeightLayout((3000 * len(gates),), (0,), kind=Kind.SHIFT)
    target = Target("b", layout, place=Place(gates=gates))
    declared, bias = scheme(written).declared(target), scheme(written).sample(target, Stream.of(0, "b"))
    assert np.abs(bias).max() <= declared.bound * (1 + 1e-6)
    assert bias.mean() == pytest.approx(declared.mean, abs=0.03)
    assert bias.var() == pytest.approx(declared.variance, rel=0.05)
    assert np.array_equal(scheme(written).sample(target, Stream.of(0, "b"), (slice(5, 90, 3),)), bias[5:90:3])


@pytest.mark.parametrize("first", [True, False])
def test_sines_keep_their_distribution_over_twenty_layers(first, rng):
    """The first layer is told what it is; arcsine-distributed inputs then give standard normal phases."""
    layout = WeightLayout.dense((1000, 1000))
    x = np.sin(rng.standard_normal((1000, 40)) * 10)
    stds = []
    for layer in range(20):
        weight = scheme("siren").sample(Target(f"{layer}", layout), Stream.of(0, f"{layer}"))
        phase = 30.0 * (weight @ x)
        stds.append(phase.std())
        x = np.sin(phase)
    fixed = brentq(lambda v: 1 - math.exp(-2 * v) - v, 0.5, 1.0)
    assert np.allclose(stds[8:], math.sqrt(fixed), rtol=0.03)
    bound = law_of(f"siren(first={first})", layout).bound
    assert bound == pytest.approx(1e-3 if first else math.sqrt(6e-3) / 30)


def test_step_sizes_are_uniform_in_the_logarithm():
    bias = scheme("mamba_delta_bias").sample(
        Target("dt_proj.bias", WeightLayout.dense((200, 200))), Stream.of(0, "dt_proj.bias")
    )
    steps = np.log(np.logaddexp(0, bias.astype(np.float64))).ravel()
    assert stats.kstest(steps, "uniform", (math.log(1e-3), math.log(100))).pvalue > 1e-4


def test_transformer_rules_are_the_papers_formulas():
    matrix = WeightLayout.dense((2048, 512))
    table = WeightLayout.embedding((1000, 512))
    assert law_of("small_init", matrix).std == law_of("small_init", table).std == math.sqrt(2 / (5 * 512))
    assert law_of("small_init(width=256)", matrix).std == math.sqrt(2 / (5 * 256))
    assert law_of("wang(layers=24)", matrix).std == pytest.approx(2 / (24 * math.sqrt(2048)))  # it ends a branch
    xavier = law_of("xavier_normal", matrix).std
    assert law_of("deepnorm(layers=100)", matrix).std == pytest.approx(xavier / 800**0.25)
    assert law_of("sub_ln(layers=100)", matrix).std == pytest.approx(xavier * math.sqrt(math.log(200)))


@pytest.mark.parametrize(
    ("model", "written", "says"),
    [
        (torch.nn.Linear(4, 4), "forget_gate", "LSTM"),
        (torch.nn.RNN(4, 4), {"bias*": "forget_gate", "*": "orthogonal"}, "LSTM"),
        (torch.nn.LSTM(4, 4), "irnn", "recurrent_orthogonal"),
        (torch.nn.Linear(4, 4), "recurrent_orthogonal", "recurrent cell"),
    ],
)
def test_what_is_no_cell_is_refused_and_left_untouched(model, written, says):
    before = [each.clone() for each in model.parameters()]
    with pytest.raises(SchemeError, match=says):
        jr.initialize(model, written)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    "written",
    [
        "chrono(longest=2)",
        "siren(omega=0)",
        "wang(layers=-1)",
        "mamba_delta_bias(shortest=1, longest=0.1)",
        "deepnorm(layers=-1)",
    ],
)
def test_impossible_parameters_are_refused(written):
    with pytest.raises(SchemeError, match="expected"):
        scheme(written)

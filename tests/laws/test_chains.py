"""Laws of chains: a graph's nonlinearity, however it is written, is what PyTorch computes and differentiates."""

from __future__ import annotations

import cProfile
import pstats

import numpy as np
import pytest

from justright.core.graph import GraphBuilder, Role
from justright.ops.base import OPERATORS
from justright.ops.chains import Chain, chains
from justright.ops.regions import LONGEST
from justright.ops.zones import zones

torch = pytest.importorskip("torch")

SHAPE = (5, 3)
X = np.concatenate([np.linspace(-6, 6, 121) + 0.013, [-40.0, 40.0]])
NATIVE = {"multiply": "mul", "subtract": "sub", "divide": "div", "power": "pow", "absolute": "abs", "negative": "neg"}


class Network:
    """Builds a graph by calls that read like tensor code."""

    def __init__(self, shape=SHAPE):
        self.builder = GraphBuilder()
        self.shape = shape

    def leaf(self, role=Role.INPUT, name="input.0", dtype="float32"):
        return self.builder.leaf(name, self.shape, dtype, role)

    def __call__(self, op, *sites, shape=None, dtype="float32", **attributes):
        """Add an operation whose tensors are its first arguments in the order of the operator's function."""
        names = ["input", "other"] if op not in OPERATORS else list(OPERATORS[op].defaults)
        spec = [(shape or self.shape, dtype, True)]
        operands = [(name, site) for name, site in zip(names, sites, strict=False)]
        return self.builder.node(op, f"aten.{op}", operands, spec, attributes=attributes)[0]

    def chains(self, *outputs, loss=None):
        return chains(self.builder.finish(outputs=outputs, loss=loss))

    def chain(self, *outputs):
        (chain,) = self.chains(*outputs)
        return chain


def gelu_by_hand(net, x):
    """Write GELU as in GPT-2's code."""
    inner = net("multiply", net("power", x, exponent=3.0), other=0.044715)
    inner = net("multiply", net("add", x, inner), other=float(np.sqrt(2 / np.pi)))
    gate = net("add", net("tanh", inner), other=1.0)
    return net("multiply", net("multiply", x, other=0.5), gate)


def quick_gelu(net, x):
    return net("multiply", x, net("sigmoid", net("multiply", x, other=1.702)))


def mish_by_hand(net, x):
    return net("multiply", x, net("tanh", net("log", net("add", net("exp", x), other=1.0))))


def sigmoid_by_hand(net, x):
    return net("reciprocal", net("add", net("exp", net("negative", x)), other=1.0))


def soft_cap(net, x):
    return net("multiply", net("tanh", net("divide", x, other=50.0)), other=50.0)


def squared_relu(net, x):
    return net("square", net("relu", x))


def leaky_by_maximum(net, x):
    return net("maximum", x, net("multiply", x, other=0.1))


def shifted_relu(net, x):
    return net("relu", net("reverse_subtract", x, other=0.3))


def clamp_sum(net, x):
    return net("clamp", net("multiply", net("add", x, other=1.0), other=2.0), min=-1.0, max=3.0)


def torch_quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


F = torch.nn.functional
WRITTEN_OUT = {
    gelu_by_hand: lambda x: F.gelu(x, approximate="tanh"),
    quick_gelu: torch_quick_gelu,
    mish_by_hand: F.mish,
    sigmoid_by_hand: torch.sigmoid,
    soft_cap: lambda x: 50 * torch.tanh(x / 50),
    squared_relu: lambda x: F.relu(x) ** 2,
    leaky_by_maximum: lambda x: F.leaky_relu(x, 0.1),
    shifted_relu: lambda x: F.relu(0.3 - x),
    clamp_sum: lambda x: torch.clamp(2 * (x + 1), -1, 3),
}
LAW = pytest.mark.parametrize("write", WRITTEN_OUT, ids=lambda write: write.__name__)


def torch_value_and_slope(function, x):
    x = torch.tensor(x, requires_grad=True)
    value = function(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    return value.detach().numpy(), slope.numpy()


@LAW
def test_a_nonlinearity_written_out_is_one_chain_with_the_value_and_slope_of_its_name(write):
    net = Network()
    x = net.leaf()
    y = write(net, x)
    chain = net.chain(y)
    value, slope = torch_value_and_slope(WRITTEN_OUT[write], X)
    assert (chain.source, chain.output) == (x, y)
    np.testing.assert_allclose(chain(X), value, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(chain.derivative(X), slope, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("write", "name"),
    [(gelu_by_hand, "gelu"), (mish_by_hand, "mish"), (sigmoid_by_hand, "sigmoid")],
)
def test_a_nonlinearity_written_out_has_the_zones_of_its_name(write, name):
    net = Network()
    chain = net.chain(write(net, net.leaf()))
    attributes = {"approximate": "tanh"} if name == "gelu" else {}
    entry = OPERATORS[name]
    found = zones(chain, chain.derivative, chain.kinks())
    named = zones(
        lambda x: entry.phi(input=x, **attributes), lambda x: entry.partials["input"](input=x, **attributes), ()
    )
    np.testing.assert_allclose(found.flat, named.flat, rtol=1e-8)
    np.testing.assert_allclose(found.off, named.off, rtol=1e-8)


def test_zones_of_a_soft_cap_a_squared_relu_and_a_shifted_relu():
    ends = {soft_cap: 50 * np.arctanh(np.sqrt(0.95)), squared_relu: 0.0, shifted_relu: 0.3}
    for write, end in ends.items():
        net = Network()
        chain = net.chain(write(net, net.leaf()))
        found = zones(chain, chain.derivative, chain.kinks())
        assert min(abs(abs(each) - end) for interval in found.flat for each in interval) < 1e-7
        assert bool(found.off) == (write is not soft_cap)


@pytest.mark.parametrize(
    ("write", "kinks"),
    [
        (leaky_by_maximum, [0.0]),
        (shifted_relu, [0.3]),
        (clamp_sum, [-1.5, 0.5]),
        (quick_gelu, []),
        (squared_relu, [0.0]),
    ],
)
def test_kinks_are_where_the_inner_value_meets_them(write, kinks):
    net = Network()
    found = net.chain(write(net, net.leaf())).kinks()
    assert len(found) == len(kinks)
    assert (0.0 in found) == (0.0 in kinks)
    np.testing.assert_allclose(found, kinks, rtol=1e-10, atol=0)


UNARY = [
    "tanh",
    "sigmoid",
    "sin",
    "cos",
    "atan",
    "erf",
    "silu",
    "gelu",
    "softplus",
    "relu",
    "elu",
    "softsign",
    "absolute",
]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "logaddexp"]


@pytest.mark.parametrize("seed", range(24))
def test_the_derivative_of_a_random_chain_is_autograds(seed):
    """A random directed graph of operators on one input; the last value depends on all that was drawn before it."""
    rng = np.random.default_rng(seed)
    net = Network()
    x = net.leaf()
    points = torch.tensor(rng.normal(0, 2, 200), requires_grad=True)
    sites, values = [x], [points]
    for _ in range(rng.integers(4, 14)):
        kind, op = rng.integers(3), str(rng.choice(UNARY))
        first, second = rng.integers(len(sites)), -1
        if kind == 0:
            sites.append(net(op, sites[first]))
            values.append(torch_unary(op)(values[first]))
        elif kind == 1:
            op, scalar = str(rng.choice(["add", "multiply", "subtract"])), float(rng.normal())
            sites.append(net(op, sites[first], other=scalar))
            values.append(getattr(torch, NATIVE.get(op, op))(values[first], scalar))
        else:
            op = str(rng.choice(BINARY))
            sites.append(net(op, sites[first], sites[second]))
            values.append(getattr(torch, NATIVE.get(op, op))(values[first], values[second]))
    total, result = sites[0], values[0]
    for site, value in zip(sites[1:], values[1:], strict=True):
        total, result = net("add", total, site), result + value
    final = net("tanh", total)
    chain = net.chain(final)
    result = torch.tanh(result)
    (slope,) = torch.autograd.grad(result.sum(), points)
    points = points.detach().numpy()
    np.testing.assert_allclose(chain(points), result.detach().numpy(), rtol=1e-9, atol=1e-11)
    smooth = np.isfinite(slope.numpy())
    assert smooth.sum() > 150
    np.testing.assert_allclose(chain.derivative(points)[smooth], slope.numpy()[smooth], rtol=1e-8, atol=1e-9)


def torch_unary(op):
    return getattr(F, op, None) or getattr(torch, NATIVE.get(op, op))


@pytest.mark.parametrize("name", [name for name in OPERATORS if OPERATORS[name].required == {"input"}])
def test_a_named_activation_is_a_chain_unless_it_is_affine(name):
    net = Network()
    found = net.chains(net(name, net.leaf()))
    if name == "negative":
        assert found == ()
        return
    (chain,) = found
    assert chain.expression == f"{name}(x)"
    x = np.array([0.3, 0.7])
    assert np.array_equal(chain(x), OPERATORS[name].phi(input=x))
    assert np.array_equal(chain.derivative(x), np.broadcast_to(OPERATORS[name].partials["input"](input=x), x.shape))
    assert chain.kinks() == pytest.approx(OPERATORS[name].kinks(), abs=1e-9)


def test_a_product_of_two_tensors_ends_a_chain():
    """SwiGLU: silu(gate) * up."""
    net = Network()
    gate, up = net.leaf(name="gate"), net.leaf(name="up")
    silu = net("silu", gate)
    chain = net.chain(net("multiply", silu, up))
    assert (chain.source, chain.output, chain.expression) == (gate, silu, "silu(x)")


def test_the_gates_of_a_recurrent_cell():
    """LSTM: the new state is f * c + i * g, which feeds a tanh; four gates, and the tanh of the state."""
    net = Network()
    parts = [net.leaf(name=name) for name in "ifgo"]
    state = net.leaf(name="c")
    i, f, g, o = (net("tanh" if name == "g" else "sigmoid", part) for name, part in zip("ifgo", parts, strict=True))
    new = net("add", net("multiply", f, state), net("multiply", i, g))
    out = net("multiply", o, net("tanh", new))
    found = net.chains(out, new)
    assert [(chain.source, chain.expression) for chain in found] == [
        (parts[0], "sigmoid(x)"),
        (parts[1], "sigmoid(x)"),
        (parts[2], "tanh(x)"),
        (parts[3], "sigmoid(x)"),
        (new, "tanh(x)"),
    ]


def test_every_value_that_is_read_outside_is_an_output():
    net = Network()
    x = net.leaf()
    t = net("tanh", x)
    r = net("relu", t)
    s = net("square", r)
    read = net("softmax", r)
    found = net.chains(t, read)
    assert [(chain.source, chain.output) for chain in found] == [(x, t), (x, r), (x, s)]
    assert [len(chain.nodes) for chain in found] == [1, 2, 3]


def test_a_loss_ends_a_chain():
    net = Network(shape=())
    x = net.leaf()
    loss = net("square", x)
    doubled = net("multiply", loss, other=2.0)
    assert [chain.output for chain in net.chains(doubled, loss=loss)] == [loss, doubled]


def test_an_operator_without_an_entry_cuts():
    net = Network()
    x = net.leaf()
    middle = net("dropout", net("relu", x))
    final = net("tanh", middle)
    assert [(chain.source, chain.expression) for chain in net.chains(final)] == [(x, "relu(x)"), (middle, "tanh(x)")]


@pytest.mark.parametrize("identity", ["cast", "clone", "alias", "detach"])
def test_identities_are_followed_and_not_shown(identity):
    net = Network()
    x = net.leaf()
    chain = net.chain(net("tanh", net(identity, net("relu", net(identity, x, dtype="bfloat16")))))
    assert (chain.source, chain.expression) == (x, "tanh(relu(x))")
    assert np.array_equal(chain.derivative(X), np.where(X > 0, 1 / np.cosh(X) ** 2, 0.0))


def test_a_cast_to_integers_and_a_broadcast_cut():
    net = Network()
    x = net.leaf()
    rounded = net("cast", net("relu", x), dtype="int64")
    back = net("cast", rounded)
    row = net.builder.leaf("row", (3,), "float32", Role.INPUT)
    wide = net("exp", net("add", row, other=1.0, shape=SHAPE))
    sources = {chain.source for chain in net.chains(net("tanh", back), wide)}
    assert x in sources
    assert back in sources
    assert row not in sources


def test_affine_chains_and_those_of_constants_are_left_out():
    net = Network()
    x, table = net.leaf(), net.leaf(Role.BUFFER, "table")
    affine = net("add", net("multiply", net("subtract", x, x), other=3.0), x, alpha=2)
    assert net.chains(net("negative", net("divide", affine, other=7.0)), net("cos", net("add", table, other=1.0))) == ()


@pytest.mark.parametrize(
    ("op", "attributes", "nonlinear"),
    [
        ("divide", {"other": 2.0}, False),
        ("divide", {"other": 2.0, "rounding_mode": "floor"}, True),
        ("multiply", {"other": 2.0}, False),
        ("addcmul", {"tensor1": 2.0, "tensor2": 3.0}, False),
        ("lerp", {"end": 2.0, "weight": 3.0}, False),
        ("clamp", {"min": -1e6}, True),
        ("power", {"exponent": 2}, True),
    ],
)
def test_nonlinear_is_nonlinear(op, attributes, nonlinear):
    net = Network()
    assert bool(net.chains(net(op, net.leaf(), **attributes))) == nonlinear


def test_a_product_with_itself_is_nonlinear_and_a_sum_is_not():
    net = Network()
    x = net.leaf()
    (chain,) = net.chains(net("multiply", x, x), net("add", x, x))
    assert chain.expression == "multiply(x, x)"
    assert np.array_equal(chain.derivative(X), 2 * X)


def test_a_parameter_or_a_missing_number_as_operand_cuts():
    net = Network()
    x, weight = net.leaf(), net.leaf(Role.PARAMETER, "weight")
    scaled = net("multiply", x, weight)
    unknown = net("maximum", x)
    found = net.chains(net("tanh", scaled), net("tanh", unknown))
    assert [chain.source for chain in found] == [scaled, unknown]


def test_two_tensors_under_one_name_cut():
    net = Network()
    x, spec = net.leaf(), [(SHAPE, "float32", True)]
    t = net("tanh", x)
    (both,) = net.builder.node("maximum", "max", [("input", x), ("input", t)], spec, attributes={"other": 0.0})
    assert [chain.output for chain in net.chains(both)] == [t]


def test_expressions_show_what_matters():
    net = Network()
    x = net.leaf()
    found = net.chains(net("gelu", x, approximate="tanh"), net("softplus", x, beta=1), net("power", x, exponent=3.0))
    assert [chain.expression for chain in found] == ["gelu(x, approximate=tanh)", "softplus(x)", "power(x, 3)"]


def test_a_long_expression_is_shortened_and_a_nested_one_takes_no_time():
    net = Network()
    x = net.leaf()
    for _ in range(100):  # written out in full it would have 2^100 terms
        x = net("multiply", net("tanh", x), x)
    expression = net.chain(x).expression
    assert len(expression) <= 80
    assert expression.startswith("multiply(tanh(")
    assert "…" in expression


def test_cost_is_linear_in_the_number_of_nodes():
    """A sequence, layers side by side, and a sequence of which every value is also read outside."""
    calls = {}
    for size in (2_500, 5_000, 10_000):
        graph = many_layers(size)
        profile = cProfile.Profile()  # counts of calls: time without the noise
        found = profile.runcall(chains, graph)
        calls[size] = pstats.Stats(profile).total_calls
        assert len(found) == size // 4
    assert (calls[10_000] - calls[5_000]) / 5_000 < 1.1 * (calls[5_000] - calls[2_500]) / 2_500


def many_layers(size):
    net = Network()
    x = net.leaf()
    for _ in range(size // 4):
        x = net("linear", quick_gelu(net, x))
    return net.builder.finish(outputs=[x])


def test_a_very_long_sequence_is_cut_and_still_computed_right():
    net = Network()
    first = x = net.leaf()
    outside = []
    for _ in range(2 * LONGEST):
        x = net("tanh", x)
        outside.append(net("softmax", x))
    found = net.chains(*outside)
    assert len(found) == 2 * LONGEST
    assert max(len(chain.nodes) for chain in found) == LONGEST
    assert {chain.source for chain in found} == {first, found[LONGEST - 1].output}


def test_an_operator_made_of_nodes_alone_is_a_chain_too():
    net = Network()
    x = net.leaf()
    y = net("relu", x)
    graph = net.builder.finish(outputs=[y])
    assert chains(graph) == (Chain(x, y, graph.nodes),)

"""Laws of the fallback: what is sampled is what a rule, a closed form or a direct computation says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import special

from justright.adapters.base import load_adapter
from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call, Unpredictable
from justright.propagation import sampling
from justright.propagation.constants import Constants
from justright.propagation.fallback import Fallback
from justright.propagation.leaves import leaf_signals
from justright.propagation.sweep import sweep

torch = pytest.importorskip("torch")
nn = torch.nn
ADAPTER = load_adapter("torch")


class Middle(nn.Module):
    """A function between two linear layers."""

    def __init__(self, function, width=48):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(width, width), nn.Linear(width, 8), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def swept(model, batch, without=()):
    with ADAPTER.recording_initializers():
        job = ADAPTER.prepare(model, batch)
    graph = ADAPTER.trace(job)
    leaves = leaf_signals(graph, ADAPTER.arrays(job))
    fallback = Fallback(graph, ADAPTER.apply)
    return graph, sweep(graph, leaves, Constants(graph, graph.known), without=frozenset(without), fallback=fallback)


def call_of(function, shapes, second=1.0):
    """One call of the framework with independent operands, and what samples it."""

    class Program(nn.Module):
        def __init__(self):
            super().__init__()
            self.drawn = nn.ParameterList(torch.zeros(shape, device="meta") for shape in shapes)

        def forward(self, _batch):
            return function(*self.drawn)

    graph = ADAPTER.trace(ADAPTER.prepare(Program(), torch.zeros(1)))
    node = graph.nodes[0]
    sources = {each.site: signal(Source(Moments.independent(graph.sites[each.site].shape, 0.0, second)))
               for each in node.operands}  # fmt: skip
    known = Constants(graph, graph.known)
    call = Call(
        node,
        tuple(sources[each.site] for each in node.operands),
        tuple(graph.sites[each.site].shape for each in node.operands),
        tuple(graph.sites[site].shape for site in node.outputs),
        tuple(partial(known, each.site) for each in node.operands),
    )
    return call, Fallback(graph, ADAPTER.apply)


def test_a_network_without_rules_is_predicted_as_with_them():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm, self.b = nn.Linear(48, 64), nn.LayerNorm(64), nn.Linear(64, 8)

        def forward(self, x):
            return self.b(torch.tanh(self.norm(self.a(x))).view(4, 8, 64).mean(1)).softmax(-1)

    torch.manual_seed(0)
    model, batch = Net(), torch.randn(32, 48)
    graph, by_rules = swept(model, batch)
    off = {"linear", "tanh", "layer_norm", "softmax", "mean"}
    _, sampled = swept(model, batch, off)
    assert {graph.nodes[index].op for index in sampled.sampled} >= off
    assert not by_rules.failed
    assert not sampled.failed
    assert not sampled.failed_backward
    for way in ("forward", "gradient"):
        one, other = getattr(by_rules, way), getattr(sampled, way)
        for site in graph.floating_sites():
            if site.index in one:
                a, b = (getattr(each[site.index], "moments", each[site.index]).rms for each in (one, other))
                assert a == pytest.approx(b, rel=0.06), (way, site.name)


def test_what_is_sampled_is_numerical_and_the_same_every_time():
    call, fallback = call_of(torch.cdist, [(6, 32), (9, 32)])
    state = torch.get_rng_state()
    first, second = fallback.forward(call)[0], fallback.forward(call)[0]
    assert torch.equal(state, torch.get_rng_state())
    assert first.provenance is Provenance.NUMERICAL
    assert np.array_equal(first.moments.pairs, second.moments.pairs)
    assert first.moments.second_moment == pytest.approx(64.0, rel=0.03)  # E |x - y|² = 2 d
    assert 0.0 < fallback.errors[call.node.index] < 0.02


def test_operands_of_one_source_are_dependent():
    call, fallback = call_of(torch.mul, [(64, 64), (64, 64)])
    independent = fallback.forward(call)[0].moments.second_moment
    one = call.signals[0]
    same = Call(call.node, (one, one), call.shapes, call.outputs, call.known)
    assert independent == pytest.approx(1.0, rel=0.05)
    assert fallback.forward(same)[0].moments.second_moment == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize(("function", "shapes", "free"), [
    (lambda x: x.softmax(-1), [(64, 96, 256)], 2),
    (lambda x: x.cumsum(1), [(64, 96, 256)], 2),
    (lambda x: x.transpose(0, 1) * 1.0, [(2048, 1024)], 2),
])  # fmt: skip
def test_large_tensors_are_shortened_where_every_element_is_for_itself(function, shapes, free, monkeypatch):
    call, fallback = call_of(function, shapes)
    plan = fallback._planned(call)
    assert len(plan.labels) <= free
    assert plan.labels
    gradient = [Moments.independent(call.outputs[0], 0.1, 1.0)]
    short = fallback.forward(call)[0].moments, fallback.backward(call, gradient)[0]
    monkeypatch.setattr(sampling, "LARGE", 2**30)
    assert not fallback._planned(call).labels
    whole = fallback.forward(call)[0].moments, fallback.backward(call, gradient)[0]
    for one, other in zip(short, whole, strict=True):
        assert one.shape == other.shape
        assert np.allclose(one.pairs, other.pairs, rtol=0.02, atol=0.02 * other.second_moment)


def test_gradients_that_sum_over_a_shortened_dimension_are_those_of_the_whole():
    call, fallback = call_of(torch.mm, [(8192, 192), (192, 160)])
    gradient = Moments.independent(call.outputs[0], 0.0, 1.0)
    shared = gradient.with_values(gradient.mean, gradient.pairs + 0.01)  # the mean product of two rows counts n times
    exact = RULES["matmul"].backward(call, [None], [shared])
    sampled = fallback.by_name(call, [shared])
    assert fallback._planned(call).labels
    for name in ("mat1", "mat2"):
        found = sampled[name][0]
        assert found.second_moment == pytest.approx(exact[name].second_moment, rel=0.06), name


def test_a_softmax_is_never_shortened_along_itself():
    call, fallback = call_of(lambda x: x.softmax(-1), [(4, 2**19)])
    dims = [dim for places, _, _ in fallback._planned(call).labels for _, dim in places]
    assert 1 not in dims


def test_an_unknown_elementwise_function_is_integrated():
    torch.manual_seed(0)
    model = Middle(torch.special.i0)
    graph, found = swept(model, torch.randn(16, 48))
    node = next(node for node in graph.nodes if node.native == "aten.i0.default")
    q = found.forward[node.operands[0].site].moments.second_moment
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    u, weights = np.sqrt(q) * nodes, weights / weights.sum()
    assert not found.sampled
    assert found.forward[node.outputs[0]].moments.second_moment == pytest.approx(weights @ special.i0(u) ** 2, rel=1e-9)
    ratio = found.gradient[node.operands[0].site].second_moment / found.gradient[node.outputs[0]].second_moment
    assert ratio == pytest.approx(weights @ special.i1(u) ** 2, rel=1e-6)


def test_a_function_without_a_value_on_part_of_the_line_is_told_where():
    graph, found = swept(Middle(torch.log), torch.randn(16, 48))
    at = next(node.index for node in graph.nodes if node.op == "log")
    assert "not finite where what it reads is below" in found.failed[at]
    assert "(0.4" in found.failed[at] or "(0.5" in found.failed[at]


def test_a_backward_of_the_programs_own_is_told():
    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(_context, x):
            return torch.sign(x) * 0.5

        @staticmethod
        def backward(_context, gradient):
            return gradient

    _, found = swept(Middle(Straight.apply), torch.randn(16, 48))
    assert any("a backward of the program's own" in reason for reason in found.failed_backward.values())


def test_an_operator_that_does_not_run_alone_is_told_with_its_reason():
    call, fallback = call_of(lambda x: x.softmax(-1), [(6, 6)])
    node = replace(call.node, attributes={**call.attributes, "dim": 7})
    with pytest.raises(Unpredictable, match="does not run alone: IndexError: Dimension out of range"):
        fallback.forward(replace(call, node=node))


def test_what_is_not_finite_is_told_with_its_share():
    call, fallback = call_of(torch.xlogy, [(64, 64), (64, 64)])
    with pytest.raises(Unpredictable, match=r"(49|50|51)\.\d+% of what it gives is not finite"):
        fallback.forward(call)


def test_random_calls_of_the_program_are_within_their_bounds():
    """The direction that stands in for a loss is made of random bits: plus and minus one."""
    graph, found = swept(Middle(torch.tanh), torch.randn(16, 48))
    signs = next(node for node in graph.nodes if node.op == "subtract").outputs[0]
    assert found.forward[signs].moments.second_moment == pytest.approx(1.0, rel=0.02)
    assert abs(found.forward[signs].moments.average_mean) < 0.1

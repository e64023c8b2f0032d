"""The law of moment rules: what a rule predicts is what the framework's operator does to samples.

Every rule and every elementwise entry stands in a table of example calls, as PyTorch code. Each call is traced; its
operands are drawn with moments of several kinds, with means and with correlations along every subset of the axes; the
real operator runs on them, forward and backward; and the moments of what comes out are compared with the rule's, case
by case, within standard errors of the average over draws and what the example allows a rule that is an approximation.

To add an example of a new rule, add one line to `CALLS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from justright.adapters.base import load_adapter
from justright.core.draws import draw, observed_as
from justright.core.moments import Moments
from justright.core.signals import Signal, signal
from justright.core.sources import Source
from justright.ops.base import OPERATORS
from justright.ops.rule import RULES, Call, Sloped, Unpredictable
from justright.propagation import pointwise
from justright.propagation.constants import Constants
from justright.propagation.leaves import leaf_signals
from justright.propagation.operands import drawn_operands
from justright.propagation.sweep import sweep

torch = pytest.importorskip("torch")
F = torch.nn.functional
ERRORS = 5.0  # standard errors; some ten thousand comparisons, of which half a thousandth of one would fail by chance
DRAWS = 160
KINDS = ("plain", "shifted", "correlated")


@dataclass(frozen=True)
class Example:
    """One call, its operands' shapes, and what a rule may be wrong by.

    Parameters
    ----------
    call
        From parameters, then known tensors, to the output.
    shapes
        Shapes of the parameters.
    known
        Integers, masks and constants.
    slack
        Allowed error of a rule, relative to the second moment: of the order of one over the width for rules that are
        right for wide layers.
    back
        The same for gradients.
    mean, spread
        Mean and standard deviation of the operands.
    kinds
        Kinds of moments that are tried; the first in the quick test.
    dtype
        Of the output's gradient: whether there is one.
    """

    call: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    known: tuple[Any, ...] = ()
    slack: float = 0.02
    back: float = 0.02
    mean: float = 0.4
    spread: float = 1.0
    kinds: tuple[str, ...] = KINDS
    gradient: bool = True


def of(call, *shapes, **options):
    return Example(call, shapes, **options)


INDEX = np.random.default_rng(0).integers(0, 12, (5, 7))
CLASSES = np.random.default_rng(1).integers(0, 24, (16,))
CAUSAL = np.tril(np.ones((12, 12), bool))
GROUP = (torch.ones(1),)

CALLS: dict[str, list[Example]] = {
    # products with a matrix
    "linear": [of(torch.addmm, (30,), (12, 40), (40, 30))],
    "matmul": [of(torch.mm, (12, 40), (40, 30)), of(torch.mv, (12, 40), (40,))],
    "batched_matmul": [of(torch.bmm, (4, 12, 40), (4, 40, 30))],
    "batched_linear": [of(lambda b, x, w: torch.baddbmm(b, x, w, alpha=0.5), (4, 12, 30), (4, 12, 40), (4, 40, 30))],
    "dot": [of(torch.dot, (60,), (60,))],
    "bilinear": [of(F.bilinear, (12, 20), (12, 16), (10, 20, 16))],
    "distance": [of(torch.cdist, (10, 64), (12, 64), slack=0.04, back=0.06)],
    # views
    "view": [of(lambda x: x.view(4, 30), (4, 5, 6))],
    "transpose": [of(lambda x: x.transpose(0, 2), (4, 5, 6))],
    "permute": [of(lambda x: x.permute(2, 0, 1), (4, 5, 6))],
    "squeeze": [of(lambda x: x.squeeze(1), (4, 1, 6))],
    "unsqueeze": [of(lambda x: x.unsqueeze(1), (4, 6))],
    "clone": [of(lambda x: x.clone(), (4, 6))],
    "alias": [of(torch.ops.aten.alias, (4, 6))],
    "cast": [of(lambda x: x.double(), (4, 6))],
    "expand": [of(lambda x: x.expand(5, 4, 6), (4, 6)), of(lambda x: x.expand(5, 4, 6), (4, 1))],
    "flip": [of(lambda x: x.flip(1), (4, 6, 3))],
    "roll": [of(lambda x: x.roll(2, 1), (4, 6, 3))],
    "pixel_shuffle": [of(lambda x: F.pixel_shuffle(x, 2), (3, 8, 4, 4))],
    "pixel_unshuffle": [of(lambda x: F.pixel_unshuffle(x, 2), (3, 2, 6, 6))],
    "unfold": [of(lambda x: x.unfold(1, 3, 1), (4, 10)), of(lambda x: F.unfold(x, 3, padding=1), (3, 4, 6, 6))],
    "fold": [of(lambda x: F.fold(x, (6, 6), 2, stride=2), (3, 8, 9))],
    # selections
    "slice": [of(lambda x: x[:, 1:5], (4, 8, 3))],
    "select": [of(lambda x: x.select(1, 2), (4, 8, 3))],
    "split": [of(lambda x: torch.cat([2 * x.split(3, 1)[0], x.split(3, 1)[1]], 1), (4, 6))],
    "unbind": [of(lambda x: x.unbind(1)[1] * x.unbind(1)[0], (4, 3, 5))],
    "index": [of(lambda x, i: x[:, i], (3, 12, 4), known=(INDEX,))],
    "index_select": [of(lambda x, i: x.index_select(1, i), (3, 12, 4), known=(INDEX[0],))],
    "gather": [of(lambda x, i: x.gather(1, i), (5, 12), known=(INDEX,))],
    "take": [of(lambda x, i: x.take(i), (4, 6), known=(np.arange(24).reshape(6, 4)[:, 1:3],))],
    "tril": [of(lambda x: x.tril(), (8, 8))],
    "triu": [of(lambda x: x.triu(1), (8, 8))],
    "pad": [of(lambda x: F.pad(x, (1, 2)), (4, 3, 9)), of(lambda x: F.pad(x, (2, 2), mode="reflect"), (4, 3, 9))],
    "repeat": [of(lambda x: x.repeat(2, 3), (4, 6))],
    "strided_view": [of(lambda x: x.as_strided((6, 3), (1, 1)), (8,))],
    "diagonal": [of(lambda x: x.diagonal(0, 1, 2), (5, 6, 6))],
    "scatter": [of(lambda x, s, i: x.scatter(1, i, s), (5, 12), (5, 2), known=(INDEX[:, :2] // 6 + np.array([0, 6]),))],
    "slice_scatter": [of(lambda x, s: x.slice_scatter(s, 1, 2, 5), (4, 8), (4, 3))],
    "select_scatter": [of(lambda x, s: x.select_scatter(s, 1, 2), (4, 8), (4,))],
    "resample": [
        of(lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), (3, 4, 5, 5)),
        of(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (3, 4, 5, 5)),
    ],
    # joins
    "concatenate": [of(lambda x, y: torch.cat([x, y], 1), (4, 6), (4, 3))],
    "stack": [of(lambda x, y: torch.ops.aten.stack([x, y], 1), (4, 6), (4, 6))],
    "scatter_add": [of(lambda x, s, i: x.scatter_add(1, i, s), (5, 12), (5, 7), known=(INDEX,))],
    "index_put": [of(lambda x, v, i: x.index_put((i,), v), (12, 4), (3, 4), known=(np.array([1, 4, 7]),))],
    "index_add": [of(lambda x, v, i: x.index_add(0, i, v), (12, 4), (3, 4), known=(np.array([1, 4, 7]),))],
    # reductions and scans
    "sum": [of(lambda x: x.sum(1), (6, 20)), of(lambda x: x.sum(), (6, 20))],
    "mean": [of(lambda x: x.mean((0, 2)), (6, 5, 20)), of(lambda x: x.mean(-1, keepdim=True), (6, 20))],
    "variance": [of(lambda x: x.var(-1), (6, 60), slack=0.05, back=0.06)],
    "standard_deviation": [of(lambda x: x.std(-1), (6, 60), slack=0.04, back=0.06)],
    "norm": [of(lambda x: torch.linalg.vector_norm(x, dim=-1), (6, 60), slack=0.04, back=0.06,
                kinds=KINDS[:2])],  # a sum of squares with a shared effect is far from Gaussian
    "amax": [of(lambda x: x.amax(-1), (6, 20), slack=0.03)],
    "amin": [of(lambda x: x.amin(-1), (6, 20), slack=0.03)],
    "max": [of(lambda x: x.max(-1)[0], (6, 20), slack=0.03)],
    "min": [of(lambda x: x.min(-1)[0], (6, 20), slack=0.03)],
    "logsumexp": [of(lambda x: x.logsumexp(-1), (6, 40), slack=0.03, back=0.1)],
    "product": [of(lambda x: x.prod(-1), (6, 4), mean=1.0, spread=0.3)],
    "median": [of(lambda x: x.median(-1)[0], (6, 21), slack=0.03)],
    "cumulative_sum": [of(lambda x: x.cumsum(1), (4, 8))],
    "cumulative_product": [of(lambda x: x.cumprod(1), (4, 6), mean=1.0, spread=0.2)],
    "logcumsumexp": [of(lambda x: x.logcumsumexp(1), (4, 8), slack=0.1, back=0.3)],
    "sort": [of(lambda x: x.sort(-1)[0], (6, 12), slack=0.04, back=0.06)],
    "top_k": [of(lambda x: x.topk(3, -1)[0], (6, 12), slack=0.04, back=0.06)],
    # convolution and pooling
    "convolution": [
        of(lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), (3, 8, 7, 7), (10, 8, 3, 3), (10,)),
        of(lambda x, w: F.conv1d(x, w, dilation=2, groups=4), (3, 8, 11), (12, 2, 3)),
        of(lambda x, w: F.conv2d(x, w, padding=1, groups=6), (3, 6, 5, 5), (6, 1, 3, 3)),
    ],
    "transposed_convolution": [
        of(lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1), (3, 8, 4, 4), (8, 6, 4, 4))
    ],
    "average_pool": [of(lambda x: F.avg_pool2d(x, 2), (3, 4, 6, 6))],
    "adaptive_average_pool": [of(lambda x: F.adaptive_avg_pool2d(x, (2, 2)), (3, 4, 6, 6))],
    "max_pool": [
        of(lambda x: F.max_pool2d(x, 2), (3, 4, 6, 6), slack=0.04),
        of(lambda x: F.max_pool2d(x, 3, 2, 1), (3, 4, 7, 7), slack=0.06, back=0.1),
    ],
    "adaptive_max_pool": [of(lambda x: F.adaptive_max_pool2d(x, (2, 2)), (3, 4, 6, 6), slack=0.04)],
    # normalization
    "layer_norm": [of(lambda x, w, b: F.layer_norm(x, (64,), w, b), (6, 64), (64,), (64,), slack=0.05, back=0.1)],
    "batch_norm": [
        of(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (40, 8), (8,), (8,), slack=0.05, back=0.1)
    ],
    "group_norm": [
        of(lambda x, w, b: F.group_norm(x, 4, w, b), (4, 16, 5, 5), (16,), (16,), slack=0.05, back=0.1)
    ],
    "weight_norm": [of(lambda v, g: torch._weight_norm(v, g, 0), (10, 60), (10, 1), slack=0.05, back=0.1)],
    # softmax and losses
    "softmax": [
        of(lambda x: x.softmax(-1), (4, 6, 32), slack=0.05, back=0.12),
        of(lambda x, m: x.masked_fill(~m, -torch.inf).softmax(-1), (4, 12, 12), known=(CAUSAL,), slack=0.05, back=0.15),
    ],
    "log_softmax": [of(lambda x: x.log_softmax(-1), (6, 32), slack=0.03, back=0.1)],
    "nll_loss": [of(F.nll_loss, (16, 24), known=(CLASSES,))],
    "mse_loss": [of(F.mse_loss, (6, 20), (6, 20), slack=0.03)],
    "smooth_l1_loss": [of(F.smooth_l1_loss, (6, 20), (6, 20), slack=0.03, back=0.04)],
    "huber_loss": [of(F.huber_loss, (6, 20), (6, 20), slack=0.03, back=0.04)],
    "binary_cross_entropy": [
        of(lambda x, t: F.binary_cross_entropy(x.sigmoid(), t), (6, 20), known=(np.full((6, 20), 0.3),),
           slack=0.04, back=0.06)
    ],
    "binary_cross_entropy_with_logits": [
        of(torch.ops.aten.binary_cross_entropy_with_logits, (6, 20), known=(np.full((6, 20), 0.3),),
           slack=0.03, back=0.05)
    ],
    "soft_margin_loss": [
        of(F.soft_margin_loss, (6, 20), known=(np.ones((6, 20)),), slack=0.03, back=0.05)
    ],
    # look-up and noise
    "embedding": [of(lambda w, i: F.embedding(i, w), (12, 16), known=(INDEX,))],
    "embedding_bag": [of(lambda w, i: F.embedding_bag(i, w, mode="sum"), (12, 16), known=(INDEX,))],
    "dropout": [of(lambda x: torch.native_dropout(x, 0.3, True)[0], (6, 20))],
    "random_normal": [of(lambda x: x + torch.randn_like(x), (6, 20))],
    "random_uniform": [of(lambda x: x + torch.rand_like(x), (6, 20))],
    "random_bernoulli": [of(lambda x: x + torch.bernoulli(x.detach(), p=0.3), (6, 20))],
    "random_exponential": [of(lambda x: x + torch.empty_like(x).exponential_(2.0), (6, 20))],
    "zeros": [of(lambda x: x + torch.zeros_like(x), (6, 20))],
    "ones": [of(lambda x: x + torch.ones_like(x), (6, 20))],
    "full": [of(lambda x: x + torch.full_like(x, 0.5), (6, 20))],
    "scalar": [of(lambda x: x + torch.scalar_tensor(0.5), (6, 20))],
}  # fmt: skip
"""Example calls of every rule."""

WHY_NONE: dict[str, str] = {
    "grouped_matmul": "its operands are rows sorted by data",
    "detach": "its output has no gradient, and is the input",
    "empty": "its values are whatever the memory holds",
    **dict.fromkeys(
        ("compare", "logical", "random_integers"), "its outputs are integers or booleans, which are no signals"
    ),
    **dict.fromkeys(
        ("celu", "relu6", "selu", "softsign", "square", "tanhshrink", "chunk", "l1_loss", "outer", "rms_norm"),
        "PyTorch makes it of calls that have other names",
    ),
    "written_through_view": "is inserted by the tracer, and no call of the framework",
}
"""Rules without an example."""

DOMAINS = {  # mean and standard deviation of the operand, where the function is not defined everywhere
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal", "lgamma", "digamma"), (3.0, 0.25)),
    **dict.fromkeys(("asin", "acos", "erfinv"), (0.1, 0.12)),
    "log1p": (1.0, 0.15),
    "logit": (0.5, 0.05),
    "tan": (0.2, 0.15),
}
BINARY = {
    "add": lambda x, y: torch.add(x, y, alpha=0.5),
    "subtract": torch.sub,
    "reverse_subtract": lambda x, y: torch.rsub(x, y, alpha=2.0),
    "multiply": torch.mul,
    "divide": lambda x, y: x / (2.0 + y * y),
    "power": lambda x: torch.pow(x, 3),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "atan2": lambda x, y: torch.atan2(y, x * x + 1.0),
    "hypot": lambda x, y: torch.hypot(x + 3.0, y),
    "logaddexp": torch.logaddexp,
    "lerp": lambda x, y: torch.lerp(x, y, 0.3),
    "copysign": torch.copysign,
    "xlogy": lambda x, y: torch.xlogy(x, y * y + 1.0),
}
MASK = np.random.default_rng(3).random((6, 16)) < 0.4
CALLS |= {
    "prelu": [of(F.prelu, (6, 16), (16,))],
    "where": [of(lambda x, y, m: torch.where(m, x, y), (6, 16), (6, 16), known=(MASK,))],
    "masked_fill": [of(lambda x, m: x.masked_fill(m, 0.5), (6, 16), known=(MASK,))],
    "addcmul": [of(lambda x, y, z: torch.addcmul(x, y, z, value=0.5), (6, 16), (6, 16), (6, 16))],
    "addcdiv": [of(lambda x, y, z: torch.addcdiv(x, y, z * z + 2.0, value=0.5), (6, 16), (6, 16), (6, 16))],
    "remainder": [of(lambda x: torch.remainder(x, 0.7), (6, 16))],
    "floor_divide": [of(lambda x: torch.floor_divide(x, 0.7), (6, 16), gradient=False)],
    "clamp": [of(lambda x: x.clamp(-1.0, 0.5), (6, 16))],
    "clamp_min": [of(lambda x: x.clamp_min(0.1), (6, 16))],
    "clamp_max": [of(lambda x: x.clamp_max(0.1), (6, 16))],
    "threshold": [of(lambda x: F.threshold(x, 0.2, -1.0), (6, 16))],
}
WHY_NONE["square_difference"] = "PyTorch has no such call"


def unary(name):
    """Return the framework's call of an elementwise operator of one operand."""
    native = {"absolute": "abs", "negative": "neg", "log_ndtr": "special_log_ndtr"}.get(name, name)
    if hasattr(torch.ops.aten, native) and name not in {"relu6", "celu", "selu"}:
        return getattr(torch.ops.aten, native)
    return getattr(F, name, None)


for _name in OPERATORS:
    if _name in CALLS or _name in WHY_NONE:
        continue
    if _name in BINARY:
        _shapes = ((6, 16),) if _name == "power" else ((6, 16), (16,))
        CALLS[_name] = [of(BINARY[_name], *_shapes)]
    elif OPERATORS[_name].required <= {"input"}:
        _mean, _spread = DOMAINS.get(_name, (0.4, 1.0))
        CALLS[_name] = [of(unary(_name), (6, 16), mean=_mean, spread=_spread)]


class Program(torch.nn.Module):
    """A call as a model: what is drawn are its parameters, what is known its buffers."""

    def __init__(self, example):
        super().__init__()
        self.call = example.call
        self.drawn = torch.nn.ParameterList(torch.zeros(shape) for shape in example.shapes)
        self.given = []
        for at, each in enumerate(example.known):
            values = torch.as_tensor(each)
            self.register_buffer(f"given_{at}", values.float() if values.is_floating_point() else values)
            self.given.append(f"given_{at}")

    def forward(self, _batch):
        return self.call(*self.drawn, *(getattr(self, name) for name in self.given))


@cache
def traced(name, number):
    adapter = load_adapter("torch")
    job = adapter.prepare(Program(CALLS[name][number]), torch.zeros(1))
    return adapter.trace(job), list(adapter.arrays(job))


def leaf(shape, kind, mean, spread):
    """Moments of a tensor: independent elements, with a mean, or sums of an effect for every subset of the axes."""
    mean = 0.0 if kind == "plain" and mean == 0.4 else mean
    if kind != "correlated":
        return Moments.independent(shape, mean, mean**2 + spread**2)
    like = Moments.independent(shape, 0.0, 1.0)
    pairs = np.zeros(like.pairs.shape)
    subsets = list(product((0, 1), repeat=len(like.axes)))  # 1: the effect is another one along this axis
    for effect in subsets:
        share = (0.5 if all(effect) else 0.5 / max(len(subsets) - 1, 1)) if like.axes else 1.0
        shared = [np.array([1.0, 0.0 if each else 1.0]) for each in effect]
        pairs += share * spread**2 * np.asarray(_outer(shared)).reshape(pairs.shape)
    return like.with_values(np.full(like.mean.shape, mean), pairs + mean**2)


def _outer(factors):
    found = np.ones(())
    for factor in factors:
        found = np.multiply.outer(found, factor)
    return found


@dataclass
class Stand:
    """One example with its operands drawn one way."""

    name: str
    number: int
    kind: str
    example: Example = field(init=False)

    def __post_init__(self):
        self.example = CALLS[self.name][self.number]
        self.graph, arrays = traced(self.name, self.number)
        self.known = Constants(self.graph, self.graph.known)
        leaves = leaf_signals(self.graph, arrays) | {
            parameter.site: signal(Source(leaf(self.graph.sites[parameter.site].shape, self.kind, self.example.mean,
                                               self.example.spread)))
            for parameter in self.graph.parameters
        }  # fmt: skip
        self.found = sweep(self.graph, leaves, self.known)
        self.node = next(node for node in self.graph.nodes if node.op == self.name)

    @property
    def call(self):
        node, sites = self.node, self.graph.sites
        return Call(
            node,
            tuple(self.found.forward.get(each.site) for each in node.operands),
            tuple(sites[each.site].shape for each in node.operands),
            tuple(sites[site].shape for site in node.outputs),
            tuple(partial(self.known, each.site) for each in node.operands),
        )

    def gradients(self):
        """Give every output that is a signal a gradient."""
        return [
            leaf(self.graph.sites[site].shape, self.kind, 0.2, 1.0)
            if self.graph.sites[site].differentiable and self.graph.sites[site].floating else None
            for site in self.node.outputs
        ]  # fmt: skip

    def draws(self):
        adapter, rng = load_adapter("torch"), np.random.default_rng((7, self.number))
        for _ in range(DRAWS):
            operands = drawn_operands(self.graph, self.call, [{}] * len(self.node.operands), rng)
            wanted = [self.graph.sites[each.site].differentiable for each in self.node.operands]
            yield (*adapter.apply(self.node, operands, int(rng.integers(2**31)), wanted), rng)


def compare(predicted: Moments, samples: list[np.ndarray], slack: float) -> str:
    """Say where predicted moments and those of samples differ by more than their errors; nothing if nowhere."""
    each = [observed_as(sample, predicted.dims) for sample in samples]
    scale = float(np.mean([one.second_moment for one in each]))
    said = ""
    for what, unit in (("mean", max(scale, 1e-300) ** 0.5), ("pairs", scale)):
        values = np.stack([getattr(one, what) for one in each])
        error = values.std(axis=0, ddof=1) / len(values) ** 0.5
        off = np.abs(getattr(predicted, what) - values.mean(axis=0)) - slack * unit - ERRORS * error - 1e-9 * unit
        if not np.all(off <= 0):
            at = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off)), off.shape)
            place = ", ".join(map(str, at))
            said += f"{what}[{place}]: predicted {getattr(predicted, what)[at]:.5g}, "
            said += f"sampled {values.mean(axis=0)[at]:.5g} ± {error[at]:.2g}, second moment {scale:.5g}\n"
    return said


def in_lists(by_name, node):
    """Return what a rule gives by name as one entry an operand."""
    seen: dict[str, int] = {}
    found = []
    for operand in node.operands:
        at = seen.setdefault(operand.name, 0)
        seen[operand.name] += 1
        each = by_name.get(operand.name)
        if isinstance(each, Sloped):
            each = each.gradient.times(each.slope.moments)
        found.append(each if each is None or isinstance(each, Moments) else each[at])
    return found


def forward_differences(stand: Stand) -> str:
    call = stand.call
    results = (RULES[stand.name].forward if stand.name in RULES else pointwise.forward)(call)
    results = [results] if isinstance(results, Signal) else results
    samples = [outputs for outputs, _, _ in stand.draws()]
    return "".join(
        compare(result.moments, [outputs[at] for outputs in samples], stand.example.slack)
        for at, result in enumerate(results)
        if result is not None
    )


def backward_differences(stand: Stand) -> str:
    call, gradients = stand.call, stand.gradients()
    results = [stand.found.forward.get(site) for site in stand.node.outputs]
    if stand.name in RULES:
        predicted = in_lists(RULES[stand.name].backward(call, results, gradients), stand.node)
    else:
        wanted = [stand.graph.sites[each.site].differentiable for each in stand.node.operands]
        predicted = [_by_slope(call, at, gradients[0]) if want else None for at, want in enumerate(wanted)]
    samples = []
    for outputs, pull, rng in stand.draws():
        slopes = [
            None if each is None else draw(each, rng).reshape(outputs[at].shape) for at, each in enumerate(gradients)
        ]
        samples.append(pull(slopes))
    said = ""
    for at, each in enumerate(predicted):
        if not stand.graph.sites[stand.node.operands[at].site].differentiable:
            continue
        name = stand.node.operands[at].name
        if each is None:
            nothing = all(one[at] is None or not np.any(one[at]) for one in samples)
            said += "" if nothing else f"no gradient at {name!r} is predicted\n"
        else:
            found = [one[at] if one[at] is not None else np.zeros(each.shape) for one in samples]
            differs = compare(each, found, stand.example.back)
            said += f"at {name!r}: {differs}" if differs else ""
    return said


def _by_slope(call, at, gradient):
    """Multiply a gradient with an elementwise operator's derivative, and sum it over what was repeated."""
    slope = pointwise.slope(call, at).moments
    out, shape = call.outputs[0], call.shapes[at]
    product_ = gradient.times(slope)
    extra = len(out) - len(shape)
    repeated = [extra + dim for dim, length in enumerate(shape) if length == 1 and out[extra + dim] != 1]
    return product_.sum(repeated, keep=True).sum(range(extra))


CASES = [
    pytest.param(name, number, kind, id=f"{name}-{number}-{kind}",
                 marks=() if kind == "correlated" and number == 0 else pytest.mark.slow)
    for name in CALLS
    if name in RULES or name in OPERATORS
    for number, example in enumerate(CALLS[name])
    for kind in example.kinds
]  # fmt: skip


def test_every_rule_and_every_entry_has_an_example_or_a_reason():
    assert {*RULES, *OPERATORS} <= {*CALLS, *WHY_NONE}


@pytest.mark.parametrize(("name", "number", "kind"), CASES)
def test_forward_is_what_the_operator_does_to_samples(name, number, kind):
    said = _unless_sampled(forward_differences, Stand(name, number, kind))
    assert not said, said


@pytest.mark.parametrize(("name", "number", "kind"), CASES)
def test_backward_is_what_the_operators_gradient_is_on_samples(name, number, kind):
    stand = Stand(name, number, kind)
    if not any(stand.graph.sites[site].differentiable for site in stand.node.outputs) or not stand.example.gradient:
        pytest.skip("the framework has no gradient of it")
    said = _unless_sampled(backward_differences, stand)
    assert not said, said


def _unless_sampled(differences, stand):
    """Skip a call that the rule leaves to sampling, which then is no test of it."""
    try:
        return differences(stand)
    except Unpredictable as reason:
        pytest.skip(f"{stand.name} is sampled here: {reason}")

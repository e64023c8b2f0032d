"""Laws: rules of linear and bilinear operators on positions are exact, for tensors with any pairwise moments.

The oracle is the operator itself as a dense array, made by running PyTorch's on every pair of unit vectors; the second
moments of the whole tensors go through it, and are averaged over the pairs that lie alike.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from justright.adapters.base import load_adapter
from justright.core.graph import Node, Operand
from justright.core.moments import Moments
from justright.core.signals import signal
from justright.core.sources import Source
from justright.ops.rule import RULES, Call
from justright.propagation.engine import predicted

torch = pytest.importorskip("torch")
F = torch.nn.functional


def random_moments(rng, shape):
    """Moments with a random number for every case of pairs."""
    moments = Moments.independent(shape, 0.0, 1.0)
    pairs = rng.normal(size=moments.pairs.shape)
    return moments.with_values(rng.normal(size=moments.mean.shape), pairs + moments.mirror(pairs))


def cases(moments):
    """For every pair of elements, as a matrix, the case in which they lie; and the cell of every element."""
    ways, places = np.zeros((1, 1), int), np.zeros(1, int)
    for axis in moments.axes:
        stratum = np.repeat(np.arange(axis.groups), axis.strata)
        pair = axis.groups + stratum[:, None] * axis.groups + stratum[None, :]
        np.fill_diagonal(pair, stratum)
        ways = (ways[:, None, :, None] * axis.cases + pair[None, :, None, :]).reshape(
            len(ways) * axis.size, len(ways) * axis.size
        )
        places = (places[:, None] * axis.groups + stratum).ravel()
    return ways, places


def dense(moments):
    ways, places = cases(moments)
    return moments.mean.ravel()[places], moments.pairs.ravel()[ways]


def agrees(moments, mean, second):
    """Whether moments are the averages of a dense mean and a dense matrix of second moments."""
    for dim, axes in enumerate(moments.dims):
        moments = moments.in_one_axis(dim) if axes else moments
    ways, places = cases(moments)
    found, count = (
        np.bincount(ways.ravel(), each.ravel(), moments.pairs.size) for each in (second, np.ones_like(second))
    )
    there = count > 0
    np.testing.assert_allclose(moments.pairs.ravel()[there], (found[there] / count[there]), rtol=1e-9, atol=1e-9)
    found, count = (np.bincount(places, each, moments.mean.size) for each in (mean, np.ones_like(mean)))
    np.testing.assert_allclose(moments.mean.ravel(), found / count, rtol=1e-9, atol=1e-9)


def units(shape):
    return torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)


def call_of(op, native, attributes, operands, outputs):
    node = Node(0, op, native, tuple(Operand(name, at) for at, name in enumerate(operands)), attributes, (9,))
    signals = tuple(signal(Source(moments)) for moments in operands.values())
    return Call(node, signals, tuple(moments.shape for moments in operands.values()), outputs)


def spatial(stride=1, padding=0, dilation=1, groups=1, transposed=False, output_padding=0, rank=1):
    each = {"stride": stride, "padding": padding, "dilation": dilation, "output_padding": output_padding}
    attributes = {name: list(value) if isinstance(value, tuple) else [value] * rank for name, value in each.items()}
    return attributes | {"groups": groups, "transposed": transposed}


def conv(x, w, attributes):
    a = attributes
    return torch.ops.aten.convolution(
        x, w, None, a["stride"], a["padding"], a["dilation"], a["transposed"], a["output_padding"], a["groups"]
    )


CONVOLUTIONS = {
    "padded": ((2, 2, 5), (3, 2, 3), spatial(padding=1)),
    "strided and dilated": ((2, 2, 7), (2, 2, 2), spatial(stride=2, padding=1, dilation=2)),
    "in groups": ((2, 4, 4), (4, 2, 3), spatial(padding=1, groups=2)),
    "depthwise": ((2, 3, 5), (3, 1, 3), spatial(padding=1, groups=3)),
    "of a size of one": ((2, 3, 3), (2, 3, 3), spatial()),
    "in the plane": ((1, 2, 4, 3), (2, 2, 3, 2), spatial(stride=(1, 2), padding=(1, 0), rank=2)),
    "in space": ((1, 1, 2, 3, 2), (2, 1, 2, 2, 2), spatial(padding=(0, 1, 0), rank=3)),
    "transposed": ((2, 2, 4), (2, 3, 3), spatial(stride=2, padding=1, output_padding=1, transposed=True)),
    "transposed in groups": ((1, 4, 3), (4, 1, 2), spatial(stride=2, groups=2, transposed=True)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_is_exact(name, rng):
    shape, kernel, attributes = CONVOLUTIONS[name]
    op = "transposed_convolution" if attributes["transposed"] else "convolution"
    tensor = torch.stack([torch.stack([conv(x, w, attributes) for w in units(kernel)]) for x in units(shape)]).numpy()
    out = tensor.shape[2:]
    tensor = tensor.reshape(*tensor.shape[:2], -1)  # input, weight, output
    x, w, g = (random_moments(rng, each) for each in (shape, kernel, out))
    call = call_of(op, "aten.convolution.default", attributes, {"input": x, "weight": w}, (out,))
    result = RULES[op].forward(call)
    back = RULES[op].backward(call, [result], [g])
    rows = {"x": dense(x), "w": dense(w), "y": dense(g)}
    for found, spec in ((result.moments, "xwy"), (back["input"], "ywx"), (back["weight"], "yxw")):
        part = np.transpose(tensor, ["xwy".index(letter) for letter in spec])
        (m, s), (n, t) = rows[spec[0]], rows[spec[1]]
        agrees(found, np.einsum("abc,a,b->c", part, m, n), _through(part, s, t))


def _through(tensor, first, second):
    """Second moments of a bilinear map of two independent vectors."""
    half = np.einsum("abc,ad->dbc", tensor, first)
    half = np.einsum("dbc,be->dec", half, second)
    return np.einsum("dec,def->cf", half, tensor)


LINEAR = {
    "average": (
        "average_pool",
        "aten.avg_pool2d.default",
        (2, 2, 5, 4),
        {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0]},
    ),
    "average of what is there": (
        "average_pool",
        "aten.avg_pool2d.default",
        (2, 1, 5, 5),
        {"kernel_size": [3], "stride": [2], "padding": [1], "ceil_mode": True, "count_include_pad": False},
    ),
    "divided by a number": (
        "average_pool",
        "aten.avg_pool2d.default",
        (1, 2, 4, 4),
        {"kernel_size": [2, 2], "stride": [], "divisor_override": 3},
    ),
    "adaptive": ("adaptive_average_pool", "aten._adaptive_avg_pool2d.default", (2, 2, 5, 3), {"output_size": [2, 1]}),
    "bilinear": (
        "resample",
        "aten.upsample_bilinear2d.default",
        (2, 2, 3, 4),
        {"output_size": [6, 7], "align_corners": False},
    ),
    "bilinear, aligned": (
        "resample",
        "aten.upsample_bilinear2d.default",
        (1, 2, 3, 4),
        {"output_size": [5, 3], "align_corners": True},
    ),
    "nearest": ("resample", "aten.upsample_nearest2d.default", (2, 2, 3, 2), {"output_size": [6, 3]}),
    "bicubic, smoothed": (
        "resample",
        "aten._upsample_bicubic2d_aa.default",
        (1, 1, 6, 5),
        {"output_size": [3, 2], "align_corners": False},
    ),
    "pixel shuffle": ("pixel_shuffle", "aten.pixel_shuffle.default", (2, 8, 2, 3), {"upscale_factor": 2}),
    "pixel unshuffle": ("pixel_unshuffle", "aten.pixel_unshuffle.default", (2, 2, 4, 6), {"downscale_factor": 2}),
    "windows": (
        "unfold",
        "aten.im2col.default",
        (2, 2, 4, 3),
        {"kernel_size": [3, 2], "dilation": [1, 1], "padding": [1, 0], "stride": [2, 1]},
    ),
    "sliding view": ("unfold", "aten.unfold.default", (2, 7, 2), {"dimension": 1, "size": 3, "step": 2}),
    "image of windows": (
        "fold",
        "aten.col2im.default",
        (2, 12, 4),
        {"output_size": [3, 4], "kernel_size": [3, 2], "dilation": [1, 1], "padding": [1, 0], "stride": [2, 2]},
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_map_of_positions_is_exact(name, rng):
    op, native, shape, attributes = LINEAR[name]
    run = getattr(torch.ops.aten, native.split(".")[1]).default
    taken = {argument.name for argument in run._schema.arguments}
    given = {key: value for key, value in attributes.items() if key in taken}
    matrix = torch.stack([run(x, **given) for x in units(shape)]).numpy()
    out = matrix.shape[1:]
    matrix = matrix.reshape(len(matrix), -1)
    x, g = random_moments(rng, shape), random_moments(rng, out)
    call = call_of(op, native, attributes, {"input": x}, (out,))
    result = RULES[op].forward(call)
    back = RULES[op].backward(call, [result], [g])["input"]
    (m, s), (n, t) = dense(x), dense(g)
    agrees(result.moments, m @ matrix, matrix.T @ s @ matrix)
    agrees(back, matrix @ n, matrix @ t @ matrix.T)


def test_every_stratum_of_a_border_is_exact(rng):
    """The second layer of two sees strata that the first has made."""
    x, w = random_moments(rng, (1, 1, 6)), random_moments(rng, (1, 1, 3))
    attributes = spatial(padding=1)
    first = call_of("convolution", "aten.convolution.default", attributes, {"input": x, "weight": w}, ((1, 1, 6),))
    hidden = RULES["convolution"].forward(first).moments
    assert [axis.strata for axis in hidden.axes] == [(1, 4, 1)]
    call = call_of("convolution", "aten.convolution.default", attributes, {"input": hidden, "weight": w}, ((1, 1, 6),))
    found = RULES["convolution"].forward(call).moments
    tensor = torch.stack([torch.stack([conv(a, b, attributes) for b in units(w.shape)]) for a in units(x.shape)])
    tensor = tensor.numpy().reshape(6, 3, 6)
    (m, s), (n, t) = dense(hidden), dense(w)
    agrees(found, np.einsum("abc,a,b->c", tensor, m, n), _through(tensor, s, t))
    back = RULES["convolution"].backward(call, [], [hidden])["input"]
    turned = np.transpose(tensor, (2, 1, 0))
    agrees(back, np.einsum("abc,a,b->c", turned, m, n), _through(turned, s, t))


@pytest.mark.parametrize(("op", "spec"), [("outer", "a,b->ab"), ("dot", "a,a->")])
def test_product_of_vectors_is_exact(op, spec, rng):
    lengths = (3, 4) if op == "outer" else (4, 4)
    tensor = np.stack(
        [np.stack([np.einsum(spec, a, b).ravel() for b in np.eye(lengths[1])]) for a in np.eye(lengths[0])]
    )
    x, y = (random_moments(rng, (length,)) for length in lengths)
    out = lengths if op == "outer" else ()
    call = call_of(op, f"aten.{op}.default", {}, {"input": x, "other": y}, (out,))
    found, g = RULES[op].forward(call), random_moments(rng, out)
    back = RULES[op].backward(call, [found], [g])
    rows = {"x": dense(x), "w": dense(y), "y": dense(g)}
    for moments, order in ((found.moments, "xwy"), (back["input"], "ywx"), (back["other"], "yxw")):
        part = np.transpose(tensor, ["xwy".index(letter) for letter in order])
        (m, s), (n, t) = rows[order[0]], rows[order[1]]
        agrees(moments, np.einsum("abc,a,b->c", part, m, n), _through(part, s, t))


def test_product_of_three_tensors_is_exact(rng):
    """As `torch.nn.functional.bilinear` records it: x [b, i], a weight [o, i, j] and y [b, j]."""
    shapes = (2, 3), (2, 3, 2), (2, 2)
    x, w, y = (random_moments(rng, shape) for shape in shapes)
    attributes = {"expand1": [1, 3], "expand2": [0], "expand3": [1, 2], "sumdim": [2, 3], "unroll_dim": 1}
    call = call_of("bilinear", "aten._trilinear.default", attributes, {"i1": x, "i2": w, "i3": y}, ((2, 2),))
    found = RULES["bilinear"].forward(call)
    tensor = np.zeros((6, 12, 4, 4))
    for (a, first), (b, weight), (c, second) in itertools.product(*(enumerate(units(shape)) for shape in shapes)):
        tensor[a, b, c] = F.bilinear(first, second, weight).numpy().ravel()
    (m, s), (n, t), (o, u) = dense(x), dense(w), dense(y)
    second = np.einsum("abcy,ad,be,cf,defz->yz", tensor, s, t, u, tensor, optimize=True)
    agrees(found.moments, np.einsum("abcy,a,b,c->y", tensor, m, n, o), second)
    g = random_moments(rng, (2, 2))
    back = RULES["bilinear"].backward(call, [found], [g])["i2"]
    k, v = dense(g)
    agrees(
        back,
        np.einsum("abcy,a,y,c->b", tensor, m, k, o),
        np.einsum("abcy,ad,yz,cf,defz->be", tensor, s, v, u, tensor, optimize=True),
    )


@pytest.mark.parametrize(("groups", "taps"), [(48, 3), (48, 5), (6, 3)])
def test_weights_meet_the_gradient_that_their_own_size_divided(groups, taps):
    """Behind a batch normalization a unit of small weights has a large gradient, and sends little of it back.

    The loss is steep, so that the gradient behind the normalization is white noise; PyTorch sends it back for many
    draws of the weights.
    """
    convolution = torch.nn.Conv2d(48, 48, taps, padding=taps // 2, groups=groups, bias=False)
    torch.nn.init.normal_(convolution.weight)
    convolution.weight.data /= convolution.weight.data.square().mean().sqrt()  # its values are what is predicted from
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(48), convolution, torch.nn.BatchNorm2d(48))
    adapter = load_adapter("torch")
    x, target = torch.randn(16, 48, 12, 12), 100.0 * torch.randn(16, 48, 12, 12)
    job = adapter.prepare(model, (x, target), "mse")
    graph = adapter.record(job)
    profile = predicted(graph, adapter.arrays(job), apply=adapter.apply, run=adapter.run).profile.by_name
    found = []
    for _ in range(100):
        torch.nn.init.normal_(convolution.weight)
        hidden = model[0](x).detach().requires_grad_()
        middle = convolution(hidden)
        F.mse_loss(model[2](middle), 100.0 * torch.randn_like(target)).backward(inputs=[hidden, middle])
        found.append([float(each.grad.square().mean()) for each in (hidden, middle)])
    for name, values in zip(("0/batch_norm:0", "1/convolution"), np.array(found).T, strict=True):
        error = values.std() / math.sqrt(len(values))
        square = profile[name].predicted.gradient.rms ** 2
        assert abs(square - values.mean()) < 4.5 * error + 0.01 * values.mean()

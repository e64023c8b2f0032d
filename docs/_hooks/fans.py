"""The page on fans: what layers really sum over, measured, against the fans of this package and of others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from torch import Tensor, nn
from torch.nn.functional import linear

from justright.core.layout import Kind, WeightLayout

DRAWS = 12
HEAD = """# Fans

A fan says over how many terms a layer sums: forward, the second moment of an output over that of an input for weights
of unit variance; backward, the same of gradients. So fans can be measured. Each cell is a fan over the measured one,
forward and backward; what is off by more than three percent is bold. justright reads the layout of the layer; the
others have only the shape, and whoever calls them must know.

Keras and JAX take the same numbers from a shape; their layers for attention (EinsumDense, DenseGeneral) set the axes
themselves, a kernel of one's own does not.

| layer | weight in PyTorch | measured | justright | torch.nn.init | Keras, JAX |
|---|---|---|---|---|---|"""
ALIKE = 0.03  # measured gains vary by about a percent


@dataclass(frozen=True)
class Case:
    """A layer with weights of unit variance.

    Parameters
    ----------
    name
        In words.
    layout
        Of the weight in PyTorch.
    apply
        From the weight and the input to the output.
    inputs
        Shape of the input.
    keras
        Shape of the same weight in Keras and JAX; empty where these have no such layer.
    """

    name: str
    layout: WeightLayout
    apply: Callable[[Tensor, Tensor], Tensor]
    inputs: tuple[int, ...]
    keras: tuple[int, ...] = ()


def _convolution(name: str, kind: type[nn.Module], inputs: int, outputs: int, taps: int, **options: int) -> Case:
    layer = kind(inputs, outputs, taps, bias=False, **options)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    axes = layer.weight.ndim - 2
    groups, stride = options.get("groups", 1), options.get("stride", 1)
    layout = WeightLayout.convolution(tuple(layer.weight.shape), groups, stride, transposed=transposed)
    side = {1: 256, 2: 40, 3: 14}[axes]
    pair = (outputs, inputs) if transposed else (inputs // groups, outputs)
    if groups == inputs > 1:
        pair = (inputs, outputs // inputs)  # the depthwise layers of Keras

    def apply(weight: Tensor, x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    return Case(name, layout, apply, (2, inputs, *(side,) * axes), (*(taps,) * axes, *pair))


def cases() -> Iterator[Case]:
    """Yield the layers of the table."""
    dense = WeightLayout.dense((64, 256))
    yield Case("dense", dense, lambda w, x: linear(x, w), (512, 256), (256, 64))
    yield Case(
        "dense as `x @ w`", WeightLayout.dense((256, 64), order="in_out"), lambda w, x: x @ w, (512, 256), (256, 64)
    )
    yield _convolution("convolution 1d", nn.Conv1d, 48, 32, 5)
    yield _convolution("convolution 2d", nn.Conv2d, 24, 32, 3)
    yield _convolution("convolution 3d", nn.Conv3d, 8, 12, 3)
    yield _convolution("grouped, 4 groups", nn.Conv2d, 32, 64, 3, groups=4)
    yield _convolution("depthwise", nn.Conv2d, 32, 32, 3, groups=32)
    yield _convolution("depthwise, multiplier 4", nn.Conv2d, 16, 64, 3, groups=16)
    yield _convolution("dilated", nn.Conv2d, 24, 32, 3, dilation=2)
    yield _convolution("stride 2", nn.Conv2d, 24, 32, 4, stride=2)
    yield _convolution("transposed, stride 2", nn.ConvTranspose2d, 40, 12, 4, stride=2)
    packed = WeightLayout((192, 64), (0,), (1,), parts=(64, 64, 64))
    yield Case("packed queries, keys, values: the first part", packed, lambda w, x: linear(x, w[:64]), (512, 64))
    heads = WeightLayout((96, 4, 24), (1, 2), (0,))
    yield Case("multi-head kernel [in, heads, size]", heads, lambda w, x: torch.einsum("bi,ihd->bhd", x, w),
               (512, 96), (96, 4, 24))  # fmt: skip
    experts = WeightLayout((8, 96, 48), (2,), (1,), copies=(0,))
    yield Case("expert stack [experts, in, out]", experts, lambda w, x: torch.einsum("ebi,eio->ebo", x, w),
               (8, 128, 96), (8, 96, 48))  # fmt: skip
    gates = WeightLayout((256, 64), (0,), (1,), parts=(64, 64, 64, 64))
    yield Case("recurrent weights of an LSTM: one gate", gates, lambda w, x: linear(x, w[64:128]), (512, 64))
    bilinear = WeightLayout((30, 24, 40), (0,), (1,), spatial=(2,))
    other = torch.randn(512, 40, generator=torch.Generator().manual_seed(1))
    yield Case("bilinear, to its first input", bilinear, lambda w, x: torch.einsum("bi,oij,bj->bo", x, w, other),
               (512, 24))  # fmt: skip
    yield Case("low-rank pair: the first matrix", WeightLayout.dense((16, 96)), lambda w, x: linear(x, w), (512, 96),
               (96, 16))  # fmt: skip
    table = WeightLayout((500, 64), (1,), (0,), kind=Kind.LOOKUP)
    yield Case("embedding, looked up", table, lambda w, x: w[x[:, 0].abs().mul(97).long() % 500] * x[:, 1:2] ** 0,
               (512, 64), (500, 64))  # fmt: skip
    yield Case("embedding as output head", WeightLayout.dense((500, 64)), lambda w, x: x @ w.T, (512, 64))


def measured(case: Case) -> tuple[float, float]:
    """Return the second moment of an output over that of an input, and the same of the gradients backward."""
    generator = torch.Generator().manual_seed(0)
    forward, backward = [], []
    for _ in range(DRAWS):
        weight = torch.randn(case.layout.shape, generator=generator)
        x = torch.randn(case.inputs, generator=generator).requires_grad_()
        y = case.apply(weight, x)
        (back,) = torch.autograd.grad(y, x, torch.randn(y.shape, generator=generator))
        inner = back[(..., *(slice(4, -4),) * (back.ndim - 2))] if back.ndim > 2 and case.layout.spatial else back  # noqa: PLR2004
        out = y[(..., *(slice(4, -4),) * (y.ndim - 2))] if case.layout.transposed else y
        forward.append(float(out.detach().square().mean()))
        backward.append(float(inner.square().mean()))
    return sum(forward) / DRAWS, sum(backward) / DRAWS


def torch_fans(shape: Sequence[int]) -> tuple[float, float]:
    """Return what `torch.nn.init` takes for fans."""
    return nn.init._calculate_fan_in_and_fan_out(torch.empty(tuple(shape), device="meta"))


def keras_fans(shape: Sequence[int]) -> tuple[float, float]:
    """Return what `keras.initializers` and, by default, `jax.nn.initializers` take: last axes times all others."""
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def table() -> str:
    """Return the page."""
    lines = [HEAD]
    for case in cases():
        found = measured(case)
        fans = case.layout.fans
        others = [torch_fans(case.layout.shape), keras_fans(case.keras) if case.keras else None]
        if case.layout.kind is Kind.LOOKUP:
            found = (found[0], math.nan)
        cells = [_cell(each, found) for each in ((fans.fan_in, fans.fan_out), *others)]
        back = "" if math.isnan(found[1]) else f", {found[1]:.4g}"
        lines.append(f"| {case.name} | `{list(case.layout.shape)}` | {found[0]:.4g}{back} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(fans: tuple[float, float] | None, found: tuple[float, float]) -> str:
    if fans is None:
        return ""
    ratios = [fan / gain for fan, gain in zip(fans, found, strict=True) if not math.isnan(gain)]
    return ", ".join(f"{ratio:.2f}" if abs(ratio - 1.0) <= ALIKE else f"**{ratio:.3g}**" for ratio in ratios)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, "concepts/fans.md", content=table()))
    return files

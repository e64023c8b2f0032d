"""Ordinary networks on data that is not: far from unit scale, constant, or with labels that do not exist."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import drawn, flat, images, mlp, prepared, sequences

SHELF = Shelf("data", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, Any]
Pair = tuple[torch.Tensor, torch.Tensor]


def _cnn(*, norm: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16) if norm else nn.Identity(), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.BatchNorm2d(32) if norm else nn.Identity(), nn.ReLU(),
        nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


class Pooled(nn.Module):
    """An embedding of 20 tokens, a layer, and a head at the mean over positions."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 32)
        self.body = nn.Sequential(nn.Linear(32, 64), nn.ReLU())
        self.head = nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify tokens of shape [n, positions]."""
        return self.head(self.body(self.embedding(x).mean(1)))


class Last(nn.Module):
    """A GRU over the rows of an image, and a head at its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(8, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8]."""
        return self.head(self.cell(x.squeeze(1))[0][:, -1])


def _shifted(make: Callable[[], nn.Module], data: Callable[[], Pair], scale: float, offset: float, _seed: int) -> Built:
    pixels, classes = data()
    return make(), (scale * pixels + offset, classes), "cross_entropy"


def _column(size: float) -> Pair:
    """Draw digits, with noise of some size in one column."""
    pixels, classes = flat()
    pixels = pixels.clone()
    pixels[:, 30] = size * torch.randn(len(pixels))
    return pixels, classes


_THREE = functools.partial(mlp, 3, nn.ReLU)
_SCALES: list[tuple[str, str, Callable[[], nn.Module], Callable[[], Pair], float, float]] = [
    ("large-mlp", "inputs of RMS 10,000", _THREE, flat, 1e4, 0.0),
    ("large-cnn", "images of RMS 10,000 into convolutions without normalization",
     functools.partial(_cnn, norm=False), images, 1e4, 0.0),
    ("small-mlp", "inputs of RMS 0.001", _THREE, flat, 1e-3, 0.0),
    ("tiny-mlp", "inputs of RMS 0.00001", _THREE, flat, 1e-5, 0.0),
    ("small-gru", "images of RMS 0.001 into a recurrent layer", Last, images, 1e-3, 0.0),
    ("offset-mlp", "inputs with a mean of 30 standard deviations", _THREE, flat, 1.0, 30.0),
    ("offset-deep", "inputs with a mean of 300 standard deviations, five layers", functools.partial(mlp, 5, nn.ReLU),
     flat, 1.0, 300.0),
    ("one-column", "noise of 10,000 in one of 64 columns", _THREE, functools.partial(_column, 1e4), 1.0, 0.0),
]  # fmt: skip
for _name, _note, _make, _data, _scale, _offset in _SCALES:
    SHELF.sick(_name, "JR801", _note)(functools.partial(_shifted, _make, _data, _scale, _offset))

_NEAR: list[tuple[str, str, Callable[[], nn.Module], Callable[[], Pair], float, float]] = [
    ("hundred-mlp", "near miss: inputs of RMS 100, for small steps", _THREE, flat, 100.0, 0.0),
    ("tenth-mlp", "near miss: inputs of RMS 0.1", _THREE, flat, 0.1, 0.0),
    ("offset-little", "near miss: inputs with a mean of 3 standard deviations", _THREE, flat, 1.0, 3.0),
    ("large-normed", "near miss: images of RMS 10,000 into convolutions behind which a batch norm stands",
     functools.partial(_cnn, norm=True), images, 1e4, 0.0),
    ("one-column-little", "near miss: noise of 100 in one of 64 columns", _THREE, functools.partial(_column, 100.0),
     1.0, 0.0),
]  # fmt: skip
for _name, _note, _make, _data, _scale, _offset in _NEAR:
    SHELF.healthy(_name, _note)(functools.partial(_shifted, _make, _data, _scale, _offset))


@SHELF.healthy("raw-first-norm", "near miss: gray levels of up to 4,080, which a batch norm standardizes")
def _raw(_seed: int) -> Built:
    pixels, classes = drawn(128)
    return nn.Sequential(nn.BatchNorm1d(64), *_THREE()), (255 * pixels.flatten(1), classes), "cross_entropy"


def _wine(*, standard: bool) -> Pair:
    """Draw wines by 13 measurements, from tenths to thousands, and their classes."""
    from sklearn.datasets import load_wine  # type: ignore[import-untyped]

    data = load_wine()
    table, classes = torch.tensor(data.data, dtype=torch.float32), torch.tensor(data.target)
    chosen = torch.randperm(len(table))[:128]
    table = (table - table.mean(0)) / table.std(0) if standard else table
    return table[chosen], classes[chosen]


def _table(standard: bool, _seed: int) -> Built:
    model = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    return model, _wine(standard=standard), "cross_entropy"


SHELF.healthy("table-standardized", "near miss: a table of measurements, standardized")(functools.partial(_table, True))
SHELF.sick(
    "table-raw",
    "JR801",
    "a table of measurements as they are, one of them in the hundreds",
    twin="data/table-standardized",
)(functools.partial(_table, False))


def _ink(scale: float, offset: float, _seed: int) -> Built:
    """How much ink a digit has in its upper half, as a number of some scale."""
    pixels, _ = flat()
    ink = pixels[:, :32].sum(1, keepdim=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    return model, (pixels, scale * (ink - ink.mean()) / ink.std() + offset), "mse"


for _name, _note, _scale, _offset in (
    ("target-large", "targets with a standard deviation of 100,000", 1e5, 0.0),
    ("target-small", "targets with a standard deviation of 0.0003", 3e-4, 0.0),
    ("target-offset", "targets with a mean of 300 standard deviations", 1.0, 300.0),
):
    SHELF.sick(_name, "JR801", _note)(functools.partial(_ink, _scale, _offset))
SHELF.healthy("target-hundred", "near miss: targets with a standard deviation of 100")(
    functools.partial(_ink, 100.0, 0.0)
)
SHELF.healthy("target-offset-little", "near miss: targets with a mean of 3 standard deviations")(
    functools.partial(_ink, 1.0, 3.0)
)


def _same(make: Callable[[], nn.Module], data: Callable[[], Pair], _seed: int) -> Built:
    inputs, classes = data()
    return make(), (inputs[:1].repeat(len(inputs), *[1] * (inputs.dim() - 1)), classes), "cross_entropy"


def _tokens() -> Pair:
    tokens = sequences(128)
    return tokens, tokens[:, 4] % 10


for _name, _note, _make, _data in (
    ("same-mlp", "one digit for all examples", _THREE, flat),
    ("same-cnn", "one image for all examples, behind normalization", functools.partial(_cnn, norm=True), images),
    ("same-tokens", "one sequence of tokens for all examples", Pooled, _tokens),
):
    SHELF.sick(_name, "JR802", _note)(functools.partial(_same, _make, _data))


@SHELF.healthy("half-constant", "near miss: every other feature is constant")
def _half_constant(_seed: int) -> Built:
    pixels, classes = flat()
    pixels = pixels.clone()
    pixels[:, ::2] = 1.0
    return _THREE(), (pixels, classes), "cross_entropy"


def _labelled(make: Callable[[], nn.Module], data: Callable[[], Pair], change: Any, _seed: int) -> Built:  # noqa: ANN401
    inputs, classes = data()
    return make(), (inputs, change(classes)), nn.CrossEntropyLoss()


_LABELS: list[tuple[str, str, Callable[[], nn.Module], Callable[[], Pair], Callable[[torch.Tensor], torch.Tensor]]] = [
    ("labels-from-one", "classes from 1 to 10 of 10", _THREE, flat, lambda classes: classes + 1),
    ("labels-beyond", "ten classes and eight scores", functools.partial(Pooled, 8), _tokens, lambda classes: classes),
    ("labels-minus-one", "-1 for no label, where -100 is ignored", functools.partial(_cnn, norm=True), images,
     lambda classes: classes.masked_fill(classes.eq(3), -1)),
    ("labels-ignored", "all labels are ignored", _THREE, flat, lambda classes: torch.full_like(classes, -100)),
    ("labels-ignored-cnn", "all labels of images are ignored", functools.partial(_cnn, norm=True), images,
     lambda classes: torch.full_like(classes, -100)),
]  # fmt: skip
for _name, _note, _make, _data, _change in _LABELS:
    SHELF.sick(_name, "JR803", _note)(functools.partial(_labelled, _make, _data, _change))


@SHELF.sick("tokens-beyond", "JR803", "tokens up to 39 for a table of 20")
def _beyond(_seed: int) -> Built:
    tokens, classes = _tokens()
    return Pooled(), (2 * tokens + 1, classes), "cross_entropy"


SHELF.healthy("labels-some", "near miss: half of the labels are ignored")(
    functools.partial(
        _labelled, _THREE, flat, lambda classes: torch.where(torch.arange(len(classes)) % 2 == 0, -100, classes)
    )
)

"""Small programs with the typical faults of public fault benchmarks, and programs without a fault.

They are written in the style of what DeepFD, AUTOTRAINER, DeepDiagnosis and UMLAUT collected from questions and
repositories, which is mostly Keras: dense and small convolutional networks on toy data, tables and digits. They are
frozen. No rule is fitted to them: who changes a rule because of one of them says so on the page.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
datasets = pytest.importorskip("sklearn.datasets")
F, nn = torch.nn.functional, torch.nn


class Program(NamedTuple):
    """One program: what it trains on what, and the codes of which one must be the first alarm; none if healthy."""

    name: str
    model: Any
    data: Any
    loss: Any
    optimizer: Any
    right: str = ""


# Data


def table(load, rows=None, scaled=True, dtype=torch.long):
    """Return a table of measurements, standardized or as it is."""
    values, target = load(return_X_y=True)
    if scaled:
        values = (values - values.mean(0)) / (values.std(0) + 1e-8)
    return torch.tensor(values[:rows], dtype=torch.float32), torch.tensor(target[:rows], dtype=dtype)


def toy(make, **options):
    values, classes = make(256, **options)
    return torch.tensor(values, dtype=torch.float32), torch.tensor(classes)


def digits(scale=1 / 16):
    """Return 128 digits as vectors; their gray levels go to 16."""
    values, classes = table(datasets.load_digits, 128, scaled=False)
    return values * scale, classes


def images(count=64):
    values, classes = digits()
    return values[:count].view(-1, 1, 8, 8), classes[:count]


def diabetes(scaled=True):
    values, target = table(datasets.load_diabetes, dtype=torch.float64)
    target = (target - target.mean()) / target.std(correction=0) if scaled else target
    return values, target.float()[:, None]


def words(count=64, length=40):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 100, (count, length), generator=generator)
    return ids, ids[:, -5:].sum(1) % 2


circles = functools.partial(toy, datasets.make_circles, noise=0.05, factor=0.5, random_state=0)
moons = functools.partial(toy, datasets.make_moons, noise=0.1, random_state=0)
blobs = functools.partial(toy, datasets.make_blobs, centers=3, random_state=2)
iris = functools.partial(table, datasets.load_iris)
wine = functools.partial(table, datasets.load_wine)
cancer = functools.partial(table, datasets.load_breast_cancer, 256)


def one_output(data):
    return data[0], data[1].float()[:, None]


def itself(data):
    return data[0], data[0]


def broken(data):
    return data[0].index_fill(1, torch.tensor([3]), float("nan")), data[1]


# Models


def started(model, weight=None, bias=None):
    """Initialize weights, with zero biases, and set all biases."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            if weight:
                weight(layer.weight)
                nn.init.zeros_(layer.bias)
            if bias is not None:
                nn.init.constant_(layer.bias, bias)
    return model


def dense(sizes, activation=nn.ReLU, last=None, weight=None, bias=None, norm=False):
    """Return a function that builds a dense network."""

    def build():
        layers = []
        for into, out in pairwise(sizes[:-1]):
            layers += [nn.Linear(into, out), *([nn.BatchNorm1d(out)] if norm else []), activation()]
        return started(nn.Sequential(*layers, nn.Linear(*sizes[-2:]), *([last] if last else [])), weight, bias)

    return build


def convolutional(extra=0, weight=None, bias=None):
    def build():
        layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        layers += [layer for _ in range(extra) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())]
        layers += [nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10)]
        return started(nn.Sequential(*layers), weight, bias)

    return build


class Reader(nn.Module):
    """An LSTM over words."""

    def __init__(self):
        super().__init__()
        self.words, self.cell, self.head = nn.Embedding(100, 16), nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 2)

    def forward(self, ids):
        return self.head(self.cell(self.words(ids))[0][:, -1])


# Weights, losses, optimizers

glorot, he = nn.init.xavier_uniform_, nn.init.kaiming_normal_
softmax, sigmoid = nn.Softmax(-1), nn.Sigmoid()
ENTROPY = "cross_entropy"


def uniform(low, high):
    return functools.partial(nn.init.uniform_, a=low, b=high)


def normal(std):
    return functools.partial(nn.init.normal_, std=std)


def constant(value):
    return functools.partial(nn.init.constant_, val=value)


def categorical(output, target):
    """Keras' cross-entropy of probabilities."""
    return -(F.one_hot(target, output.shape[-1]) * torch.log(output.clamp(1e-7, 1 - 1e-7))).sum(-1).mean()


def binary(output, target):
    return F.binary_cross_entropy(output.squeeze(-1), target.float())


def clipped(output, target):
    return binary(output.clamp(0, 1), target)


def chosen(output, target):
    return -torch.log(output)[torch.arange(len(target)), target].mean()


def squared(output, target):
    return F.mse_loss(output, F.one_hot(target, output.shape[-1]).float())


def sgd(step, momentum=0.0):
    return functools.partial(torch.optim.SGD, lr=step, momentum=momentum)


def adam(step):
    return functools.partial(torch.optim.Adam, lr=step)


def data(build, *arguments, **options):
    return functools.partial(build, *arguments, **options)


SMALL, WIDE = [64, 64, 10], [64, 64, 64, 10]
FIVE, SEVEN = [64] * 5 + [10], [64] * 7 + [10]

SICK = (
    Program(
        "circles, 8 sigmoid layers, small uniform",
        dense([2, *[32] * 8, 1], nn.Sigmoid, sigmoid, uniform(-0.05, 0.05)),
        circles,
        binary,
        sgd(0.01),
        "JR101 JR103 JR601",
    ),
    Program(
        "blobs, 10 tanh layers, small normal",
        dense([2, *[32] * 10, 3], nn.Tanh, weight=normal(0.05)),
        blobs,
        ENTROPY,
        sgd(0.01),
        "JR101 JR103",
    ),
    Program(
        "digits, 10 sigmoid layers, Glorot",
        dense([64] * 11 + [10], nn.Sigmoid, weight=glorot),
        digits,
        ENTROPY,
        sgd(0.01),
        "JR103 JR601",
    ),
    Program(
        "digits, 6 ReLU layers, normal of 1",
        dense(SEVEN, weight=normal(1.0)),
        digits,
        ENTROPY,
        sgd(0.1),
        "JR102 JR104 JR901",
    ),
    Program(
        "circles, ReLU, positive weights",
        dense([2, *[64] * 5, 1], last=sigmoid, weight=uniform(0, 1)),
        circles,
        binary,
        sgd(0.1),
        "JR102",
    ),
    Program("digits, ReLU, biases of -10", dense(FIVE, weight=glorot, bias=-10.0), digits, ENTROPY, sgd(0.1), "JR202"),
    Program("digits, ReLU, negative weights", dense(FIVE, weight=uniform(-0.5, 0)), digits, ENTROPY, sgd(0.1), "JR202"),
    Program("images, ReLU, biases of -5", convolutional(bias=-5.0), images, ENTROPY, sgd(0.1), "JR202"),
    Program("digits, SGD at 10", dense(WIDE, weight=he), digits, ENTROPY, sgd(10.0), "JR901"),
    Program("digits, Adam at 1", dense(WIDE, weight=he), digits, ENTROPY, adam(1.0), "JR901"),
    Program("digits, SGD at 1e-7", dense(WIDE, weight=he), digits, ENTROPY, sgd(1e-7), "JR902"),
    Program("images, Adam at 1e-9", convolutional(), images, ENTROPY, adam(1e-9), "JR902"),
    Program("digits, all weights 0", dense(WIDE, weight=constant(0.0)), digits, ENTROPY, sgd(0.1), "JR301 JR302"),
    Program("digits, all weights 1", dense(WIDE, nn.Tanh, weight=constant(1.0)), digits, ENTROPY, sgd(0.1), "JR301"),
    Program("images, all weights 0.05", convolutional(weight=constant(0.05)), images, ENTROPY, sgd(0.1), "JR301"),
    Program(
        "digits, tanh, normal of 10", dense(FIVE, nn.Tanh, weight=normal(10.0)), digits, ENTROPY, sgd(0.1), "JR201"
    ),
    Program("cancer, softmax over one unit", dense([30, 32, 1], last=softmax), cancer, binary, adam(1e-3), "JR702"),
    Program("digits, softmax twice", dense(SMALL, last=softmax), digits, ENTROPY, sgd(0.01), "JR702"),
    Program(
        "cancer, ReLU clamped into a cross-entropy",
        dense([30, 32, 1], last=nn.ReLU()),
        cancer,
        clipped,
        adam(1e-3),
        "JR702 JR703",
    ),
    Program("digits, scores into nll", dense(SMALL), digits, "nll", adam(1e-3), "JR702"),
    Program(
        "cancer, sigmoid twice",
        dense([30, 32, 1], last=sigmoid),
        data(lambda: one_output(cancer())),
        "bce_with_logits",
        adam(1e-3),
        "JR702",
    ),
    Program(
        "diabetes, ReLU for negative targets", dense([10, 32, 1], last=nn.ReLU()), diabetes, "mse", adam(1e-3), "JR702"
    ),
    Program(
        "diabetes, sigmoid for targets to 346",
        dense([10, 32, 1], last=sigmoid),
        data(diabetes, scaled=False),
        "mse",
        adam(1e-3),
        "JR702 JR801",
    ),
    Program(
        "digits, logarithm of a softmax, large scores",
        dense(SMALL, last=softmax, weight=normal(2.0)),
        digits,
        chosen,
        adam(1e-3),
        "JR102 JR304 JR401 JR701 JR703",
    ),
    Program(
        "digits, gray levels to 255",
        dense([64] * 4 + [10], weight=he),
        data(digits, 255 / 16),
        ENTROPY,
        sgd(0.1),
        "JR801 JR901",
    ),
    Program(
        "wine, as measured",
        dense([13, 32, 32, 3], nn.Tanh),
        data(wine, scaled=False),
        ENTROPY,
        adam(1e-3),
        "JR201 JR801",
    ),
    Program(
        "cancer, as measured", dense([30, 32, 32, 2]), data(cancer, scaled=False), ENTROPY, sgd(0.01), "JR801 JR901"
    ),
    Program(
        "digits, labels from 1 to 10",
        dense(SMALL),
        data(lambda: (digits()[0], digits()[1] + 1)),
        ENTROPY,
        adam(1e-3),
        "JR803",
    ),
    Program("digits, a column of NaN", dense(SMALL), data(lambda: broken(digits())), ENTROPY, adam(1e-3), "JR401"),
    Program(
        "digits, all inputs 1",
        dense(SMALL),
        data(lambda: (torch.ones(128, 64), digits()[1])),
        ENTROPY,
        adam(1e-3),
        "JR802",
    ),
    Program(
        "digits, one label",
        dense(SMALL),
        data(lambda: (digits()[0], torch.zeros(128, dtype=torch.long))),
        ENTROPY,
        adam(1e-3),
        "JR802",
    ),
    Program("images, 42 plain convolutions", convolutional(extra=40), images, ENTROPY, adam(1e-3), "JR101 JR103"),
)

HEALTHY = (
    Program("circles, ReLU", dense([2, 32, 32, 1], last=sigmoid), circles, binary, adam(1e-2)),
    Program("moons, tanh, Glorot", dense([2, 32, 32, 1], nn.Tanh, sigmoid, glorot), moons, binary, adam(1e-2)),
    Program(
        "blobs, softmax and Keras' cross-entropy",
        dense([2, 32, 32, 3], last=softmax, weight=glorot),
        blobs,
        categorical,
        adam(1e-2),
    ),
    Program("digits to 1", dense([64, 128, 128, 10]), digits, ENTROPY, adam(1e-3)),
    Program("digits, Glorot, SGD", dense([64, 128, 128, 10], weight=glorot), digits, ENTROPY, sgd(0.01, 0.9)),
    Program("digits to 16, Adam", dense([64, 128, 10]), data(digits, 1.0), ENTROPY, adam(1e-3)),
    Program("images", convolutional(), images, ENTROPY, adam(1e-3)),
    Program("images, 8 examples", convolutional(), data(images, 8), ENTROPY, None),
    Program("images, 1 example", convolutional(), data(images, 1), ENTROPY, None),
    Program("words, LSTM", Reader, words, ENTROPY, adam(1e-3)),
    Program("iris, as measured", dense([4, 16, 16, 3]), data(iris, scaled=False), ENTROPY, adam(1e-2)),
    Program("iris, SGD", dense([4, 16, 16, 3], nn.Tanh), iris, ENTROPY, sgd(0.1)),
    Program("wine", dense([13, 32, 32, 3], nn.Tanh), wine, ENTROPY, adam(1e-3)),
    Program("cancer, sigmoid", dense([30, 32, 1], last=sigmoid), cancer, binary, adam(1e-3)),
    Program("cancer, logits", dense([30, 32, 1]), data(lambda: one_output(cancer())), "bce_with_logits", adam(1e-3)),
    Program("diabetes", dense([10, 32, 32, 1]), diabetes, "mse", adam(1e-3)),
    Program("digits, 8 layers, batch norm", dense([64] * 9 + [10], norm=True), digits, ENTROPY, adam(1e-3)),
    Program(
        "autoencoder, sigmoid",
        dense([64, 32, 8, 32, 64], last=sigmoid),
        data(lambda: itself(digits())),
        "bce",
        adam(1e-3),
    ),
    Program("autoencoder, linear", dense([64, 32, 8, 32, 64]), data(lambda: itself(digits())), "mse", adam(1e-3)),
    Program("digits, no target", dense(SMALL), data(lambda: digits()[0]), None, None),
    Program("images, random input", convolutional(), data(lambda: "8,1,8,8"), None, None),
    Program("digits, logistic regression from zero", dense([64, 10], weight=constant(0.0)), digits, ENTROPY, sgd(0.1)),
    Program("digits, log-softmax into nll", dense(SMALL, last=nn.LogSoftmax(-1)), digits, "nll", adam(1e-3)),
    Program("digits, ELU", dense([64] * 4 + [10], nn.ELU), digits, ENTROPY, adam(1e-3)),
    Program("digits, He, SGD at 0.1", dense([64, 128, 10], weight=he), digits, ENTROPY, sgd(0.1)),
    Program("images, AdamW", convolutional(), images, ENTROPY, adam(3e-4)),
    Program("images, Adam at 0.01", convolutional(), images, ENTROPY, adam(1e-2)),
    Program("diabetes, targets to 346", dense([10, 32, 32, 1]), data(diabetes, scaled=False), "mse", adam(1e-2)),
    Program("digits, squared error of a softmax", dense(SMALL, last=softmax), digits, squared, adam(1e-2)),
)

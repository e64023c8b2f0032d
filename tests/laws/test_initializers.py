"""Laws of the initializers; every entry of the catalogue must keep them, a new one as soon as it is registered.

The oracles are sample moments, the empirical distribution, and a layer of NumPy that a signal and a gradient pass.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from justright.core.bibliography import BIBLIOGRAPHY, cited
from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream
from justright.errors import CatalogueError
from justright.initializers.base import INITIALIZERS, Elementwise, Place, SchemeError, Target
from justright.initializers.gains import gain
from justright.initializers.parsing import scheme

NAMES = tuple(INITIALIZERS)
ELEMENTWISE = tuple(name for name in NAMES if issubclass(INITIALIZERS[name], Elementwise))
PLACE = Place(activation="relu", dropout=0.25, weight=WeightLayout.dense((240, 96)))
DENSE = WeightLayout.dense((240, 96))
SHAPES = {
    "dense": DENSE,
    "convolution": WeightLayout.convolution((48, 32, 3, 3)),
    "grouped": WeightLayout.convolution((48, 16, 3, 3), groups=4),
    "square": WeightLayout.dense((192, 192)),
}
VARIANTS = {  # parameters beside the defaults
    "constant": ["value=-1.5"],
    "uniform": ["low=-0.3, high=0.1"],
    "normal": ["mean=0.2, std=0.1"],
    "truncated_normal": ["std=0.02, bound=1", "mean=-1.0, std=0.5, bound=3"],
    "variance_scaling": [f"scale=2, mode={mode}, distribution={kind}" for mode, kind in (
        ("fan_in", "uniform"), ("fan_out", "normal"), ("fan_avg", "truncated_normal"), ("fan_geo_avg", "normal"))],
    "xavier_normal": ["gain=1.7"],
    "he_normal": ["slope=0.3, mode=fan_out"],
    "activation_gain": ["activation=tanh", "activation=gelu, direction=both, distribution=truncated_normal"],
    "dropout_corrected": ["rate=0.5, activation=tanh, distribution=uniform"],
}  # fmt: skip
SCHEMES = [*ELEMENTWISE, *(f"{name}({each})" for name, variants in VARIANTS.items() for each in variants)]
WIDTH = 4.5  # standard errors: of the few hundred comparisons here, one in 150,000 lies beyond by chance


def target_of(layout, name="weight", **place):
    return Target(name, layout, place=PLACE if not place else Place(**place))


def drawn(written, layout, seed=0):
    target = target_of(layout)
    return scheme(written).declared(target), scheme(written).sample(target, Stream.of(seed, "weight"))


@pytest.mark.parametrize("layout", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("written", SCHEMES)
def test_declared_moments_and_bound_are_those_of_the_sample(written, layout):
    declared, x = drawn(written, layout)
    x = x.astype(np.float64)
    assert x.shape == layout.shape
    assert np.abs(x).max() <= declared.bound * (1 + 2**-23)
    centred = x - declared.mean
    spread = max(np.std(np.square(centred)), 1e-12) / math.sqrt(x.size)
    assert abs(np.mean(centred)) <= WIDTH * math.sqrt(declared.variance / x.size)
    assert abs(np.mean(np.square(centred)) - declared.variance) <= WIDTH * spread


@pytest.mark.parametrize("written", SCHEMES)
def test_elements_have_the_declared_distribution(written):
    declared, x = drawn(written, WeightLayout.dense((500, 400)))
    if declared.structure == "constant":
        assert np.all(x == np.float32(declared.mean))
        return
    x = np.sort(x.ravel().astype(np.float64))
    steps = np.arange(x.size + 1) / x.size
    cdf = declared.law.cdf(x)
    distance = max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1]))
    assert distance < 2.6 / math.sqrt(x.size)  # Kolmogorov: exceeded with probability 2 exp(-2 · 2.6²) = 3e-6


@pytest.mark.parametrize("written", [each for each in SCHEMES if drawn(each, DENSE)[0].forward is not None])
@pytest.mark.parametrize("layout", [DENSE, SHAPES["square"]], ids=["dense", "square"])
def test_gains_of_the_layer_are_as_declared(written, layout, rng):
    """The gain of one draw varies with the weights: its relative standard error is measured over 40 of them."""
    forward, backward = [], []
    for seed in range(40):
        declared, w = drawn(written, layout, seed)
        outputs, inputs = w.shape
        forward.append(np.mean(np.square(w @ rng.standard_normal((inputs, 64)))))
        backward.append(np.mean(np.square(w.T @ rng.standard_normal((outputs, 64)))))
    for squares, expected in ((forward, declared.forward), (backward, declared.backward)):
        error = np.std(squares) / math.sqrt(len(squares))
        assert abs(np.mean(squares) - expected**2) < WIDTH * error


@pytest.mark.parametrize("written", SCHEMES)
def test_the_order_of_storage_only_transposes(written):
    here = scheme(written).sample(target_of(DENSE), Stream.of(3, "weight"))
    there = scheme(written).sample(target_of(WeightLayout.dense((96, 240), order="in_out")), Stream.of(3, "weight"))
    assert np.array_equal(here, there.T)


@pytest.mark.parametrize("written", SCHEMES)
@pytest.mark.parametrize("layout", [DENSE, SHAPES["convolution"], WeightLayout.dense((96, 240), order="in_out")])
def test_a_slice_of_the_whole_is_the_sample_of_the_slice(written, layout):
    part = (slice(5, 61), slice(None, None, 3), slice(1, 3), slice(0, 1))[: len(layout.shape)]
    whole = scheme(written).sample(target_of(layout), Stream.of(1, "weight"))
    alone = scheme(written).sample(target_of(layout), Stream.of(1, "weight"), part)
    assert np.array_equal(whole[part], alone)


@pytest.mark.parametrize("written", SCHEMES)
def test_numbers_are_a_function_of_seed_and_name(written):
    first, again = drawn(written, DENSE, 7)[1], drawn(written, DENSE, 7)[1]
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    if drawn(written, DENSE)[0].variance > 0:
        other = scheme(written).sample(target_of(DENSE), Stream.of(7, "another"))
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < WIDTH / math.sqrt(first.size)
        assert abs(np.corrcoef(first.ravel(), drawn(written, DENSE, 8)[1].ravel())[0, 1]) < WIDTH / math.sqrt(
            first.size
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("written", SCHEMES)
def test_rounding_to_a_type_keeps_mean_and_variance(written, dtype):
    torch = pytest.importorskip("torch")
    declared, x = drawn(written, WeightLayout.dense((500, 400)))
    stored = torch.from_numpy(x).to(getattr(torch, dtype)).double().numpy()
    step = {"float16": 2**-11, "bfloat16": 2**-8}.get(dtype, 2**-24)
    size = math.sqrt(declared.variance + declared.mean**2)
    assert abs(np.mean(stored) - declared.mean) <= WIDTH * math.sqrt(declared.variance / x.size) + step * abs(
        declared.mean
    )
    spread = np.std(np.square(stored - declared.mean)) / math.sqrt(x.size)
    assert abs(np.var(stored) - declared.variance) <= WIDTH * spread + (step * size) ** 2


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_when_and_when_not_and_cites(name):
    page = INITIALIZERS[name].page()
    assert page.splitlines()[0].endswith(".")
    for part in ("Formula:", "When to use it:", "When not:"):
        assert part in page, f"{name}: no {part}"
    assert cited(page) <= BIBLIOGRAPHY.keys()


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if hasattr(INITIALIZERS[name], "scaled")])
@pytest.mark.parametrize(
    "layout",
    [
        WeightLayout((7,), outputs=(0,), inputs=(), kind=Kind.SHIFT),
        WeightLayout((7,), outputs=(0,), inputs=(), kind=Kind.SCALE),
        WeightLayout.dense((0, 4)),
    ],
    ids=["bias", "factor", "empty"],
)
def test_what_has_no_fans_is_refused_with_what_would_do(name, layout):
    with pytest.raises(SchemeError) as caught:
        scheme(name).declared(target_of(layout))
    text = str(caught.value)
    assert str(list(layout.shape)) in text
    assert "expected:" in text
    assert re.search(r"try: (\w+)", text)[1] in INITIALIZERS


@pytest.mark.parametrize("written", SCHEMES)
def test_a_scheme_is_written_as_it_is_read(written):
    assert scheme(str(scheme(written))) == scheme(written)


@pytest.mark.parametrize(
    "written",
    ["normal(std=0)", "normal(std=-1)", "uniform(low=1, high=0)", "he_normal(mode=fan_inn)", "constant(value='a')",
     "xavier_normal(gain=0)", "dropout_corrected(rate=1)", "normal(sd=1)", "normal(", "normal + 1", "normal(**{})",
     "truncated_normal(bound=0)", "variance_scaling(distribution=cauchy)", "activation_gain(direction=up)", ""],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(written):
    with pytest.raises(SchemeError, match="expected"):
        scheme(written)


def test_a_near_name_is_suggested():
    with pytest.raises(CatalogueError, match="try: he_normal"):
        scheme("he_norml")


@pytest.mark.parametrize(
    ("activation", "forward", "backward"),
    [  # by an independent quadrature of 800 nodes, six digits
        ("tanh", 1.592537, 1.467414), ("sigmoid", 1.846229, 4.722646), ("relu", 1.414214, 1.414214),
        ("gelu", 1.533530, 1.481114), ("silu", 1.676532, 1.623320), ("mish", 1.486848, 1.444755),
        ("selu", 1.0, 0.966026), ("softplus", 1.041867, 1.846229), (np.sin, 1.520867, 1.327251), ("linear", 1.0, 1.0),
    ],
)  # fmt: skip
def test_gains_are_those_of_the_integrals(activation, forward, backward):
    assert gain(activation) == pytest.approx(forward, abs=6e-7)
    assert gain(activation, "backward") == pytest.approx(backward, abs=6e-7)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", np.sin])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_activation_gain_keeps_preactivations_and_gradients_at_unit_second_moment(activation, direction, rng):
    from justright.meanfield.activation import activation_of

    phi, squares = activation_of(activation), []
    made = INITIALIZERS["activation_gain"](activation, direction, "fan_in" if direction == "forward" else "fan_out")
    for seed in range(30):
        w = made.sample(target_of(DENSE), Stream.of(seed, "weight")).astype(np.float64)
        before, gradient = rng.standard_normal((96, 128)), rng.standard_normal((240, 128))
        after = w @ phi.f(before) if direction == "forward" else phi.slope(before) * (w.T @ gradient)
        squares.append(np.mean(np.square(after)))
    assert abs(np.mean(squares) - 1.0) < WIDTH * np.std(squares) / math.sqrt(30)


def test_what_the_network_does_not_say_is_asked_for():
    with pytest.raises(SchemeError, match="activation is not known"):
        scheme("activation_gain").declared(Target("weight", DENSE))
    with pytest.raises(SchemeError, match="dropout is not known"):
        scheme("dropout_corrected(activation=relu)").declared(Target("weight", DENSE))


LAYERS = {
    "Linear": (lambda nn: nn.Linear(96, 240), DENSE),
    "Conv2d": (lambda nn: nn.Conv2d(32, 48, 3), WeightLayout.convolution((48, 32, 3, 3))),
    "grouped": (lambda nn: nn.Conv2d(32, 48, 3, groups=4), WeightLayout.convolution((48, 8, 3, 3), groups=4)),
    "transposed": (
        lambda nn: nn.ConvTranspose2d(32, 48, 3),
        WeightLayout.convolution((32, 48, 3, 3), transposed=True),
    ),
    "Embedding": (lambda nn: nn.Embedding(500, 64), WeightLayout.embedding((500, 64))),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_torch_default_is_what_torch_draws(layer):
    torch = pytest.importorskip("torch")
    build, layout = LAYERS[layer]
    torch.manual_seed(0)
    weight = build(torch.nn).weight.detach().double().numpy().ravel()
    law = scheme("torch_default").law(target_of(layout))
    distance = np.max(np.abs(law.cdf(np.sort(weight)) - np.arange(weight.size) / weight.size))
    assert distance < 2.6 / math.sqrt(weight.size)  # Kolmogorov, 3e-6


@pytest.mark.parametrize("written", ["xavier_normal", "xavier_uniform", "he_normal(mode=fan_out)", "lecun_uniform"])
def test_packed_parts_of_unlike_sizes_are_matrices_of_their_own(written):
    """Queries of eight heads with keys and values of two: each part has the variance that it has alone."""
    parts = (512, 128, 128)
    layout = WeightLayout((768, 256), (0,), (1,), parts=parts)
    declared, x = drawn(written, layout)
    start, squares = 0, 0.0
    for size in parts:
        alone = scheme(written).declared(target_of(WeightLayout.dense((size, 256)))).variance
        found = x[start : start + size].astype(np.float64)
        assert abs(found.var() - alone) < WIDTH * np.std(np.square(found)) / math.sqrt(found.size)
        start, squares = start + size, squares + size * alone
    assert declared.variance == pytest.approx(squares / 768)
    part = (slice(300, 700, 3), slice(7, 90))
    assert np.array_equal(scheme(written).sample(target_of(layout), Stream.of(0, "weight"), part), x[part])
    turned = WeightLayout((256, 768), (1,), (0,), parts=parts)
    assert np.array_equal(scheme(written).sample(target_of(turned), Stream.of(0, "weight")).T, x)

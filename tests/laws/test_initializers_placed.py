"""Laws of the initializers that depend on the place in the network.

The oracles are sample moments against the formulas as printed, and residual stacks of NumPy.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream
from justright.initializers.base import Place, SchemeError, Target
from justright.initializers.parsing import scheme

DENSE = WeightLayout.dense((240, 96))
INNER = {"branch": 3, "branches": 50, "in_branch": 0, "branch_layers": 3, "ends_branch": False}
LAST = {**INNER, "in_branch": 2, "ends_branch": True}
STEM = {"branches": 50, "ends_branch": False}
PRINTED = [
    ("gpt2", INNER, 0.02),
    ("gpt2", LAST, 0.02 / math.sqrt(50)),
    ("gpt2(std=0.1)", LAST, 0.1 / math.sqrt(50)),
    ("fixup", STEM, math.sqrt(2 / 96)),
    ("fixup", INNER, math.sqrt(2 / 96) * 50 ** (-1 / (2 * 3 - 2))),
    ("fixup", LAST, 0.0),
    ("fixup", {**STEM, "role": "output"}, 0.0),
]


@pytest.mark.parametrize(("written", "place", "std"), PRINTED)
def test_the_formula_as_printed_is_declared_and_sampled(written, place, std):
    target = Target("weight", DENSE, place=Place(**place))
    declared, x = scheme(written).declared(target), scheme(written).sample(target, Stream.of(0, "weight"))
    assert declared.std == pytest.approx(std, rel=1e-12)
    assert declared.mean == 0.0
    # 4.5 standard errors: of the mean, std / sqrt(n); of a Gaussian's deviation, std / sqrt(2 n)
    assert abs(np.mean(x, dtype=np.float64)) <= 4.5 * std / math.sqrt(x.size)
    assert abs(np.std(x, dtype=np.float64) - std) <= 4.5 * std / math.sqrt(2 * x.size)


@pytest.mark.parametrize("written", ["gpt2", "fixup"])
@pytest.mark.parametrize(("kind", "value"), [(Kind.SHIFT, 0.0), (Kind.SCALE, 1.0)])
def test_biases_are_zero_and_factors_one(written, kind, value):
    layout = WeightLayout((7,), outputs=(0,), inputs=(), kind=kind)
    assert np.all(scheme(written).sample(Target("b", layout), Stream.of(0, "b")) == value)


def stack(written, rng, width=64, branches=50):
    """Return the second moment after a stack of normalized residual branches of two layers, from one."""
    x = rng.standard_normal((width, 256))
    for branch in range(branches):
        h = x / np.sqrt(np.mean(np.square(x), axis=0))
        for layer, ends in enumerate((False, True)):
            place = Place(branch=branch, branches=branches, in_branch=layer, branch_layers=2, ends_branch=ends)
            name = f"{branch}.{layer}"
            target = Target(name, WeightLayout.dense((width, width)), place=place)
            h = scheme(written).sample(target, Stream.of(0, name)) @ (np.maximum(h, 0) if ends else h)
        x = x + h
    return np.mean(np.square(x))


def test_a_deep_residual_stack_keeps_its_scale(rng):
    # std 1/8 = 1/sqrt(64): a branch's variance is 1/2 (rectifier) over 50 branches, so that the sum adds a half
    assert stack("gpt2(std=0.125)", rng) == pytest.approx(1.5, rel=0.15)
    assert stack("fixup", rng) == pytest.approx(1.0, rel=0.05)
    assert stack("he_normal", rng) > 20.0


@pytest.mark.parametrize("written", ["gpt2", "fixup"])
def test_what_the_network_does_not_say_is_asked_for(written):
    with pytest.raises(SchemeError, match="not known"):
        scheme(written).declared(Target("weight", DENSE))


@pytest.mark.parametrize("written", ["gpt2", "fixup"])
def test_a_network_without_residual_branches_is_refused(written):
    with pytest.raises(SchemeError, match="residual branches"):
        scheme(written).declared(Target("weight", DENSE, place=Place(branches=0, ends_branch=True)))

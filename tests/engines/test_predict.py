"""Predictions against the networks themselves: statistics, intervals, origins, what is said where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torch import nn

import justright as jr
from justright.adapters.base import load_adapter
from justright.core.moments import Moments
from justright.core.profile import Provenance
from justright.core.signals import mapped, signal, times
from justright.core.sources import Source
from justright.errors import InputError, JustRightError
from justright.propagation.interval import FLOORS, Spread, estimate, own_variance
from justright.propagation.marginals import Marginals
from justright.statistics import summarize

SHAPE = (512, 256)


def source(mean, variance):
    return signal(Source(Moments.independent(SHAPE, mean, mean * mean + variance)))


FUNCTIONS = {
    "itself": (lambda u: u, lambda x: x),
    "relu": (lambda u: np.maximum(u, 0.0), lambda x: mapped("relu", lambda u: np.maximum(u, 0.0), x, kinks=(0.0,))),
    "tanh": (np.tanh, lambda x: mapped("tanh", np.tanh, x)),
    "gelu": (lambda u: u * ndtr(u), lambda x: mapped("gelu", lambda u: u * ndtr(u), x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 2.25), (0.3, 0.49), (-2.0, 0.01)])
def test_a_marginal_is_that_of_draws(name, mean, variance, rng):
    """The histogram and the ends agree with half a million draws, as far as counts fluctuate."""
    plain, function = FUNCTIONS[name]
    made = Marginals().of_signal(function(source(mean, variance)))
    values = plain(rng.normal(mean, math.sqrt(variance), SHAPE))
    seen = summarize(values).finish()
    assert made.zeros == pytest.approx(seen.zeros, abs=5 / math.sqrt(values.size))
    assert made.absmax == pytest.approx(seen.absmax, rel=0.25)  # of so many draws the largest varies by a tenth
    found, wanted = dict(made.histogram), dict(seen.histogram)
    for exponent, count in wanted.items():
        error = abs(found.get(exponent, 0) - count)
        assert error <= 5 * math.sqrt(count) + 0.02 * count + 5, (
            exponent
        )  # the second term: the grid of half a per cent


def test_a_product_of_two_sources_has_its_heavy_tail(rng):
    made = Marginals().of_signal(times(source(0.0, 1.0), mapped("tanh", np.tanh, source(0.0, 4.0))))
    values = rng.normal(size=SHAPE) * np.tanh(2.0 * rng.normal(size=SHAPE))
    assert made.absmax == pytest.approx(np.abs(values).max(), rel=0.3)
    above = sum(count for exponent, count in made.histogram if exponent >= 1) / made.count
    assert above == pytest.approx((np.abs(values) >= 2.0).mean(), rel=0.2)  # of 1,024 draws


def test_the_kurtosis_and_what_follows_the_scale_are_those_of_draws(rng):
    shape = Marginals().shape(FUNCTIONS["tanh"][1](source(0.0, 1.0)))
    values = rng.normal(size=10**6)
    square = np.tanh(values) ** 2
    assert shape.kurtosis == pytest.approx((square**2).mean() / square.mean() ** 2, rel=0.01)
    grown = (np.tanh(1.05 * values) ** 2).mean() / square.mean()
    assert shape.sensitivity == pytest.approx(math.log(grown) / (2 * math.log(1.05)), rel=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_correlated_examples_are_fewer_free_elements(correlation, rng):
    """Variance of the mean square of Gaussian rows that share a part, over its square."""
    moments = Moments.independent((8, 16), 0.0, 1.0)
    pairs = moments.pairs.copy()
    pairs[1, 0] = correlation  # another example, the same unit
    shared, own = rng.normal(size=(20000, 1, 16)), rng.normal(size=(20000, 8, 16))
    rows = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
    squares = (rows**2).mean(axis=(1, 2))
    expected = squares.var() / squares.mean() ** 2
    assert own_variance(moments.with_values(moments.mean, pairs)) == pytest.approx(expected, rel=0.05)


def test_an_interval_grows_with_what_it_rests_on():
    narrow, wide = (
        estimate(1.0, Spread(0.01, 0.01), each, how="rule") for each in (Provenance.EXACT, Provenance.FITTED)
    )
    assert wide.low < narrow.low < 1.0 < narrow.high < wide.high
    assert narrow.trusted
    assert not wide.trusted
    assert wide.why
    assert not estimate(1.0, Spread(4.0, 4.0), Provenance.EXACT, how="rule").trusted
    assert set(FLOORS) == set(Provenance)


def build(width=64, depth=6, activation=nn.ReLU):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def measured(activation):
    """RMS of signals and gradients of many networks, each measured."""
    adapter = load_adapter("torch")
    batch = torch.randn(32, 64), torch.randint(0, 10, (32,))
    with adapter.recording_initializers() as recorded:
        first = build(activation=activation)
        initializers = recorded(first)
    report = jr.predict(first, batch, loss="cross_entropy", initializers=initializers)
    networks = [jr.check(build(activation=activation), batch, loss="cross_entropy").profile for _ in range(8)]
    return report, networks


@pytest.mark.slow
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_measured_networks_lie_in_the_interval(activation):
    """95 % of them are meant to; fewer than 85 % of several hundred correlated ones would be far off."""
    torch.manual_seed(1)
    report, networks = measured(activation)
    for direction in ("forward", "gradient"):
        pairs = [
            (getattr(record.predicted, direction), getattr(profile.by_name[record.name], direction))
            for profile in networks
            for record in report.profile.sites
        ]
        inside = [made.contains(seen.rms) for made, seen in pairs if made and seen and seen.rms > 0]
        assert len(inside) > 200
        assert np.mean(inside) > 0.85
        assert np.median([made.high / made.low for made, _ in pairs if made and made.low > 0]) < 2.0


def test_a_function_that_builds_is_predicted_without_memory():
    report = jr.predict(lambda: build(width=8192, depth=4), "4,8192")
    assert all(parameter.initializer for parameter in report.graph.parameters)
    # A default linear layer multiplies the second moment by 1/3 and adds 1/(3 n); ReLU halves it.
    expected = math.sqrt(1 / 3 + 1 / (3 * 8192))
    assert report.profile.by_name["0/linear"].forward.rms == pytest.approx(expected, rel=0.01)  # a batch of 4 is given
    assert report.profile.by_name["1/relu"].forward.zeros == pytest.approx(0.5, abs=1e-3)
    assert report.forecast.none == 0
    assert report.forecast.rule + report.forecast.fallback == len(report.profile.sites)


def test_a_model_is_left_alone():
    model = build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    register = nn.Module.register_parameter
    jr.predict(model, "4,64")
    jr.predict(build, "4,64")
    assert nn.Module.register_parameter is register
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_loss_is_foreseen():
    torch.manual_seed(0)
    batch = torch.randn(64, 64), torch.randint(0, 10, (64,))
    report = jr.predict(build(activation=nn.Tanh), batch, loss="cross_entropy")
    loss = jr.check(build(activation=nn.Tanh), batch, loss="cross_entropy").profile.loss
    assert report.forecast.loss.contains(loss)
    assert report.profile.loss == pytest.approx(math.log(10), rel=0.05)


def test_vanishing_gradients_are_found_without_a_run():
    report = jr.predict(lambda: build(depth=20, activation=nn.Sigmoid), "32,64")
    assert "JR103" in {finding.code for finding in report.findings}
    assert report.verdict == "error"


def test_what_needs_a_run_is_not_judged():
    report = jr.predict(build, "4,64")
    (gap,) = [gap for gap in report.coverage.gaps if gap.what == "diagnostics that were not run"]
    assert "JR202" in gap.codes
    assert {ran.code for ran in report.coverage.diagnostics}.isdisjoint(gap.codes)
    assert "a prediction can show" in str(report).replace("\n", " ")


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x):
        x = self.linear(x)
        return x if x.sum() > 0 else -x


def test_control_flow_on_data_is_recorded_or_refused():
    assert jr.predict(Branching(), "4,64").forecast.none == 0
    with pytest.raises(JustRightError):
        jr.predict(Branching().to("meta"), "4,64")


class Root(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 8)

    def forward(self, x):
        return self.last(torch.sqrt(self.first(x)))


def test_a_function_that_is_no_number_on_half_the_line_is_not_called_fine():
    report = jr.predict(Root(), "4,64")
    record = report.profile.by_name["/sqrt"].predicted.forward
    assert record is None or not record.trusted


def test_a_rule_that_does_not_exist_cannot_be_switched_off():
    with pytest.raises(InputError, match="no rule for 'sofmax'"):
        jr.predict(build, "4,64", without=["sofmax"])


def test_a_rule_switched_off_is_sampled():
    ruled = jr.predict(build, "4,64").profile.by_name["1/relu"]
    sampled = jr.predict(build, "4,64", without=["relu"]).profile.by_name["1/relu"]
    assert (ruled.predicted.forward.how, sampled.predicted.forward.how) == ("rule", "fallback")
    assert sampled.forward.rms == pytest.approx(ruled.forward.rms, rel=0.05)


def test_a_changed_parameter_is_named_and_fresh_ones_are_not():
    """The initializer says what the weight was; only that weight is named, and what follows from it is not."""
    torch.manual_seed(0)
    batch = torch.randn(32, 64), torch.randint(0, 10, (32,))
    with load_adapter("torch").recording_initializers() as recorded:
        model = build()
        initializers = recorded(model)
    fresh = jr.check(model, batch, initializers=initializers)
    assert not [each for each in fresh.findings if each.code == "JR105"]
    with torch.no_grad():
        model[4].weight.mul_(5.0)
    found = [each for each in jr.check(model, batch, initializers=initializers).findings if each.code == "JR105"]
    assert [each.sites[0] for each in found] == ["4.weight"]
    assert found[0].severity.label == "note"


class _Masked(torch.nn.Module):
    """Data decide how many rows are left."""

    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(16, 16), torch.nn.Linear(16, 4)

    def forward(self, x):
        h = self.first(x)
        return self.last(h[h[:, 0] > 0])


def test_a_shape_that_data_decide_on_is_said_not_raised():
    report = jr.predict(_Masked(), torch.randn(32, 16, generator=torch.Generator().manual_seed(0)))
    assert "not predicted" in str(report)
    assert "does not fit what arrives here" in str(report)
    first = next(site for site in report.profile.sites if site.name.startswith("first/"))
    assert first.predicted.forward.rms > 0


def test_weights_whose_squares_are_no_numbers_are_predicted():
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4)).double()
    for each in model.parameters():
        torch.nn.init.constant_(each, 1e-160)
    report = jr.predict(model, torch.randn(8, 16, dtype=torch.float64))
    assert "parameters" in str(report)

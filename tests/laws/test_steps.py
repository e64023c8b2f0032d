"""Verdicts about an optimizer's step: right on the networks of the zoo, and right at every bound."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import justright as jr
from justright.core.coverage import Gap
from justright.core.findings import Severity
from justright.core.graph import Graph
from justright.core.profile import ParameterRecord, Profile, TensorStatistics
from justright.core.step import ParameterStep, StepRecord, runs_away
from justright.diagnostics.base import DIAGNOSTICS, Case
from justright.testing import zoo
from justright.testing.laws import check_finding, check_page

pytest.importorskip("torch")
pytest.importorskip("sklearn")

CODES = ("JR503", "JR901", "JR902")
NETWORKS = [network.name for network in zoo.NETWORKS.values() if network.family == "steps"]


def checked(network, optimizer):
    model, batch, loss = network.build(0)
    report = jr.check(model, batch, loss=loss, optimizer=optimizer)
    for finding in report.findings:
        check_finding(finding, report.graph)
    return report


@pytest.mark.parametrize("name", NETWORKS)
def test_the_zoo_gets_the_name_that_it_deserves(name):
    network = zoo.NETWORKS[name]
    findings = checked(network, network.optimizer).findings
    assert next((each.code for each in findings if each.severity > Severity.NOTE), None) == network.fault


@pytest.mark.parametrize("name", [name for name in NETWORKS if zoo.NETWORKS[name].fault in {"JR901", "JR902"}])
def test_the_remedy_silences(name):
    network = zoo.NETWORKS[name]
    finding = next(each for each in checked(network, network.optimizer).findings if each.code == network.fault)
    if "lr=" not in finding.try_:
        pytest.skip("a rate of zero has no factor")
    rate = float(finding.try_.partition("lr=")[2].split()[0])

    def mended(parameters):
        optimizer = network.optimizer(parameters)
        for group in optimizer.param_groups:
            group["lr"] = rate
        return optimizer

    assert network.fault not in {each.code for each in checked(network, mended).findings}


def test_an_optimizer_that_nobody_gave_is_named_and_never_alarms():
    report = checked(zoo.NETWORKS["steps/large-mlp-adam"], None)
    assert report.verdict == "healthy"
    assert report.context["optimizer"].endswith("(chosen)")
    assert any("optimizer, since none was given: Adam, lr 0.001" in each for each in report.coverage.assumptions)


@pytest.mark.parametrize("code", CODES)
def test_pages(code):
    check_page(DIAGNOSTICS[code])


def statistics(size: float) -> TensorStatistics:
    return TensorStatistics(1, size, size, 0.0, abs(size), abs(size), 0.0)


def judged(code: str, step: StepRecord | None) -> list:
    records = (ParameterRecord("weight", True, statistics(1.0), statistics(1.0)),)
    return list(DIAGNOSTICS[code].check(Case(Graph((), ()), Profile((), records, step=step))))


def moved(ratio: float, unchanged: float = 0.0, dtype: str = "float32") -> ParameterStep:
    return ParameterStep("weight", dtype, 100, ratio, 1.0, 1.0, unchanged, 0.0, 0.0)


@pytest.mark.parametrize("code", CODES)
def test_what_was_not_tried_is_a_gap(code):
    for step in (None, StepRecord("", untaken="no reason")):
        assert [type(each) for each in judged(code, step)] == [Gap]


@given(st.floats(-12, 0), st.floats(-12, 0), st.floats(1, 10))
def test_a_step_is_too_small_only_if_loss_and_weights_both_stand_still(pace, reach, growth):
    step = StepRecord("SGD", before=2.0, predicted=-2.0 * 10**pace, growth=growth, parameters=(moved(10**reach),))
    found = judged("JR902", replace(step, rates=(0.1,)))
    # A tenth of the loss, and of a weight, within the steps of the longest runs and of long ones.
    needed = 0.1 / (10 ** max(pace, reach) * growth)
    expected = Severity.ERROR if needed > 1e6 else Severity.WARNING if needed > 1e5 else None
    assert (found[0].severity if found else None) == expected


def test_a_warm_up_and_zeros_excuse_a_small_step():
    step = StepRecord("SGD", before=2.0, predicted=-1e-9, parameters=(moved(1e-9),))
    assert judged("JR902", step)[0].severity is Severity.ERROR
    assert isinstance(judged("JR902", replace(step, waiting=True))[0], Gap)
    assert isinstance(judged("JR503", replace(step, waiting=True))[0], Gap)
    learns = StepRecord("SGD", before=2.0, predicted=-0.1, parameters=(replace(moved(1e-3), weight=0.0),))
    assert judged("JR902", learns) == []


@given(st.floats(0, 1), st.sampled_from(["bfloat16", "float16", "float32"]), st.booleans())
def test_lost_elements_count_by_their_share_in_sixteen_bits(share, dtype, given_):
    step = StepRecord("Adam", given=given_, parameters=(moved(1e-4, share, dtype),))
    found = judged("JR503", step)
    worst = Severity.ERROR if share > 0.95 else Severity.WARNING if share > 0.8 else None
    expected = worst if dtype != "float32" else None
    assert (found[0].severity if found else None) == (expected if given_ or not expected else Severity.NOTE)


def test_what_moves_after_some_steps_is_not_lost():
    step = StepRecord("SGD", frozen=0.1, trial=(1.0,), parameters=(moved(1e-4, 1.0, "bfloat16"),))
    assert judged("JR503", step) == []


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30), st.floats(0.1, 10))
def test_losses_run_away_only_if_the_last_are_above_the_start_or_lost(losses, start):
    assert runs_away(losses, start) is all(each > start for each in losses[-5:])
    assert runs_away([*losses, math.nan], start)
    assert runs_away([*losses, math.inf], start)

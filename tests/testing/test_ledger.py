"""Laws of the ledger of diagnostics: who ran, and who could not judge. What is missing there would be called passed."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

import justright as jr
from justright.core.coverage import Gap
from justright.core.graph import Graph
from justright.core.profile import Profile
from justright.diagnostics import base
from justright.diagnostics.base import DIAGNOSTICS, Case, Diagnostic, diagnose

torch = pytest.importorskip("torch")

GROWTH = {"JR101", "JR102", "JR103", "JR104"}
"""Diagnostics of growth over depth, which need several layers in a row."""


def mlp(*widths):
    layers = [each for pair in pairwise(widths) for each in (torch.nn.Linear(*pair), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize(("widths", "judged"), [((16, 32, 4), False), ((16, *[32] * 6, 4), True)])
def test_every_diagnostic_ran_and_those_that_had_nothing_to_judge_are_named(widths, judged, seed):
    torch.manual_seed(seed)
    report = jr.check(mlp(*widths), torch.randn(64, 16))
    assert [each.code for each in report.coverage.diagnostics] == list(DIAGNOSTICS)
    assert all(DIAGNOSTICS[each.code].name == each.name and each.seconds >= 0 for each in report.coverage.diagnostics)
    unjudged = {code for gap in report.coverage.gaps for code in gap.codes}
    assert unjudged & GROWTH == (set() if judged else GROWTH)


def test_one_gap_in_the_same_words_is_said_once_with_all_its_diagnostics(monkeypatch):
    gaps = {"JR901": [Gap("a", "x"), Gap("b", "y", 2)], "JR902": [Gap("a", "x"), Gap("b", "y", 3)], "JR903": []}

    def made(code):
        return Diagnostic(code, "made-up", "", lambda _case: gaps[code], 0)

    monkeypatch.setattr(base, "DIAGNOSTICS", {code: made(code) for code in gaps})
    ran = []
    _, found = diagnose(Case(Graph((), ()), Profile(())), tell=ran.append)
    assert set(found) == {
        Gap("a", "x", codes=("JR901", "JR902")),
        Gap("b", "y", 2, codes=("JR901",)),
        Gap("b", "y", 3, codes=("JR902",)),
    }
    assert len(found) == 3
    assert [each.code for each in ran] == list(gaps)


def test_a_gap_in_words_has_all_its_parts():
    said = str(Gap("gradient", "integer tensor", 1200, "tokens"))
    assert re.findall(r"gradient|integer tensor|1,200|tokens", said) == [
        "gradient",
        "1,200",
        "integer tensor",
        "tokens",
    ]
    assert str(Gap("gradient", "integer tensor")) == "gradient: integer tensor"

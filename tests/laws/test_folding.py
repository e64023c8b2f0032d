"""Laws of folding: what explains stands first, nothing is lost, and nothing is blamed on what cannot reach it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justright.core.findings import Finding, Severity
from justright.core.graph import GraphBuilder, Role
from justright.diagnostics.base import DIAGNOSTICS
from justright.diagnostics.folding import folded

NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR


def two_branches():
    """Two chains of three tensors that never meet: a0 → a1 → a2 and b0 → b1 → b2."""
    builder = GraphBuilder()
    ends = []
    for branch in "ab":
        site = builder.leaf(f"{branch}0", (4,), "float32", Role.INPUT)
        for step in (1, 2):
            module = f"{branch}{step}"
            (site,) = builder.node("relu", "relu", [("input", site)], [((4,), "float32", True)], module=module)
        ends.append(site)
    return builder.finish(outputs=tuple(ends))


GRAPH = two_branches()
CHAIN = {"Y": ("X",), "Z": ("Y",)}


def finding(code, severity=WARNING, *sites):
    return Finding(code, code.lower(), severity, "w", "g", "e", "b", "t", sites=sites)


def shape(findings):
    return [(each.code, each.severity, [symptom.code for symptom in each.symptoms]) for each in findings]


def test_graph_is_as_drawn():
    assert [site.name for site in GRAPH.sites] == ["a0", "a1/relu", "a2/relu", "b0", "b1/relu", "b2/relu"]


def test_symptoms_of_symptoms_fold_into_the_root():
    found = folded([finding("X"), finding("Y"), finding("Z")], GRAPH, CHAIN)
    assert shape(found) == [("X", WARNING, ["Y", "Z"])]


def test_cause_is_as_severe_as_its_worst_symptom():
    found = folded([finding("Y", ERROR), finding("X", WARNING)], GRAPH, CHAIN)
    assert shape(found) == [("X", ERROR, ["Y"])]


def test_note_explains_no_alarm():
    found = folded([finding("Y", WARNING), finding("X", NOTE)], GRAPH, CHAIN)
    assert shape(found) == [("Y", WARNING, []), ("X", NOTE, [])]
    assert shape(folded([finding("X", NOTE), finding("Y", NOTE)], GRAPH, CHAIN)) == [("X", NOTE, ["Y"])]


def weighted():
    """input → w1 → h → w2 → y, and a head of its own, z, from another input."""
    builder = GraphBuilder()
    site = builder.leaf("input", (4,), "float32", Role.INPUT)
    other = builder.leaf("aside", (4,), "float32", Role.INPUT)
    ends = []
    for name, start in (("w1", site), ("w2", None), ("w3", other)):
        weight = builder.leaf(name, (4,), "float32", Role.PARAMETER)
        read = ends[-1] if start is None else start
        (view,) = builder.node("transpose", "t", [("input", weight)], [((4,), "float32", True)], module=name)
        (made,) = builder.node("multiply", "mul", [("x", read), ("w", view)], [((4,), "float32", True)], module=name)
        ends.append(made)
    return builder.finish(outputs=tuple(ends[1:]))


@pytest.mark.parametrize(
    ("cause", "symptom", "joined"),
    [("input", "w2", True), ("w1", "w2", True), ("w2", "w1", True), ("w2", "input", True), ("input", "w3", False),
     ("w1", "w3", False), ("w3", "w2", False)],
)  # fmt: skip
def test_parameters_take_part_where_they_are_read(cause, symptom, joined):
    found = folded([finding("X", WARNING, cause), finding("Y", WARNING, symptom)], weighted(), CHAIN)
    assert len(found) == (1 if joined else 2)


@pytest.mark.parametrize(
    ("cause", "symptom", "joined"),
    [
        (["a1/relu"], ["a2/relu"], True),  # signals run forward
        (["a2/relu"], ["a0"], True),  # gradients run back
        (["a2/relu"], ["b0", "b2/relu"], False),
        (["a0"], ["b0", "a2/relu"], True),  # one of several sites is enough
        ([], ["b0"], True),  # a finding about the whole network
        (["somewhere else"], ["b0"], True),
    ],
)
def test_only_what_a_signal_joins_folds(cause, symptom, joined):
    found = folded([finding("X", WARNING, *cause), finding("Y", WARNING, *symptom)], GRAPH, CHAIN)
    assert len(found) == (1 if joined else 2)


CODES = st.sampled_from("XYZU")
SITES = st.lists(st.sampled_from([site.name for site in GRAPH.sites]), max_size=2)
FINDINGS = st.lists(
    st.builds(lambda code, level, at: finding(code, level, *at), CODES, st.sampled_from(Severity), SITES)
)


@given(FINDINGS)
def test_nothing_is_lost_and_the_worst_stays_the_worst(findings):
    found = folded(findings, GRAPH, CHAIN)
    told = [each.code for each in itertools.chain(found, *(each.symptoms for each in found))]
    assert sorted(told) == sorted(each.code for each in findings)
    assert max((each.severity for each in found), default=None) == max(
        (each.severity for each in findings), default=None
    )
    assert all(not symptom.symptoms for each in found for symptom in each.symptoms)


@pytest.mark.parametrize("code", DIAGNOSTICS)
def test_causes_are_diagnostics_of_lower_rank(code):
    """So no chain of causes is a circle."""
    for cause in DIAGNOSTICS[code].causes:
        assert DIAGNOSTICS[cause].rank < DIAGNOSTICS[code].rank, (code, cause)

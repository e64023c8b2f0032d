"""Laws of the JUnit document: well-formed, in the form that servers read, and nobody is told "passed" for silence."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from justright.core.coverage import Gap, Ran
from justright.core.findings import Severity
from justright.errors import ModelError
from justright.report.junit import junit_xml
from justright.report.summary import Outcome

RAN = tuple(Ran(code, name, 0.25) for code, name in (("JR101", "a"), ("JR103", "b"), ("JR204", "c"), ("JR301", "d")))

CHILDREN = {
    "testsuites": "(testsuite )*",
    "testsuite": "(properties )?(testcase )*",
    "properties": "(property )*",
    "property": "",
    "testcase": "(failure )*(skipped )?(error )?(system-out )?",
    "failure": "",
    "skipped": "",
    "error": "",
    "system-out": "",
}
"""What each element may hold, in order: the part that the schemas of Surefire 3 and of Jenkins (junit-10) share."""

ATTRIBUTES = {
    "testsuites": ({"name", "tests", "failures", "errors"}, set()),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"time"}),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, set()),
    "failure": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "error": ({"message", "type"}, set()),
    "system-out": (set(), set()),
}
"""Attributes that each element must have, and may have besides."""

TIME = r"\d+(\.\d{1,3})?"


def parsed(*outcomes, fail_on=Severity.ERROR):
    return ElementTree.fromstring(junit_xml(outcomes, fail_on).encode("utf-8"))


def case_of(root, name):
    return next(case for case in root.iter("testcase") if case.get("name") == name)


def kinds(root):
    """What became of every case: its first element that is no output, or "passed"."""
    return {
        case.get("name"): next((each.tag for each in case if each.tag != "system-out"), "passed")
        for case in root.iter("testcase")
    }


@pytest.fixture
def outcomes(reports):
    judged = {name: replace(each, coverage=replace(each.coverage, diagnostics=RAN)) for name, each in reports.items()}
    return {name: Outcome(name, report) for name, report in judged.items()}


FAILED = Outcome("net.py:\x1b[31m\ufffe", error=ModelError("<none>", where="net.py:3", expected="a model", try_="no"))


@pytest.mark.parametrize("fail_on", list(Severity))
def test_the_document_has_the_form_of_the_schemas(outcomes, fail_on):
    for element in parsed(*outcomes.values(), FAILED, fail_on=fail_on).iter():
        children = "".join(f"{child.tag} " for child in element)
        assert re.fullmatch(CHILDREN[element.tag], children), (element.tag, children)
        must, may = ATTRIBUTES[element.tag]
        assert must <= set(element.keys()) <= must | may
        assert re.fullmatch(TIME, element.get("time", "0"))


def test_counts_are_those_of_the_cases(outcomes):
    root = parsed(*outcomes.values(), FAILED)
    for suite in root:
        found = list(kinds(suite).values())
        assert int(suite.get("tests")) == len(found)
        counted = [int(suite.get(key)) for key in ("failures", "errors", "skipped")]
        assert counted == [found.count(kind) for kind in ("failure", "error", "skipped")]
    assert int(root.get("failures")) == sum(int(suite.get("failures")) for suite in root) == 5
    assert [suite.get("name") for suite in root][:-1] == list(outcomes)


@pytest.mark.parametrize(
    ("fail_on", "expected"),
    [
        (Severity.ERROR, {"JR101 a": "passed", "JR103 b": "failure", "JR204 c": "passed", "JR301 d": "passed"}),
        (Severity.WARNING, {"JR101 a": "passed", "JR103 b": "failure", "JR204 c": "failure", "JR301 d": "passed"}),
        (Severity.NOTE, {"JR101 a": "passed", "JR103 b": "failure", "JR204 c": "failure", "JR301 d": "failure"}),
    ],
)
def test_a_finding_fails_from_its_severity_on(outcomes, fail_on, expected):
    assert kinds(parsed(outcomes["vanishing"], fail_on=fail_on)) == expected


def test_every_part_of_every_finding_is_in_its_case(outcomes, reports):
    root = parsed(outcomes["vanishing"])
    for finding in reports["vanishing"].findings:
        case = next(each for each in root.iter("testcase") if each.get("name").startswith(finding.code))
        text = "".join(case.itertext())
        for part in (finding.where, finding.got, finding.expected, finding.because, finding.try_):
            assert part in text


def test_what_could_not_be_judged_is_not_called_passed(outcomes):
    gap = Gap("growth", "too few layers", codes=("JR101", "JR103"))
    for name, expected in (("healthy", "skipped"), ("vanishing", "failure")):
        report = outcomes[name].report
        known = replace(report.coverage, gaps=(gap,))
        root = parsed(Outcome("net", replace(report, coverage=known)))
        assert kinds(root) == {"JR101 a": "skipped", "JR103 b": expected, "JR204 c": "passed", "JR301 d": "passed"}
        assert "too few layers" in case_of(root, "JR101 a").find("skipped").get("message")
        assert "too few layers" in case_of(root, "JR103 b").findtext("system-out")


def test_nothing_passes_where_nothing_was_examined(outcomes):
    assert set(kinds(parsed(outcomes["empty"])).values()) == {"skipped"}


def test_a_model_that_could_not_be_examined_is_an_error(outcomes):
    root = parsed(outcomes["healthy"], FAILED)
    error = root[1].find("testcase/error")
    assert error.text == str(FAILED.error)
    assert (error.get("type"), root.get("errors")) == ("ModelError", "1")
    assert root[1].get("name") == "net.py:\\x1b[31m\\ufffe"


def test_a_symptom_is_shown_and_is_not_called_passed(outcomes):
    report = outcomes["vanishing"].report
    cause, symptom, *_ = report.findings
    root = parsed(Outcome("net", replace(report, findings=(replace(cause, symptoms=(symptom,)),))))
    assert kinds(root) == {"JR101 a": "passed", "JR103 b": "failure", "JR204 c": "skipped", "JR301 d": "passed"}
    assert cause.code in case_of(root, "JR204 c").find("skipped").get("message")
    assert symptom.got in case_of(root, "JR204 c").findtext("system-out")
    assert symptom.where in case_of(root, "JR103 b").findtext("failure")


def test_gaps_and_assumptions_are_properties(outcomes):
    report = outcomes["vanishing"].report
    values = {each.get("value") for each in parsed(outcomes["vanishing"]).iter("property")}
    assert {str(gap) for gap in report.coverage.gaps} | set(report.assumptions) <= values


def test_a_finding_whose_diagnostic_is_not_in_the_ledger_is_a_case_too(reports):
    report = replace(reports["vanishing"], coverage=replace(reports["vanishing"].coverage, diagnostics=()))
    assert list(kinds(parsed(Outcome("net", report)))) == [
        "JR103 vanishing-gradient",
        "JR204 dead-units",
        "JR301 identical-units",
    ]

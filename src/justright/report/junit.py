"""JUnit XML: a test suite a model, a test case a diagnostic, as the servers of continuous integration read it.

The form is what the schemas of Maven Surefire and of Jenkins have in common. A diagnostic that ran and found nothing is
a case that passed, one that could not judge this network is a case that was skipped, and says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from justright.core.coverage import Gap, Ran
from justright.core.findings import Finding, Severity
from justright.report.plain import finding_text
from justright.report.text import plural, printable
from justright.report.verdict import NOT_CHECKED, sentence

if TYPE_CHECKING:
    from justright.report.report import Report
    from justright.report.summary import Outcome

__all__ = ["junit_xml"]

ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold: XML 1.0, section 2.2."""


def junit_xml(outcomes: Iterable[Outcome], fail_on: Severity = Severity.ERROR) -> str:
    """Return a JUnit document.

    Parameters
    ----------
    outcomes
        What came of each model; each becomes a test suite.
    fail_on
        Severity from which a finding is a failure; others stand in the output of their case, which passes.

    Returns
    -------
    str
        XML in UTF-8 with its declaration.
    """
    suites = [_suite(outcome, fail_on) for outcome in outcomes]
    root = ElementTree.Element("testsuites", name="justright")
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(outcome: Outcome, fail_on: Severity) -> ElementTree.Element:
    suite = _element("testsuite", name=outcome.title)
    report = outcome.report
    if report is None:
        cases = [_unexamined(outcome)]
    else:
        suite.set("time", _time(report.context.get("seconds", "0")))
        _properties(suite, report)
        cases = [_case(report, each, outcome.title, fail_on) for each in _ran(report)]
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    suite.extend(cases)
    return suite


def _ran(report: Report) -> list[Ran]:
    """List what ran, by code; a finding is reported even if its diagnostic is missing from the ledger."""
    told = [each for finding in report.findings for each in (finding, *finding.symptoms)]
    found = {each.code: Ran(each.code, each.name) for each in told}
    known = found | {each.code: each for each in report.coverage.diagnostics}
    return [known[code] for code in sorted(known)]


def _properties(suite: ElementTree.Element, report: Report) -> None:
    gaps = [(f"gap {at}", str(gap)) for at, gap in enumerate(report.coverage.gaps, 1)]
    assumed = [(f"assumption {at}", each) for at, each in enumerate(report.assumptions, 1)]
    facts = [("verdict", report.verdict), ("meaning", sentence(report)), *report.context.items(), *gaps, *assumed]
    parent = ElementTree.SubElement(suite, "properties")
    for name, value in facts:
        parent.append(_element("property", name=name, value=str(value)))


def _case(report: Report, ran: Ran, title: str, fail_on: Severity) -> ElementTree.Element:
    case = _element("testcase", name=f"{ran.code} {ran.name}", classname=title, time=_time(ran.seconds))
    findings = [each for each in report.findings if each.code == ran.code]
    gaps = [each for each in report.coverage.gaps if ran.code in each.codes]
    failing = [each for each in findings if each.severity >= fail_on]
    folded = [(cause, each) for cause in report.findings for each in cause.symptoms if each.code == ran.code]
    if failing:
        case.append(_failure(failing))
    elif reason := _not_passed(report, gaps, [cause for cause, _ in folded]):
        case.append(_element("skipped", message=reason))
    rest = [finding_text(each) for each in findings if each not in failing]
    rest += [finding_text(symptom) for _, symptom in folded]
    rest += [f"not judged: {gap}" for gap in gaps]
    if rest:
        case.append(_element("system-out", "\n\n".join(rest)))
    return case


def _not_passed(report: Report, gaps: Sequence[Gap], causes: Sequence[Finding]) -> str:
    """Say why a diagnostic that reports no failure may not be called passed; empty if it may."""
    if report.verdict == NOT_CHECKED:
        return sentence(report)
    explained = [f"what it found follows from {cause.code} {cause.name}" for cause in causes]
    return "; ".join([*explained, *(f"not judged: {gap}" for gap in gaps)])


def _failure(findings: Sequence[Finding]) -> ElementTree.Element:
    first = findings[0]
    more = f" (and {plural(len(findings) - 1, 'more finding')})" if len(findings) > 1 else ""
    message = f"{first.where}: {first.got}{more}"
    return _element("failure", "\n\n".join(map(finding_text, findings)), message=message, type=first.severity.label)


def _unexamined(outcome: Outcome) -> ElementTree.Element:
    case = _element("testcase", name="examination", classname=outcome.title, time="0")
    message = outcome.reason.partition("\n")[0]
    case.append(_element("error", outcome.reason, message=message, type=type(outcome.error).__name__))
    return case


def _time(seconds: float | str) -> str:
    """Write seconds with the three digits that Surefire's schema allows."""
    return f"{float(seconds):.3f}"


def _element(tag: str, text: str = "", **attributes: str) -> ElementTree.Element:
    element = ElementTree.Element(tag, {name: _legal(value) for name, value in attributes.items()})
    element.text = _legal(text) or None
    return element


def _legal(text: str) -> str:
    return ILLEGAL.sub(lambda match: ascii(match[0])[1:-1], printable(text))

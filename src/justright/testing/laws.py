"""Laws that every diagnostic keeps, for the entries here and for those of third parties.

Each law is a function that raises `AssertionError` with what is wrong, so that it can stand in any test runner.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from justright.checking import check
from justright.core.bibliography import BIBLIOGRAPHY, cited
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Graph
from justright.diagnostics.base import DIAGNOSTICS, Diagnostic
from justright.report.report import Report
from justright.testing.zoo import Network, healthy, sick

__all__ = ["SECTIONS", "check_diagnostic", "check_finding", "check_network", "check_page"]

SECTIONS = ("What it does", "Why is this bad", "How it is judged", "Example", "Fix", "References")
"""Sections of a manual page, in order."""

CODE = re.compile(r"[A-Z]{2,4}\d{3}")
"""How a code looks: the letters of whoever wrote it, and three digits."""

NAME = re.compile(r"[a-z]+(-[a-z]+)*")
"""How a name looks: words in lower case, joined by hyphens."""


def check_page(diagnostic: Diagnostic) -> None:
    """Hold that code, name and manual page have their form, and that every reference is in the bibliography.

    Raises
    ------
    AssertionError
        If they do not.
    """
    assert CODE.fullmatch(diagnostic.code), f"code {diagnostic.code!r}: expected letters and three digits"
    assert NAME.fullmatch(diagnostic.name), f"name {diagnostic.name!r}: expected words joined by hyphens"
    assert diagnostic.summary.endswith("."), f"{diagnostic.code}: the first line of the page is not a sentence"
    found = tuple(re.findall(r"^## (.+)$", diagnostic.page, re.MULTILINE))
    assert found == SECTIONS, f"{diagnostic.code}: the page has sections {found}, expected {SECTIONS}"
    bodies = re.split(r"^## .+$", diagnostic.page, flags=re.MULTILINE)[1:]
    assert all(body.strip() for body in bodies), f"{diagnostic.code}: a section of the page is empty"
    unknown = cited(diagnostic.page) - BIBLIOGRAPHY.keys()
    assert not unknown, f"{diagnostic.code}: {sorted(unknown)} not in the bibliography"
    assert cited(bodies[-1]), f"{diagnostic.code}: no reference"


def check_finding(finding: Finding, graph: Graph) -> None:
    """Hold that a finding has its four parts, evidence outside of its interval, and names what exists.

    Raises
    ------
    AssertionError
        If it does not.
    """
    where = f"{finding.code} at {finding.where}"
    assert DIAGNOSTICS[finding.code].name == finding.name, f"{where}: name {finding.name!r}"
    parts = {"where": finding.where, "got": finding.got, "expected": finding.expected, "because": finding.because}
    empty = [name for name, text in {**parts, "try": finding.try_}.items() if not text.strip()]
    assert not empty, f"{where}: empty {', '.join(empty)}"
    assert finding.evidence, f"{where}: no evidence"
    for evidence in finding.evidence:
        assert evidence.unit, f"{where}: {evidence.name} has no unit"
        assert _outside(evidence), f"{where}: {evidence} lies inside its interval"
    assert finding.sites, f"{where}: no sites"
    missing = [name for name in finding.sites if name not in graph.by_name]
    assert not missing, f"{where}: {missing} not in the graph"


def _outside(evidence: Evidence) -> bool:
    low = -math.inf if evidence.low is None else evidence.low
    high = math.inf if evidence.high is None else evidence.high
    return not math.isnan(evidence.value) and not low <= evidence.value <= high


def check_network(network: Network, seed: int = 0) -> Report:
    """Hold that a network of the zoo gets the verdict that it deserves, and that every finding keeps its law.

    Returns
    -------
    Report
        What `justright.check` found.

    Raises
    ------
    AssertionError
        On a false alarm, a miss, or another name first.
    """
    model, batch, loss = network.build(seed)
    report = check(model, batch, loss=loss, optimizer=network.optimizer)
    for finding in report.findings:
        for each in (finding, *finding.symptoms):
            check_finding(each, report.graph)
    alarms = [finding for finding in report.findings if finding.severity > Severity.NOTE]
    first = alarms[0].code if alarms else None
    told = "".join(f"\n  {each.code} {each.severity.label} {each.where}: {each.got}" for each in alarms)
    assert first == network.fault, f"{network.name}, seed {seed}: expected {network.fault}, got {first}{told}"
    return report


def check_diagnostic(
    diagnostic: Diagnostic, *, networks: Iterable[Network] | None = None, seeds: Iterable[int] = (0,)
) -> None:
    """Hold every law about one diagnostic: its page, and its verdict on networks that are sick and healthy.

    Parameters
    ----------
    diagnostic
        An entry of `justright.diagnostics.base.DIAGNOSTICS`.
    networks
        Networks to hold it against; those of the zoo that have its fault, and all healthy ones, by default.
    seeds
        Seeds with which each is built.

    Raises
    ------
    AssertionError
        If one is broken.
    """
    check_page(diagnostic)
    chosen = (*sick(diagnostic.code), *healthy()) if networks is None else tuple(networks)
    faults = {network.name for network in chosen if network.fault == diagnostic.code}
    assert len(faults) > 1, f"{diagnostic.code}: {len(faults)} networks with this fault, expected two or more"
    for seed in seeds:
        for network in chosen:
            check_network(network, seed)

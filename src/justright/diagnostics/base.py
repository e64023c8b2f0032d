"""What a diagnostic is: a code, a name, a manual page, and a function from a case to findings."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from justright.core.coverage import Gap, Ran
from justright.core.depth import Layer, layers
from justright.core.findings import Finding
from justright.core.graph import Graph
from justright.core.profile import Profile, Provenance, SiteRecord
from justright.diagnostics.folding import folded
from justright.registry import Catalogue

__all__ = ["DIAGNOSTICS", "Case", "Diagnostic", "diagnose", "diagnostic"]


@dataclass(frozen=True)
class Case:
    """What a diagnostic reads: a graph and its profile, measured or predicted."""

    graph: Graph
    profile: Profile

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Weights with their uses, shallowest first."""
        return layers(self.graph)

    def record(self, site: int) -> SiteRecord | None:
        """Record of a site by its index in the graph."""
        return self.profile.by_name.get(self.graph.sites[site].name)

    def place(self, site: int) -> str:
        """Name a site for people, with its source line where known."""
        line = self.graph.source_of(site)
        return f"{self.graph.sites[site].name} ({line})" if line else self.graph.sites[site].name


Check = Callable[[Case], Iterable[Finding | Gap]]


@dataclass(frozen=True)
class Diagnostic:
    """One diagnostic.

    Parameters
    ----------
    code
        Stable code, ``"JR103"``.
    name
        Name, ``"vanishing-gradient"``.
    page
        Manual page in Markdown: the docstring of its module.
    check
        From a case to findings, and to gaps where something could not be judged.
    rank
        Order among findings of one severity, what causes first and what it shows in last: equal weights make signals
        explode, large weights saturate units and so make gradients explode.
    causes
        Codes of diagnostics that explain a finding of this one, all of lower rank; it then folds into theirs.
    predicts
        Whether it can also judge a predicted profile, which has no units, relations, data or step.
    """

    code: str
    name: str
    page: str
    check: Check
    rank: int
    causes: tuple[str, ...] = ()
    predicts: bool = False

    @property
    def summary(self) -> str:
        """First line of the page."""
        return self.page.strip().splitlines()[0]


DIAGNOSTICS: Catalogue[Diagnostic] = Catalogue("diagnostic", package="justright.diagnostics")
"""Diagnostics by code."""


def diagnostic(
    code: str, name: str, *, rank: int = 9, causes: tuple[str, ...] = (), predicts: bool = False
) -> Callable[[Check], Check]:
    """Register the decorated function as a diagnostic; its module's docstring is the manual page.

    Parameters
    ----------
    code, name, rank, causes, predicts
        See `Diagnostic`.
    """

    def register(check: Check) -> Check:
        page = inspect.cleandoc(sys.modules[check.__module__].__doc__ or "")
        DIAGNOSTICS.register(code, Diagnostic(code, name, page, check, rank, causes, predicts))
        return check

    return register


def diagnose(
    case: Case, *, tell: Callable[[Ran], None] = lambda _: None
) -> tuple[tuple[Finding, ...], tuple[Gap, ...]]:
    """Run every diagnostic; return findings, worst first and causes first among equals, and what was not judged.

    What one finding explains is folded into it. A profile that was predicted is read by those that can judge it; the
    others are stated as a gap.

    Parameters
    ----------
    case
        What to read.
    tell
        Told of every diagnostic when it has run.
    """
    measured = case.profile.provenance is Provenance.MEASURED
    entries = [entry for entry in DIAGNOSTICS.values() if measured or entry.predicts]
    yielded = [each for entry in entries for each in _run(entry, case, tell)]
    findings = sorted((each for each in yielded if isinstance(each, Finding)), key=_order)
    causes = {code: entry.causes for code, entry in DIAGNOSTICS.items()}
    gaps = [each for each in yielded if isinstance(each, Gap)] + _unpredictable(entries)
    return tuple(sorted(folded(findings, case.graph, causes), key=_order)), _merged(gaps)


def _unpredictable(judged: list[Diagnostic]) -> list[Gap]:
    codes = tuple(code for code, entry in DIAGNOSTICS.items() if entry not in judged)
    reason = "they need the values of a run, and say nothing about a prediction: justright check runs it"
    return [Gap("diagnostics that were not run", reason, len(codes), codes=codes)] if codes else []


def _merged(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Make one gap of those that several diagnostics state in the same words."""
    codes: dict[Gap, tuple[str, ...]] = {}
    for gap in gaps:
        plain = replace(gap, codes=())
        codes[plain] = (*codes.get(plain, ()), *gap.codes)
    return tuple(replace(gap, codes=each) for gap, each in codes.items())


def _order(finding: Finding) -> tuple[int, int, str]:
    return -finding.severity, DIAGNOSTICS[finding.code].rank, finding.code


def _run(entry: Diagnostic, case: Case, tell: Callable[[Ran], None]) -> Iterator[Finding | Gap]:
    began = time.perf_counter()
    for each in entry.check(case):
        yield replace(each, codes=(entry.code,)) if isinstance(each, Gap) else each
    tell(Ran(entry.code, entry.name, time.perf_counter() - began))

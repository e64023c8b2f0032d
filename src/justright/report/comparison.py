"""Two reports compared: which findings went, came and stayed, and which sites changed most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from justright.core.findings import Finding
from justright.core.profile import SiteRecord, TensorStatistics
from justright.errors import InputError
from justright.report.load import SavedReport, load, saved
from justright.report.matching import joined_sites, sorted_findings
from justright.report.report import Report
from justright.report.serialize import deliver, dumps, strict
from justright.report.text import plural

if TYPE_CHECKING:
    from justright.report.compared import TerminalComparison

__all__ = ["Comparison", "SiteChange", "compare"]

SCHEMA: Final = "justright.comparison/1"
"""Name and version of the schema of a comparison's JSON."""

ReportLike = Report | SavedReport | str | Path
"""A report, or the JSON file that it was written to."""


@dataclass(frozen=True, slots=True)
class SiteChange:
    """One site before and after.

    Parameters
    ----------
    before, after
        Its records.
    """

    before: SiteRecord
    after: SiteRecord

    @property
    def renamed(self) -> bool:
        """Whether the two have different names, and were joined by their module and order."""
        return self.before.name != self.after.name

    @property
    def forward(self) -> float:
        """RMS after over RMS before; ``nan`` where one is missing or not a number."""
        return _factor(self.before.forward, self.after.forward)

    @property
    def gradient(self) -> float:
        """The same of the gradient."""
        return _factor(self.before.gradient, self.after.gradient)

    def size(self, direction: str) -> float:
        """Return how many natural units the RMS changed by, up or down; infinite from or to zero, 0 if unknown.

        Parameters
        ----------
        direction
            ``"forward"`` or ``"gradient"``.
        """
        return _size(getattr(self.before, direction), getattr(self.after, direction))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        rms = {
            f"{direction}_{time}": _rms(getattr(record, direction))
            for direction in ("forward", "gradient")
            for time, record in (("before", self.before), ("after", self.after))
        }
        names = {"before": self.before.name, "after": self.after.name, "module": self.after.module}
        return {**names, **rms, "forward_factor": self.forward, "gradient_factor": self.gradient}


@dataclass(frozen=True, repr=False)
class Comparison:
    """What changed between two reports.

    Parameters
    ----------
    before, after
        The reports.
    went, came
        Findings that only the first has, and that only the second has; symptoms count like findings.
    stayed
        Findings that both have: of the same code, at the same place or at sites in common.
    changes
        Sites that both have, in the execution order of the second.
    only_before, only_after
        Names of the sites that only one has.
    """

    before: SavedReport
    after: SavedReport
    went: tuple[Finding, ...]
    came: tuple[Finding, ...]
    stayed: tuple[tuple[Finding, Finding], ...]
    changes: tuple[SiteChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What changed, in one sentence."""
        counts = (("went", self.went), ("came", self.came), ("stayed", self.stayed))
        found = ", ".join(f"{plural(len(some), 'finding')} {verb}" for verb, some in counts if some) or "no findings"
        return f"{self.before.verdict} before, {self.after.verdict} after; {found}"

    @property
    def joined(self) -> str:
        """How the sites were joined, in one sentence."""
        renamed = sum(change.renamed for change in self.changes)
        parts = [f"{plural(len(self.changes), 'site')} in common"]
        if renamed:
            parts.append(f"{renamed:,} of them under different names, joined by module, operator and order")
        parts += [f"{len(self.only_before):,} only before"] if self.only_before else []
        parts += [f"{len(self.only_after):,} only after"] if self.only_after else []
        return ", ".join(parts)

    def largest(self, direction: str, count: int) -> tuple[SiteChange, ...]:
        """Return the sites whose RMS changed most, the largest factor up or down first.

        Parameters
        ----------
        direction
            ``"forward"`` or ``"gradient"``.
        count
            How many at most.
        """
        changed = [change for change in self.changes if change.size(direction) > 0]
        return tuple(sorted(changed, key=lambda change: -change.size(direction))[:count])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold, in the schema ``justright.comparison/1``."""
        data: dict[str, Any] = strict(
            {
                "schema": SCHEMA,
                "before": {"title": self.before.title, "verdict": self.before.verdict},
                "after": {"title": self.after.title, "verdict": self.after.verdict},
                "went": [finding.to_dict() for finding in self.went],
                "came": [finding.to_dict() for finding in self.came],
                "stayed": [{"before": one.to_dict(), "after": two.to_dict()} for one, two in self.stayed],
                "sites": [change.to_dict() for change in self.changes],
                "only_before": list(self.only_before),
                "only_after": list(self.only_after),
            }
        )
        return data

    def to_json(self, path: str | Path | None = None) -> str | Path:
        """Return strict JSON, or write it to a file and return its path.

        Parameters
        ----------
        path
            File to write; ``None`` returns the text.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        return deliver(dumps(self.to_dict(), indent=None if path is None else 1), path)

    def to_html(self, path: str | Path | None = None) -> str | Path:
        """Return one HTML page with both profiles, or write it to a file and return its path.

        Parameters
        ----------
        path
            File to write; ``None`` returns the text.

        Raises
        ------
        BackendError
            If jinja2 or plotly is missing.
        OSError
            If the file cannot be written.
        """
        from justright.report.compared_html import comparison_page

        return deliver(comparison_page(self), path)

    def __rich__(self) -> TerminalComparison:
        """Return what rich prints."""
        from justright.report.compared import TerminalComparison

        return TerminalComparison(self)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Comparison of {self.before.title!r} and {self.after.title!r}: {self.sentence}>"


def compare(before: ReportLike, after: ReportLike) -> Comparison:
    """Compare two reports of the same network, or of two versions of it.

    Parameters
    ----------
    before, after
        Reports, or the JSON files that they were written to.

    Raises
    ------
    InputError
        If a file cannot be read as a report, or the two have no site in common.
    """
    old, new = _saved(before), _saved(after)
    pairs = list(joined_sites(old.sites, new.sites))
    if not pairs:
        raise InputError(
            f"{plural(len(old.sites), 'site')} before and {plural(len(new.sites), 'site')} after, none in common",
            where="comparison", expected="two reports of one network, or of two versions of it",
            try_="justright check MODEL --json before.json, and again with after.json",
        )  # fmt: skip
    joined = {record.name for record, _ in pairs}, {record.name for _, record in pairs}
    only = [
        tuple(record.name for record in each.sites if record.name not in names)
        for each, names in zip((old, new), joined, strict=True)
    ]
    return Comparison(
        old, new, *sorted_findings(old.findings, new.findings), tuple(SiteChange(*pair) for pair in pairs), *only
    )


def _saved(report: ReportLike) -> SavedReport:
    if isinstance(report, SavedReport):
        return report
    return saved(report.to_dict()) if isinstance(report, Report) else load(report)


def _rms(statistics: TensorStatistics | None) -> float | None:
    return None if statistics is None else statistics.rms


def _factor(before: TensorStatistics | None, after: TensorStatistics | None) -> float:
    if before is None or after is None:
        return math.nan
    if before.rms == after.rms:
        return 1.0
    return after.rms / before.rms if before.rms else after.rms * math.inf


def _size(before: TensorStatistics | None, after: TensorStatistics | None) -> float:
    if before is None or after is None:
        return 0.0
    usable = [0 < each.rms < math.inf for each in (before, after)]
    if all(usable):
        return abs(math.log(after.rms) - math.log(before.rms))
    return math.inf if any(usable) or (before.rms == 0) != (after.rms == 0) else 0.0

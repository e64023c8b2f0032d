"""The report: what was found about one network, in every form in which it is shown."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from justright.core.coverage import Coverage
from justright.core.findings import Finding, Severity, verdict_of
from justright.core.graph import Graph
from justright.core.profile import Profile
from justright.report import serialize
from justright.report.optional import optional
from justright.report.text import plural
from justright.report.verdict import NOT_CHECKED

if TYPE_CHECKING:
    from justright.core.prediction import Forecast
    from justright.report.terminal import TerminalReport

__all__ = ["Report"]


@dataclass(frozen=True, repr=False)
class Report:
    """What was found about one network.

    Parameters
    ----------
    title
        What was examined, in a few words.
    graph
        Its operators.
    profile
        Statistics at every site.
    findings
        Numbers outside their interval; kept worst first, otherwise in the order given.
    coverage
        What was checked and what was not.
    context
        Facts such as the model's class, the loss, the mode, the device, versions; shown in this order.
    forecast
        What was predicted of the network as a whole, where the profile is a prediction.

    Examples
    --------
    >>> report = Report("empty", Graph((), ()), Profile(()))
    >>> report.verdict, report.worst
    ('not checked', None)
    >>> report
    <Report 'empty': not checked, 0 findings, 0 sites>
    """

    title: str
    graph: Graph
    profile: Profile
    findings: tuple[Finding, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    context: Mapping[str, str] = field(default_factory=dict)
    forecast: Forecast | None = None

    def __post_init__(self) -> None:
        """Put the worst findings first."""
        ordered = sorted(self.findings, key=lambda finding: -finding.severity)
        object.__setattr__(self, "findings", tuple(ordered))

    @property
    def verdict(self) -> str:
        """``"error"``, ``"warning"``, ``"healthy"``; ``"not checked"`` if no tensor was examined and nothing found."""
        return verdict_of(self.findings) if self.findings or self.coverage.forward else NOT_CHECKED

    @property
    def worst(self) -> Severity | None:
        """Severity of the worst finding; ``None`` without findings."""
        return self.findings[0].severity if self.findings else None

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What was chosen on the user's behalf, while tracing and while measuring; each once."""
        return tuple(dict.fromkeys((*self.coverage.assumptions, *self.graph.notes)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold, in the schema ``justright.report/1``."""
        return serialize.report_data(self)

    @overload
    def to_json(self) -> str: ...
    @overload
    def to_json(self, path: str | Path) -> Path: ...
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
        return serialize.deliver(serialize.dumps(self.to_dict(), indent=None if path is None else 1), path)

    @overload
    def to_html(self) -> str: ...
    @overload
    def to_html(self, path: str | Path) -> Path: ...
    def to_html(self, path: str | Path | None = None) -> str | Path:
        """Return one HTML page that opens offline, or write it to a file and return its path.

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
        from justright.report.html import page

        return serialize.deliver(page(self), path)

    def to_pandas(self) -> Any:  # noqa: ANN401  pandas is optional, so its type cannot be named here
        """Return one row a site as a `pandas.DataFrame`.

        Raises
        ------
        BackendError
            If pandas is missing.
        """
        with optional("pandas", try_="pip install pandas"):
            return self.profile.to_pandas()

    def annotate(self, width: int = 120, *, ascii_only: bool = False) -> str:
        """Return the user's own source lines, each with the RMS of what it made and of its gradient.

        Parameters
        ----------
        width
            Number of columns that no line exceeds; at least 40 are used.
        ascii_only
            Whether to write arrows and other signs with ASCII characters.
        """
        from justright.report.source import annotated

        return annotated(self, width, ascii_only=ascii_only)

    def __rich__(self) -> TerminalReport:
        """Return what rich prints."""
        from justright.report.terminal import TerminalReport

        return TerminalReport(self)

    def __str__(self) -> str:
        """Return the terminal report as plain text, in characters that standard output can show."""
        from justright.report.terminal import plain

        return plain(self, encoding=getattr(sys.stdout, "encoding", None) or "utf-8")

    def __repr__(self) -> str:
        """Return one line; the data are far too long for more."""
        found = plural(len(self.findings), "finding")
        return f"<Report {self.title!r}: {self.verdict}, {found}, {plural(len(self.profile.sites), 'site')}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the findings and a small picture, without any script."""
        from justright.report.notebook import fragment

        return fragment(self)

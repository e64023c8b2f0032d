"""The report as one HTML page that opens without a network."""

from __future__ import annotations

import gzip
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from justright.core.formats import LOST
from justright.report.foreseen import agreement, forecast_view
from justright.report.optional import optional
from justright.report.plots.heatmap import heatmap
from justright.report.plots.profile import figure, in_execution_order
from justright.report.plots.scales import window_words, windows_svg
from justright.report.plots.svg import depth_svg
from justright.report.precision import format_fits, loss_scales
from justright.report.serialize import dumps
from justright.report.text import number, percent, plural, printable
from justright.report.verdict import sentence

with optional("jinja2"):
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

with optional("plotly"):
    from plotly.offline import get_plotlyjs

if TYPE_CHECKING:
    from justright.core.findings import Evidence, Finding
    from justright.core.profile import SiteRecord
    from justright.report.report import Report

__all__ = ["page", "rendered", "script_json"]

NAMED_SITES: Final = 12
"""Sites that a finding's card names; the others are links by number, to keep the page small."""

SCRIPTS: Final = ("page.js", "plots.js", "table.js", "sites.js", "profile.js", "heatmap.js", "tree.js", "report.js")
"""Parts of the page's script, in the order in which they need each other."""


class Card(NamedTuple):
    """A finding and the sites it links to: those named, those by number, and names that are no site."""

    finding: Finding
    named: list[tuple[str, int]]
    numbered: list[int]
    unlinked: list[str]


def page(report: Report) -> str:
    """Return the whole page.

    Parameters
    ----------
    report
        What to show; every text from it is escaped.
    """
    records = in_execution_order(report)
    positions = {record.name: index for index, record in enumerate(records)}
    fits, scales = format_fits(records), loss_scales(report)
    forecast = report.forecast and forecast_view(report, report.forecast, fits, scales)
    return rendered(
        "report.html.j2",
        SCRIPTS,
        _data(report, records),
        report=report,
        records=records,
        positions=positions,
        word=report.verdict,
        sentence=sentence(report),
        cards=[_card(finding, positions) for finding in report.findings],
        picture=Markup(depth_svg(report)),
        fits=fits,
        scales=scales,
        windows=Markup(windows_svg([(each.format.name, each.window) for each in scales])),
        lost=LOST,
        forecast=forecast,
        growth=[Markup(each) for each in forecast.pictures] if forecast else [],
        agreement=None if forecast else agreement(records),
    )


def rendered(template: str, scripts: Iterable[str], data: Mapping[str, Any], **values: object) -> str:
    """Return a page: a template with the style, the data, the scripts and what draws the charts.

    Parameters
    ----------
    template
        File name of the template.
    scripts
        File names of the parts of its script.
    data
        What the script reads.
    **values
        What the template reads.
    """
    parts = "\n".join(_source(name) for name in scripts)
    script = _closed(f'"use strict";\n(() => {{\n{parts}}})();\n')
    packed, digest = _plotly()
    return (
        _environment()
        .get_template(template)
        .render(
            data=script_json(data),
            policy=_policy([_digest(script), digest]),
            style=Markup(_source("report.css")),
            plotly=Markup(packed),
            script=script,
            **values,
        )
    )


@cache
def _plotly() -> tuple[str, str]:
    """Return plotly's script compressed, and the digest by which the page's policy allows it."""
    script = get_plotlyjs()
    return b64encode(gzip.compress(script.encode(), mtime=0)).decode(), _digest(script)


def _data(report: Report, records: tuple[SiteRecord, ...]) -> dict[str, Any]:
    """Return what the page's script reads."""
    found: dict[str, list[int]] = {}
    for index, finding in enumerate(report.findings):
        for name in dict.fromkeys(site for each in (finding, *finding.symptoms) for site in each.sites):
            found.setdefault(name, []).append(index)
    data = figure(report)
    data["sites"]["found"] = [found.get(record.name, []) for record in records]
    named = [(each.code, each.severity.label, each.name) for each in report.findings]
    return {
        **data,
        "title": printable(report.title),
        "findings": [
            {"code": printable(code), "severity": severity, "name": printable(name)} for code, severity, name in named
        ],
        "modules": {printable(node.module): printable(node.module_type) for node in report.graph.nodes},
        "heatmap": heatmap(records),
    }


def script_json(data: Mapping[str, Any]) -> Markup:
    r"""Write JSON that cannot end the script element it stands in.

    Examples
    --------
    >>> print(script_json({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    text = dumps(data).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("justright.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"number": number, "plural": plural, "percent": percent, "interval": _interval}
    environment.filters |= {"window": window_words, "binades": _binades, "identity": id}
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401
    """Escape control characters; HTML's own are escaped by Jinja after this."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _closed(script: str) -> Markup:
    """Make sure that a script cannot end its own element."""
    return Markup(script.replace("</script", "<\\/script"))


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def _policy(digests: Iterable[str]) -> str:
    """Forbid the page every connection and every script but its own two; plotly compiles its WebGL code itself."""
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    images = "img-src data: blob:"
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; {images}"


def _card(finding: Finding, positions: Mapping[str, int]) -> Card:
    linked = [(name, positions[name]) for name in finding.sites if name in positions]
    rest = [position for _, position in linked[NAMED_SITES:]]
    return Card(finding, linked[:NAMED_SITES], rest, [name for name in finding.sites if name not in positions])


def _interval(evidence: Evidence) -> str:
    """Write the healthy interval in words.

    Parameters
    ----------
    evidence
        A number with its bounds.
    """
    low, high = evidence.low, evidence.high
    if low is not None and high is not None:
        return f"{number(low)} to {number(high)}"
    if low is not None:
        return f"at least {number(low)}"
    return "any" if high is None else f"at most {number(high)}"


def _binades(value: float) -> str:
    """Write a number of binades."""
    if math.isfinite(value):
        return f"{value:.1f}"
    return "all" if value > 0 else "none: not finite"

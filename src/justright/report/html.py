"""The report as one HTML page that opens without a network."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from justright.report.optional import optional
from justright.report.plots.profile import figure, in_execution_order
from justright.report.plots.svg import depth_svg
from justright.report.serialize import dumps
from justright.report.text import number, plural, printable
from justright.report.verdict import sentence

with optional("jinja2"):
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

with optional("plotly"):
    from plotly.offline import get_plotlyjs

if TYPE_CHECKING:
    from justright.core.findings import Evidence, Finding
    from justright.report.report import Report

__all__ = ["page", "script_json"]

NAMED_SITES: Final = 12
"""Sites that a finding's card names; the others are links by number, to keep the page small."""


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
    scripts = {"plotly": _closed(get_plotlyjs()), "script": _closed(_source("report.js"))}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            word=report.verdict,
            sentence=sentence(report),
            cards=_cards(report),
            data=script_json(figure(report)),
            picture=Markup(depth_svg(report)),
            policy=_policy(scripts.values()),
            style=Markup(_source("report.css")),
            **scripts,
        )
    )


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
    environment.filters |= {"number": number, "plural": plural, "interval": _interval}
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


def _policy(scripts: Iterable[str]) -> str:
    """Forbid the page every connection and every script but its own two; plotly compiles its WebGL code itself."""
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    images = "img-src data: blob:"
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; {images}"


def _cards(report: Report) -> list[Card]:
    positions = {record.name: index for index, record in enumerate(in_execution_order(report))}
    return [_card(finding, positions) for finding in report.findings]


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

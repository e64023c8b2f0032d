"""Saved reports: what a comparison needs of a JSON report, read back with the errors that a file may have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from justright.core.findings import Evidence, Finding, Severity
from justright.core.prediction import Estimate, Predicted
from justright.core.profile import Provenance, SiteRecord, TensorStatistics, UnitStatistics
from justright.errors import InputError
from justright.report.serialize import SCHEMA

__all__ = ["SavedReport", "load", "saved"]

Made = TypeVar("Made")

TRY: Final = "justright check MODEL --json report.json"

NUMBERS: Final = {"nan", "inf", "-inf"}
"""How the schema writes numbers that are not finite."""


@dataclass(frozen=True)
class SavedReport:
    """What is kept of a report when only its JSON is left.

    Parameters
    ----------
    title, verdict
        As in the report.
    findings
        Worst first, each with its symptoms.
    sites
        Records in execution order; inputs and parameters stand where they are first read. They hold statistics, units,
        gain and depth, and none of what only diagnostics read.
    context
        Facts about the run.
    """

    title: str
    verdict: str
    findings: tuple[Finding, ...]
    sites: tuple[SiteRecord, ...]
    context: Mapping[str, str]


def load(path: str | Path) -> SavedReport:
    """Read a report from a file that `Report.to_json` wrote.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If there is no such file, it is no JSON, or no report in the schema that this version reads.
    """
    where = str(path)
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        got = f"{error.strerror or error}: {where}"
        raise InputError(got, where="report", expected="a JSON report that can be read", try_=TRY) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"no JSON ({error})", where=where, expected="a JSON report", try_=TRY) from error
    return saved(data, where)


def saved(data: object, where: str = "report") -> SavedReport:
    """Make a saved report of the plain data that `Report.to_dict` returns.

    Parameters
    ----------
    data
        The data; keys that this version does not know are ignored.
    where
        What to call it in an error.

    Raises
    ------
    InputError
        If it is no report in the schema that this version reads.
    """
    schema = data.get("schema") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or schema != SCHEMA:
        got = f"schema {schema!r}" if schema is not None else "JSON that is no report (it has no schema)"
        raise InputError(got, where=where, expected=f"a report in schema {SCHEMA!r}", try_=TRY)
    try:
        return _report(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        got = f"a report with a part that is missing or wrong ({type(error).__name__}: {error})"
        expected = f"what docs/report-schema.md says of schema {SCHEMA!r}"
        raise InputError(got, where=where, expected=expected, try_=TRY) from error


def _report(data: Mapping[str, Any]) -> SavedReport:
    places = _places(data["graph"])
    last = (len(data["graph"]), 0)
    records = sorted(map(_site, data["profile"]["sites"]), key=lambda record: places.get(record.name, last))
    findings = tuple(map(_finding, data["findings"]))
    context = {str(key): str(value) for key, value in data["context"].items()}
    return SavedReport(str(data["title"]), str(data["verdict"]), findings, tuple(records), context)


def _places(nodes: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Say when each site is made, or first read."""
    places: dict[str, tuple[int, int]] = {}
    for index, node in enumerate(nodes):
        for late, names in enumerate((node["inputs"], node["outputs"])):
            for name in names:
                places.setdefault(name, (index, late))
    return places


def _site(data: Mapping[str, Any]) -> SiteRecord:
    parts: dict[str, Any] = {
        "shape": tuple(data["shape"]),
        "forward": _statistics(data["forward"]),
        "gradient": _statistics(data["gradient"]),
        "units": _made(UnitStatistics, data["units"]) if data["units"] else None,
        "predicted": _predicted(data.get("predicted")),
    }
    plain = ("name", "op", "module", "source", "dtype", "role", "gain", "cumulative", "depth")
    return SiteRecord(**parts, **{name: _number(data[name]) if name in _NUMERIC else data[name] for name in plain})


def _predicted(data: Mapping[str, Any] | None) -> Predicted | None:
    if data is None:
        return None
    return Predicted(*(_estimate(data[side]) for side in ("forward", "gradient")))


def _estimate(data: Mapping[str, Any] | None) -> Estimate | None:
    return None if data is None else _made(Estimate, {**data, "provenance": Provenance[data["provenance"].upper()]})


_NUMERIC: Final = {"gain", "cumulative"}


def _statistics(data: Mapping[str, Any] | None) -> TensorStatistics | None:
    if data is None:
        return None
    histogram = tuple((int(exponent), int(count)) for exponent, count in data["histogram"])
    return _made(TensorStatistics, {**data, "histogram": histogram})


def _finding(data: Mapping[str, Any]) -> Finding:
    nested = {
        "severity": Severity[data["severity"].upper()],
        "try_": data["try"],
        "evidence": tuple(_made(Evidence, item) for item in data["evidence"]),
        "sites": tuple(data["sites"]),
        "symptoms": tuple(_finding(each) for each in data.get("symptoms", ())),
    }
    return _made(Finding, {**data, **nested})


def _made(kind: type[Made], data: Mapping[str, Any]) -> Made:
    """Make a dataclass of the keys that it knows."""
    return kind(**dict(_known(kind, data)))


def _known(kind: Any, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  any dataclass
    for field in dataclasses.fields(kind):
        if field.name in data or field.default is dataclasses.MISSING:
            value = data[field.name]
            yield field.name, _number(value) if "float" in str(field.type) else value


def _number(value: Any) -> Any:  # noqa: ANN401
    """Read a number; the schema writes those that are not finite as strings."""
    if value is None:
        return None
    if isinstance(value, str) and value not in NUMBERS:
        raise ValueError(f"{value!r} is no number")
    return float(value)

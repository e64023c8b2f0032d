"""Laws of the JSON report: strict, complete, and as its documentation says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from justright.report.serialize import SCHEMA, dumps

DOCUMENT = Path(__file__).parents[2] / "docs" / "report-schema.md"
TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def refuse(literal):
    raise AssertionError(f"{literal} is no JSON")


def documented():
    """Key paths of the schema's page, each with the types it may have."""
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {path: kinds.split(" or ") for path, kinds in rows}


def paths(value, prefix=""):
    """Key paths of plain data, with the value at each."""
    if isinstance(value, dict):
        for key, item in value.items():
            path = f"{prefix}.*" if prefix == "context" else f"{prefix}.{key}".lstrip(".")
            yield path, item
            yield from paths(item, path)
    elif isinstance(value, list):
        for item in value:
            yield from paths(item, f"{prefix}[]")


def fits(value, kind):
    if kind == "number" and value in ("nan", "inf", "-inf"):
        return True
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def test_the_text_is_strict_json_and_says_the_same_as_the_data(report):
    assert json.loads(report.to_json(), parse_constant=refuse) == report.to_dict()


def test_the_file_holds_the_same_as_the_text(reports, tmp_path):
    report = reports["hostile"]
    path = report.to_json(tmp_path / "report.json")
    assert json.loads(path.read_text(encoding="ascii"), parse_constant=refuse) == json.loads(report.to_json())


def test_the_schema_comes_first_and_the_verdict_is_that_of_the_worst_finding(report):
    data = report.to_dict()
    assert next(iter(data.items())) == ("schema", SCHEMA)
    severities = {finding["severity"] for finding in data["findings"]}
    silent = "healthy" if report.coverage.forward or report.findings else "not checked"
    expected = next((name for name in ("error", "warning") if name in severities), silent)
    assert data["verdict"] == expected


def test_every_value_has_the_type_that_its_page_gives(report):
    types = documented()
    wrong = [
        (path, value)
        for path, value in paths(report.to_dict())
        if not any(fits(value, kind) for kind in types.get(path, []))
    ]
    assert wrong == []


def test_the_page_documents_no_key_that_no_report_has(reports):
    seen = {path for report in reports.values() for path, _ in paths(report.to_dict())}
    assert set(documented()) == seen


def test_every_part_of_every_finding_and_every_gap_is_there(report):
    data = report.to_dict()
    for written, finding in zip(data["findings"], report.findings, strict=True):
        parts = (finding.where, finding.got, finding.expected, finding.because, finding.try_)
        assert tuple(written[key] for key in ("where", "got", "expected", "because", "try")) == parts
    assert [gap["what"] for gap in data["coverage"]["gaps"]] == [gap.what for gap in report.coverage.gaps]
    assert set(data["coverage"]["assumptions"]) == {*report.coverage.assumptions, *report.graph.notes}


def test_findings_are_sorted_worst_first_and_stay_in_order_otherwise(reports):
    from dataclasses import replace

    findings = reports["vanishing"].findings
    twice = tuple(replace(finding, code=f"{finding.code}.{copy}") for copy in (1, 2) for finding in reversed(findings))
    codes = [finding.code for finding in replace(reports["vanishing"], findings=twice).findings]
    assert codes == [f"{finding.code}.{copy}" for finding in findings for copy in (1, 2)]


@pytest.mark.parametrize("value", [np.float32("nan"), np.float64("inf"), np.int64(3), float("-inf")])
def test_numbers_of_numpy_and_numbers_that_are_not_finite_are_written(value):
    read = json.loads(dumps({"value": value}), parse_constant=refuse)["value"]
    assert float(read) == float(value) or np.isnan(value)

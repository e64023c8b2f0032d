"""Laws of ``justright compare``: two reports in, one answer out, and one clear error for anything else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from justright.core.findings import Finding, Severity
from justright.core.graph import GraphBuilder, Role
from justright.core.profile import Profile, SiteRecord, TensorStatistics
from justright.report import Report


def made(rms, *findings, site="input.0"):
    """A report of one tensor."""
    builder = GraphBuilder()
    builder.leaf(site, (4,), "float32", Role.INPUT)
    forward = TensorStatistics(4, 0.0, rms, rms, rms, rms, 0.0, histogram=((0, 4),))
    record = SiteRecord(site, "", "", "", (4,), "float32", "input", forward=forward)
    return Report("net", builder.finish(), Profile((record,)), tuple(findings))


FINDING = Finding("JR999", "made-up", Severity.ERROR, "fc", "0", "1", "it is", "nothing", sites=("input.0",))


@pytest.fixture
def two(tmp_path):
    """Two reports: a finding goes, another stays, and the signal grows four times."""
    stays = replace(FINDING, code="JR998", severity=Severity.WARNING)
    before, after = made(1.0, FINDING, stays), made(4.0, stays)
    return before.to_json(tmp_path / "before.json"), after.to_json(tmp_path / "after.json")


def test_the_terminal_says_what_went_stayed_and_changed(run, two):
    result = run("compare", *two)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    went, stayed = lines.index(["Went"]), lines.index(["Stayed"])
    assert lines[went + 1][:2] == ["error", "JR999"]
    assert lines[stayed + 1][:2] == ["warning", "JR998"]
    assert ["Came"] not in lines
    assert ["input.0", "1", "4", "×4"] in lines


def test_the_files_are_written_and_named(run, two, tmp_path):
    page, data = tmp_path / "out.html", tmp_path / "out.json"
    result = run("compare", *two, "--html", page, "--json", data)
    assert result.exit_code == 0
    assert f"wrote {page}" in result.stdout
    assert f"wrote {data}" in result.stdout
    assert "made-up" in page.read_text(encoding="utf-8")
    assert [each["code"] for each in json.loads(data.read_text())["went"]] == ["JR999"]


def test_json_on_standard_output_is_json_alone(run, two, tmp_path):
    result = run("compare", *two, "--json", "-", "--html", tmp_path / "out.html")
    assert json.loads(result.stdout)["sites"][0]["forward_factor"] == 4.0
    assert "wrote" in result.stderr


def test_quiet_prints_nothing(run, two):
    result = run("compare", *two, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("name", "text", "got"),
    [
        ("none.json", None, "No such file"),
        ("text.json", "hello", "no JSON"),
        ("other.json", '{"schema": "justright.report/99"}', "justright.report/99"),
        ("plain.json", "{}", "no report"),
        (".", None, "directory"),
    ],
)
@pytest.mark.parametrize("second", [False, True])
def test_what_is_no_report_is_refused_in_four_parts(refused, two, tmp_path, name, text, got, second):
    bad = tmp_path / name
    if text is not None:
        bad.write_text(text)
    error = refused("compare", *((two[0], bad) if second else (bad, two[0])))
    assert got in error
    assert "expected: " in error
    assert "try: " in error


def test_reports_of_different_networks_are_refused(refused, two, tmp_path):
    other = made(1.0, site="pixels").to_json(tmp_path / "other.json")
    node = json.loads(other.read_text())
    node["profile"]["sites"][0]["module"] = "vision"
    other.write_text(json.dumps(node))
    assert "none in common" in refused("compare", two[0], other)


def test_a_page_that_cannot_be_written_is_refused_before_the_work(refused, two, tmp_path):
    assert "mkdir -p" in refused("compare", *two, "--html", tmp_path / "no folder" / "out.html")


def test_the_facade_compares_reports_and_files_alike(two):
    import justright

    told = justright.compare(made(1.0), two[1])
    assert [each.code for each in told.came] == ["JR998"]

"""Laws of comparisons: every finding and every site of both reports is accounted for, whatever their names."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from justright.errors import InputError
from justright.report.comparison import compare
from justright.report.load import load, saved
from justright.report.plots.profile import in_execution_order
from justright.report.serialize import dumps


def scaled(report, factor, wanted=bool):
    """The same report with the RMS of some signals multiplied."""
    sites = tuple(
        replace(each, forward=replace(each.forward, rms=each.forward.rms * factor)) if wanted(each) else each
        for each in report.profile.sites
    )
    return replace(report, profile=replace(report.profile, sites=sites))


def renamed(report, change):
    """What is saved of a report, with other names for its sites."""
    data = json.loads(report.to_json())
    for record in data["profile"]["sites"]:
        record["name"] = change(record["name"])
    for node in data["graph"]:
        node["inputs"], node["outputs"] = ([change(name) for name in node[key]] for key in ("inputs", "outputs"))
    return saved(data)


def test_what_was_saved_is_read_back(report, tmp_path):
    read = load(report.to_json(tmp_path / "report.json"))
    assert (read.title, read.verdict) == (report.to_dict()["title"], report.verdict)
    assert json.loads(dumps([each.to_dict() for each in read.findings])) == json.loads(report.to_json())["findings"]
    left_out = dict.fromkeys(("edge", "relation", "attention", "routing"))  # no part of a comparison
    expected = [replace(record, **left_out).to_dict() for record in in_execution_order(report)]
    assert [record.to_dict() for record in read.sites] == expected


def test_keys_of_a_later_version_are_ignored(reports):
    data = json.loads(reports["vanishing"].to_json())
    data["news"] = data["profile"]["sites"][0]["news"] = data["findings"][0]["news"] = {"a": 1}
    data["profile"]["sites"][0]["forward"]["news"] = 3
    assert saved(data) == saved(reports["vanishing"].to_dict())


def test_a_report_and_itself_differ_in_nothing(reports):
    told = compare(reports["vanishing"], reports["vanishing"])
    assert (told.went, told.came, told.only_before, told.only_after) == ((), (), (), ())
    assert [one for one, _ in told.stayed] == [two for _, two in told.stayed] == list(told.before.findings)
    assert not told.largest("forward", 5)
    assert not told.largest("gradient", 5)


def test_findings_go_come_and_stay(reports):
    whole = reports["vanishing"]
    part = replace(whole, findings=whole.findings[1:])
    assert [each.code for each in compare(whole, part).went] == ["JR103"]
    assert [each.code for each in compare(part, whole).came] == ["JR103"]
    folded = replace(whole, findings=(replace(whole.findings[0], symptoms=whole.findings[1:]),))
    assert compare(whole, folded).went == compare(whole, folded).came == ()


def test_a_finding_elsewhere_is_another_one_and_one_at_shared_sites_the_same(reports):
    whole = reports["vanishing"]
    first = whole.findings[0]
    moved = replace(first, where="elsewhere", sites=first.sites[5:])
    told = compare(whole, replace(whole, findings=(moved,)))
    assert [(one.where, two.where) for one, two in told.stayed] == [(first.where, "elsewhere")]
    gone = replace(first, where="elsewhere", sites=("/mean",))
    told = compare(replace(whole, findings=(first,)), replace(whole, findings=(gone,)))
    assert (len(told.went), len(told.came), len(told.stayed)) == (1, 1, 0)


def test_each_of_several_findings_of_one_code_is_joined_to_its_own(reports):
    whole = reports["vanishing"]
    dead = whole.findings[1]
    some = tuple(replace(dead, where=f"layer {at}", sites=(f"blocks.{at}.mlp/relu",)) for at in range(1, 5))
    told = compare(replace(whole, findings=some), replace(whole, findings=some[::-1][:3]))
    assert [each.where for each in told.went] == ["layer 1"]
    assert all(one == two for one, two in told.stayed)


def test_the_sites_that_changed_most_come_first_with_their_factor(reports):
    whole = reports["vanishing"]
    name = "blocks.9.mlp/linear"
    told = compare(whole, scaled(scaled(whole, 2.0), 8.0, lambda record: record.name == name))
    first = told.largest("forward", 3)[0]
    assert first.after.name == name
    assert first.forward == pytest.approx(16.0)
    assert first.gradient == 1.0
    others = [change.forward for change in told.changes if change.after.name != name and change.before.forward.rms > 0]
    assert others == pytest.approx([2.0] * len(others))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.0, 1.0, "no longer zero"),
        (1.0, 0.0, "zero now"),
        (1.0, math.nan, "not finite now"),
        (math.inf, 1.0, "finite now"),
    ],
)
def test_what_has_no_factor_comes_first_and_is_said_in_words(reports, before, after, words):
    whole = reports["healthy"]
    target = whole.profile.sites[30].name

    def with_rms(rms):
        sites = tuple(
            replace(each, forward=replace(each.forward, rms=rms)) if each.name == target else each
            for each in scaled(whole, 3.0 if rms is after else 1.0).profile.sites
        )
        return replace(whole, profile=replace(whole.profile, sites=sites))

    told = compare(with_rms(before), with_rms(after))
    assert told.largest("forward", 1)[0].after.name == target
    assert words in printed(told)
    assert json.loads(told.to_json())["schema"] == "justright.comparison/1"


def test_sites_under_other_names_are_joined_by_module_operator_and_order(reports):
    whole = reports["vanishing"]
    other = renamed(whole, lambda name: name.replace("/linear", "/matmul").replace(".weight", ".kernel"))
    told = compare(whole, other)
    assert len(told.changes) == len(whole.profile.sites)
    assert (told.only_before, told.only_after) == ((), ())
    for change in told.changes:
        assert change.before.name.replace("/linear", "/matmul").replace(".weight", ".kernel") == change.after.name
    assert "100 of them under different names, joined by module, operator and order" in printed(told)


def test_every_site_is_joined_once_or_named_as_left_over(reports):
    small, large = reports["nonfinite"], reports["vanishing"]
    told = compare(small, large)
    for side, only, report in (("before", told.only_before, small), ("after", told.only_after, large)):
        joined = [getattr(change, side).name for change in told.changes]
        assert sorted([*joined, *only]) == sorted(record.name for record in report.profile.sites)


def test_reports_without_a_common_site_are_refused(reports):
    with pytest.raises(InputError, match="none in common") as caught:
        compare(reports["healthy"], reports["empty"])
    assert caught.value.expected
    assert caught.value.try_


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{", "no JSON"),
        ("\xff", "no JSON"),
        ("[]", "JSON that is no report"),
        ('{"schema": "justright.report/2"}', "schema 'justright.report/2'"),
        ('{"schema": "justright.report/1"}', "missing or wrong"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_file_that_is_no_report_is_refused_in_four_parts(tmp_path, text, got):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=got) as caught:
        load(path)
    assert all((caught.value.where, caught.value.expected, caught.value.try_))


@pytest.mark.parametrize("key", ["profile", "graph", "findings", "context", "title"])
def test_a_report_with_a_wrong_part_is_refused(reports, key):
    data = json.loads(reports["vanishing"].to_json()) | {key: 3 if key != "title" else None}
    if key == "title":
        del data[key]
    with pytest.raises(InputError, match="missing or wrong"):
        saved(data)


def printed(told, **options):
    console = Console(file=StringIO(), width=120, **options)
    console.print(told)
    return console.file.getvalue()


def test_the_terminal_names_every_finding(reports):
    text = printed(compare(reports["vanishing"], replace(reports["vanishing"], findings=reports["nonfinite"].findings)))
    for finding in (*reports["vanishing"].findings, *reports["nonfinite"].findings):
        assert f"{finding.severity.label} {finding.code} {finding.name}" in text


def test_nothing_from_a_model_is_markup(reports):
    told = compare(reports["hostile"], reports["hostile"])
    assert "[bold]red[/bold]" in printed(told)
    page = told.to_html()
    assert "<img" not in page
    assert page.count("</script>") == 3

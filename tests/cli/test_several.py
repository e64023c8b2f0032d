"""`justright check` on several models: each its own verdict, one table, and the exit code of the worst."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from justright.cli.files import names_of
from justright.core.coverage import Coverage
from justright.core.findings import Severity

WARNING, ERROR = Severity.WARNING, Severity.ERROR


@pytest.fixture
def found(checked, monkeypatch):
    """Let the check find something else for every model: severities by its title."""
    import justright.checking

    def put(severities):
        def check(target, **options):
            checked.severities = severities.get(target.title, ())
            return checked(target, **options)

        monkeypatch.setattr(justright.checking, "check_target", check)

    return put


@pytest.mark.parametrize(
    ("severities", "models", "code"),
    [
        ({}, ["net.py:make", "net.py:pair"], 0),
        ({"net.py:make": [WARNING]}, ["net.py:make", "net.py:pair"], 0),
        ({"net.py:make": [ERROR]}, ["net.py:make", "net.py:pair"], 1),
        ({"net.py:pair": [ERROR]}, ["net.py:make", "net.py:pair"], 1),
        ({"net.py:pair": [ERROR]}, ["net.py:boom", "net.py:pair"], 2),
        ({}, ["net.py:make", "net.py:number"], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst(severities, models, code, folder, found, run):
    found(severities)
    assert run("check", *models).exit_code == code


def test_one_of_which_nothing_was_checked_is_the_worst(folder, found, checked, run):
    checked.coverage = Coverage()
    found({"net.py:pair": [ERROR]})
    result = run("check", "net.py:make", "net.py:pair")
    assert result.stdout.splitlines()[-1] == "2 models: 1 error, 1 not checked"
    assert result.exit_code == 2


def test_one_that_cannot_be_examined_does_not_stop_the_others(folder, found, run):
    found({"net.py:pair": [ERROR]})
    result = run("check", "net.py:boom", "net.py:leave", "net.py:pair")
    assert len(re.findall(r"^error: ", result.stderr, re.MULTILINE)) == 2
    assert "KeyError: 'key'" in result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("net.py:")][-3:]
    assert [row.split()[0] for row in rows] == ["net.py:boom", "net.py:leave", "net.py:pair"]
    assert "KeyError: 'key'" in rows[0]
    assert "JR999 made-up" in rows[2]
    assert result.stdout.splitlines()[-1] == "3 models: 2 not examined, 1 error"


def test_an_interrupt_stops_them_all(folder, checked, run):
    result = run("check", "net.py:stop", "net.py:make")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_one_model_has_no_table(folder, checked, run):
    assert "1 model" not in run("check", "net.py:make").stdout


def test_options_reach_every_model(folder, checked, run, monkeypatch):
    import justright.checking

    seen = []

    def check(target, *, device=None, progress=None):
        seen.append((target.title, str(target.batch), target.loss.__name__, device))
        return checked(target)

    monkeypatch.setattr(justright.checking, "check_target", check)
    run("check", "net.py:make", "net.py:pair", "--input", "3,8", "--loss", "net.py:half", "--device", "cpu")
    assert seen == [(name, "float32:3,8", "half", "cpu") for name in ("net.py:make", "net.py:pair")]


def test_a_wrong_option_is_found_before_any_model(folder, checked, refused):
    (folder / "side.py").write_text("open('built', 'w').close()\n", encoding="utf-8")
    refused("check", "side.py:make", "side.py:make", "--loss", "nonsense")
    assert not (folder / "built").exists()


def test_files_go_into_folders_a_file_a_model(folder, found, run):
    found({"net.py:pair": [ERROR]})
    result = run("check", "net.py:make", "net.py:pair", "net.py:boom", "--json", "out/json", "--html", "out")
    assert sorted(each.name for each in Path("out").iterdir()) == [
        "json", "net.py-make.html", "net.py-pair.html",
    ]  # fmt: skip
    written = {path.name: json.loads(path.read_text())["verdict"] for path in Path("out/json").iterdir()}
    assert written == {"net.py-make.json": "healthy", "net.py-pair.json": "error"}
    assert result.stdout.count("wrote ") == 4


def test_json_on_standard_output_is_a_line_a_model(folder, found, run):
    found({"net.py:noisy": [ERROR]})
    result = run("check", "net.py:make", "net.py:noisy", "net.py:boom", "--json", "-")
    assert [json.loads(line)["title"] for line in result.stdout.splitlines()] == ["net.py:make", "net.py:noisy"]
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("option", "name"), [("--html", "report.html"), ("--json", "report.json"), ("--json", "net.py")]
)
def test_a_file_is_refused_where_a_folder_is_meant(option, name, folder, checked, refused):
    error = refused("check", "net.py:make", "net.py:pair", option, name)
    assert "a folder" in error
    assert re.search(rf"try: {option} \w+/", error)


@pytest.mark.parametrize(
    "models",
    [
        ["a/net.py:make", "a-net.py:make", "A/net.py:make"],
        ["net.py:make"] * 3,
        ["../x.py:f", "x.py:f", "/x.py:f"],
        ["層.py:f", "...:f", "a:" * 3],
        ["a", "a", "a-2", "a-2"],
    ],
)
def test_names_of_files_are_safe_and_differ(models):
    names = names_of(models)
    assert len({name.lower() for name in names}) == len(models)
    assert all(re.fullmatch(r"[\w.-]+", name) and not name.startswith((".", "-")) for name in names)


@pytest.mark.parametrize("several", [False, True])
def test_junit_holds_every_model_and_what_could_not_be_examined(several, folder, found, run):
    found({"net.py:pair": [WARNING]})
    models = ["net.py:pair", "net.py:boom"] if several else ["net.py:boom"]
    result = run("check", *models, "--junit", "out.xml", "--fail-on", "warning")
    assert result.exit_code == 2
    suites = ElementTree.parse("out.xml").getroot()
    assert [suite.get("name") for suite in suites] == models
    assert suites[-1].find("testcase/error") is not None
    assert [suite.get("failures") for suite in suites] == ["1", "0"][-len(models) :]


def test_annotations_are_printed_when_asked_for(folder, found, run):
    found({"net.py:make": [ERROR]})
    assert "::" not in run("check", "net.py:make", GITHUB_ACTIONS="true").stdout
    assert "::error file=net.py,title=JR999 made-up::" in run("check", "net.py:make", "--github", "-q").stdout
    pure = run("check", "net.py:make", "--github", "--json", "-")
    assert json.loads(pure.stdout)["title"] == "net.py:make"
    assert "::error file=net.py" in pure.stderr
    failed = run("check", "net.py:boom", "--github")
    assert failed.stdout.startswith("::error file=net.py,title=justright could not examine net.py%3Aboom::")


def test_quiet_leaves_the_exit_code(folder, found, run):
    found({"net.py:pair": [ERROR]})
    result = run("check", "net.py:make", "net.py:pair", "-q")
    assert (result.exit_code, result.output) == (1, "")


def test_neighbours_of_one_name_are_each_models_own(tmp_path, checked, run, monkeypatch):
    import justright.checking

    widths = {}

    def check(target, **options):
        widths[target.title] = target.model.out_features
        return checked(target)

    monkeypatch.setattr(justright.checking, "check_target", check)
    for name, width in (("a", 3), ("b", 5)):
        inner = tmp_path / name
        inner.mkdir()
        (inner / "parts.py").write_text(f"WIDTH = {width}\n", encoding="utf-8")
        text = "import torch, parts\ndef make():\n    return torch.nn.Linear(8, parts.WIDTH)\n"
        (inner / "net.py").write_text(text, encoding="utf-8")
    models = [f"{tmp_path / name / 'net.py'}:make" for name in ("a", "b", "a")]
    assert run("check", *models).exit_code == 0
    assert list(widths.values()) == [3, 5]
    assert list(widths) == models[:2]


def test_progress_names_the_model(monkeypatch):
    import io
    import sys

    from justright.cli.progress import progress_bar

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress_bar("2/3 net.py:[make]") as tell:
        tell("backward", 3, 7)
    assert "2/3 net.py:[make] backward" in sys.stderr.getvalue()

"""`justright check`: exit codes, and who gets what on which stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from justright.cli.main import main
from justright.cli.progress import progress_bar
from justright.core.coverage import Coverage
from justright.core.findings import Severity

NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR


@pytest.mark.parametrize(
    ("found", "fail_on", "code"),
    [
        ([], "error", 0),
        ([], "warning", 0),
        ([NOTE], "warning", 0),
        ([WARNING], "error", 0),
        ([WARNING], "warning", 1),
        ([ERROR], "warning", 1),
        ([NOTE, WARNING, ERROR], "error", 1),
    ],
)
def test_exit_code(found, fail_on, code, folder, checked, run):
    checked.severities = found
    assert run("check", "net.py:make", "--fail-on", fail_on).exit_code == code


@pytest.mark.parametrize(("found", "code"), [([], 2), ([NOTE], 0), ([ERROR], 1)])
def test_what_was_not_checked_is_not_healthy(found, code, folder, checked, run):
    checked.coverage = Coverage()
    checked.severities = found
    assert run("check", "net.py:make").exit_code == code


def test_errors_fail_by_default(folder, checked, run):
    checked.severities = (WARNING,)
    assert run("check", "net.py:make").exit_code == 0
    checked.severities = (ERROR,)
    assert run("check", "net.py:make").exit_code == 1


def test_options_reach_the_check(folder, checked, run):
    run("check", "net.py:bundle", "--input", "3,8", "--loss", "net.py:half", "--device", "cpu", "--seed", "4")
    assert str(checked.target.batch) == "float32:3,8; target=int64:3:0..4"
    assert checked.target.loss.__name__ == "half"
    assert checked.device == "cpu"
    assert checked.target.title == "net.py:bundle"
    assert checked.target.initializers


def test_the_report_goes_to_standard_output_without_control_characters(folder, checked, run):
    checked.severities = (ERROR,)
    result = run("check", "net.py:make")
    assert "made-up" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_quiet_prints_nothing_and_still_writes(folder, checked, run):
    checked.severities = (ERROR,)
    result = run("check", "net.py:make", "-q", "--json", "report.json", "--html", "report.html")
    assert (result.exit_code, result.output) == (1, "")
    assert json.loads((folder / "report.json").read_text())["verdict"] == "error"
    assert "made-up" in (folder / "report.html").read_text()


def test_written_files_are_said_last(folder, checked, run):
    result = run("check", "net.py:make", "--json", "report.json", "--html", "report.html")
    assert result.stdout.splitlines()[-2:] == ["wrote report.html", "wrote report.json"]


def test_an_existing_output_is_replaced(folder, checked, run):
    (folder / "report.json").write_text("old " * 10_000)
    run("check", "net.py:make", "--json", "report.json")
    json.loads((folder / "report.json").read_text())


def test_an_existing_output_survives_a_failed_check(folder, checked, run):
    (folder / "report.json").write_text("old")
    run("check", "net.py:boom", "--json", "report.json")
    assert (folder / "report.json").read_text() == "old"


def test_json_on_standard_output_is_all_there_is(folder, checked, run):
    checked.severities = (ERROR,)
    result = run("check", "net.py:noisy", "--json", "-", "--html", "report.html")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["title"] == "net.py:noisy"
    assert "printed by the factory" in result.stderr
    assert "wrote report.html" in result.stderr


def test_what_the_factory_prints_is_kept(folder, checked, run):
    assert "printed by the factory" in run("check", "net.py:noisy").stdout


def test_an_interrupt_is_one_line(folder, checked, run):
    result = run("check", "net.py:stop")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_an_error_of_ours_is_one_clear_error_too(folder, checked, refused, monkeypatch):
    import justright.checking

    def broken(*_arguments, **_options):
        raise ZeroDivisionError("one\x1b[31m\ntwo")

    monkeypatch.setattr(justright.checking, "check_target", broken)
    error = refused("check", "net.py:make")
    assert "ZeroDivisionError: one\\x1b[31m\ntwo" in error
    assert "run again with --debug" in error


@pytest.mark.parametrize("model", ["net.py:boom", "nowhere.py:make"])
def test_debug_shows_the_traceback(model, folder, checked, run):
    result = run("check", model, "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.rstrip().splitlines()[-1].startswith("  try: ") or "expected" in result.stderr
    assert result.stdout == ""


def test_debug_shows_the_cause_in_the_users_file(folder, checked, run):
    assert 'return {}["key"]' in run("check", "net.py:boom", "--debug").stderr


def test_no_bar_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar() as tell:
        assert tell is None


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("wanted", [True, False])
def test_a_bar_in_a_terminal(wanted, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    stdout = sys.stdout
    with progress_bar(wanted=wanted) as tell:
        assert (tell is not None) is wanted
        assert sys.stdout is stdout
        if tell is not None:
            tell("backward", 3, 7)
    assert ("backward" in sys.stderr.getvalue() and "3/7" in sys.stderr.getvalue()) is wanted


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_package_of_the_command(package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["--version"]) == 2
    error = capsys.readouterr().err
    assert f"no package '{package}'" in error
    assert "pip install 'justright[cli]'" in error


def test_version_and_help(run):
    assert run("--version").stdout.startswith("justright ")
    assert "--fail-on" in run("check", "--help").stdout


def test_a_forward_may_import_its_neighbours(tmp_path, run):
    (tmp_path / "neighbour.py").write_text("def twice(x):\n    return 2 * x\n", encoding="utf-8")
    text = "import torch\nclass Net(torch.nn.Linear):\n    def forward(self, x):\n        import neighbour\n"
    text += "        return neighbour.twice(super().forward(x))\ndef make():\n    return Net(8, 4)\n"
    (tmp_path / "late.py").write_text(text, encoding="utf-8")
    before = list(sys.path)
    result = run("check", f"{tmp_path / 'late.py'}:make", "--input", "16,8")
    assert result.exit_code == 0, result.stderr
    assert sys.path == before


def test_the_real_check_of_a_sick_network(folder, run):
    text = "from torch import nn\ndef sick():\n"
    text += "    return nn.Sequential(*[each for _ in range(20) for each in (nn.Linear(64, 64), nn.Sigmoid())])\n"
    (folder / "sick.py").write_text(text, encoding="utf-8")
    result = run("check", "sick.py:sick", "--input", "32,64", "--json", "-")
    assert result.exit_code == 1
    assert "vanishing-gradient" in [each["name"] for each in json.loads(result.stdout)["findings"]]


# In processes of their own: what the operating system sees.

STUB = """
import os
import sys

import justright.checking
import justright.cli.sources
from justright.adapters.base import Target
from justright.cli.main import main
from justright.core.coverage import Coverage, Gap
from justright.core.graph import Graph
from justright.core.profile import Profile
from justright.report import Report

def resolve(source, seed):
    print("printed by the factory", flush=source == "flushing:model")
    os.system("echo printed by a child")
    return Target(None)

def check(target, **_):
    print("printed by the check")
    gaps = tuple(Gap("x" * 50, "y" * 50, 1, str(i)) for i in range(4000))
    return Report("long", Graph((), ()), Profile(()), (), Coverage(sites=1, forward=1, gaps=gaps))

justright.cli.sources.resolve = resolve
justright.checking.check_target = check
sys.exit(main(sys.argv[1:]))
"""


def process(*arguments, **options):
    command = [sys.executable, "-c", STUB, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_json_stays_pure_beside_child_processes():
    stdout, stderr = process("check", "any:model", "--json", "-").communicate()
    assert json.loads(stdout)["title"] == "long"
    assert {"printed by the factory", "printed by a child", "printed by the check"} <= set(stderr.splitlines())


@pytest.mark.parametrize(
    ("model", "options", "code"),
    [("any:model", [], 0), ("any:model", ["--json", "-"], 0), ("flushing:model", [], 141)],
    ids=["report", "json", "print before the report"],
)
def test_a_reader_that_leaves_is_not_our_error(model, options, code):
    child = process("check", model, *options, env={**os.environ, "PYTHONUNBUFFERED": ""})
    child.stdout.close()
    printed = [
        line for line in child.stderr.read().splitlines() if not line.startswith(("printed by", "sh: ", "echo: "))
    ]
    assert (child.wait(), printed) == (code, [])
    child.stderr.close()


@pytest.mark.parametrize(("optimizer", "first"), [("sgd:1e4", "JR901"), ("adam:1e-10", "JR902"), ("adam:1e-3", None)])
def test_the_optimizer_is_judged(optimizer, first, folder, run):
    done = run("check", "net.py:bundle", "--optimizer", optimizer, "--json", "-")
    report = json.loads(done.stdout)
    assert report["context"]["optimizer"].lower().startswith(optimizer.partition(":")[0])
    alarms = [finding["code"] for finding in report["findings"] if finding["severity"] != "note"]
    assert (alarms or [None])[0] == first
    assert done.exit_code == (1 if first else 0)

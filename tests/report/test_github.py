"""Laws of the annotations for GitHub Actions: what the runner reads back is what was found, at a file of the checkout.

The oracle is the reading side: a parser after the runner's own rules for workflow commands.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from justright.errors import ModelError
from justright.report.github import workflow_commands
from justright.report.summary import Outcome


def unescaped(text):
    for escape, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escape, char)
    return text


def read(line):
    """Read a command as the runner does: to the first space the name, to the next `::` properties, then the message."""
    command, properties, message = re.fullmatch(r"::([a-z]+)(?: (.*?))?::(.*)", line).groups()
    pairs = [each.split("=", 1) for each in (properties or "").split(",") if each]
    return command, {key: unescaped(value) for key, value in pairs}, unescaped(message)


@pytest.fixture
def told(reports, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda name, **more: [read(each) for each in workflow_commands(Outcome("net", reports[name], **more))]


def test_one_annotation_a_finding_with_its_level_and_title(told, reports):
    levels = {"error": "error", "warning": "warning", "note": "notice"}
    expected = [(levels[each.severity.label], f"{each.code} {each.name}") for each in reports["vanishing"].findings]
    assert [(command, properties["title"]) for command, properties, _ in told("vanishing")] == expected


def test_every_part_arrives(told, reports):
    for (_, _, message), finding in zip(told("vanishing"), reports["vanishing"].findings, strict=True):
        for part in (finding.where, finding.got, finding.expected, finding.because, finding.try_):
            assert part in message


def test_the_place_is_the_line_of_the_first_site_that_has_one(told, reports):
    graph, finding = reports["vanishing"].graph, reports["vanishing"].findings[0]
    source = graph.source_of(graph.by_name[finding.sites[0]].index)
    _, properties, _ = told("vanishing")[0]
    assert f"{properties['file']}:{properties['line']}" == source


def test_commands_stay_on_one_line_whatever_the_names_are(reports):
    for line in workflow_commands(Outcome("a\n::error::b\r%", reports["hostile"])):
        assert line.isprintable()
        command, properties, message = read(line)
        assert command == "error"
        assert set(properties) <= {"file", "line", "title"}
        assert "a\n::error::b\\r%" in message


@pytest.mark.parametrize("text", ["100%0A", "a::b", "x,line=9", "%3A%2C%25", "::error::x", "a\nb"])
def test_what_looks_like_a_command_or_an_escape_arrives_as_text(text, reports):
    finding = replace(reports["vanishing"].findings[0], name=text, got=text)
    (line,) = workflow_commands(Outcome(text, replace(reports["vanishing"], findings=(finding,))))
    command, properties, message = read(line)
    assert (command, set(properties)) == ("error", {"file", "line", "title"})
    assert properties["title"] == f"JR103 {text}"
    assert message.startswith(f"{text}, {finding.where}: {text}\n")


def test_paths_are_relative_to_the_checkout(reports, tmp_path, monkeypatch):
    inner = tmp_path / "repository" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    outcome = Outcome("net", reports["vanishing"])
    first = read(next(workflow_commands(outcome, tmp_path / "repository")))
    assert first[1]["file"] == "inner/model.py"
    outside = read(next(workflow_commands(outcome, tmp_path / "other")))
    assert "file" not in outside[1]
    assert "line" not in outside[1]


def test_the_file_of_the_model_stands_in_where_no_line_is_known(told, reports):
    bare = replace(reports["vanishing"].findings[0], sites=())
    report = replace(reports["vanishing"], findings=(bare,))
    (line,) = workflow_commands(Outcome("net", report, file="net.py"))
    assert read(line)[1]["file"] == "net.py"
    assert "line" not in read(line)[1]


def test_a_model_that_could_not_be_examined_is_an_error(told):
    error = ModelError("100 %", where="net.py:3", expected="a model")
    (line,) = workflow_commands(Outcome("net.py:make", error=error, file="net.py"))
    command, properties, message = read(line)
    assert (command, properties["file"], message) == ("error", "net.py", str(error))
    assert "net.py:make" in properties["title"]


def test_a_healthy_model_is_silent(told):
    assert told("healthy") == []

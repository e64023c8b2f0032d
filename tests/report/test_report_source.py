"""Laws of the annotated source."""

from __future__ import annotations

import re

import pytest

from justright.core.graph import GraphBuilder, Role
from justright.core.profile import Profile, SiteRecord, TensorStatistics
from justright.report import Report
from justright.report.text import cells


def tensor(rms):
    return TensorStatistics(4, 0.0, rms, rms, rms, rms, 0.0)


@pytest.fixture
def calls():
    """Make a report of operators given as (operator, source line, rms, gradient rms)."""

    def make(*made):
        builder = GraphBuilder()
        signal = builder.leaf("input.0", (2, 2), "float32", Role.INPUT)
        for op, source, _, _ in made:
            (signal,) = builder.node(op, op, [("input", signal)], [((2, 2), "float32", True)], source=source)
        graph = builder.finish(outputs=[signal])
        records = tuple(
            SiteRecord(
                graph.sites[node.outputs[0]].name,
                op,
                "",
                source,
                (2, 2),
                "float32",
                "activation",
                forward=tensor(rms),
                gradient=None if grad is None else tensor(grad),
            )
            for node, (op, source, rms, grad) in zip(graph.nodes, made, strict=True)
        )
        return Report("calls", graph, Profile(records))

    return make


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(
        "def forward(x):\n    x = relu(fc(x))\n    for _ in range(3):\n        x = relu(cell(x))\n    return x\n"
    )
    return path


def notes(text):
    """Line number and note of every annotated line."""
    return {int(line): note.strip() for line, note in re.findall(r"^ *(\d+)  .*?(→.*)$", text, re.MULTILINE)}


def test_each_line_shows_its_own_code_and_the_last_output(calls, model):
    text = calls(("linear", f"{model}:2", 0.9, 0.1), ("relu", f"{model}:2", 0.578, 0.204)).annotate(100)
    assert notes(text) == {2: "→ rms 0.578  ← grad rms 0.204"}
    assert "    x = relu(fc(x))" in text
    assert "return x" not in text


def test_a_line_in_a_loop_shows_its_range_and_how_often_it_ran(calls, model):
    loop = [(op, f"{model}:4", rms, 10 * rms) for rms in (3.0, 1.0, 2.0) for op in ("linear", "relu")]
    assert notes(calls(*loop).annotate(100)) == {4: "→ rms 1..3  ← grad rms 10..30  ×3"}


def test_a_value_that_is_not_finite_is_named_beside_the_range(calls, model):
    loop = [("linear", f"{model}:4", rms, None) for rms in (1.0, float("nan"), 2.0)]
    assert notes(calls(*loop).annotate(100)) == {4: "→ rms 1..2 and nan  ← no grad  ×3"}


def test_different_operators_on_a_line_are_one_run(calls, model):
    ops = [("linear", 1.0), ("linear", 2.0), ("add", 3.0)]
    text = calls(*((op, f"{model}:2", rms, 1.0) for op, rms in ops)).annotate(100)
    assert notes(text) == {2: "→ rms 3  ← grad rms 1"}


def test_a_file_that_cannot_be_read_is_said_and_its_values_are_kept(calls, tmp_path):
    text = calls(("relu", f"{tmp_path / 'gone.py'}:7", 0.5, 0.25)).annotate(200)
    assert "gone.py (cannot be read" in text
    assert notes(text) == {7: "→ rms 0.5  ← grad rms 0.25"}


def test_a_line_that_the_file_lost_is_said(calls, model):
    text = calls(("relu", f"{model}:99", 0.5, 0.25)).annotate(100)
    assert "no such line" in text
    assert 99 in notes(text)


@pytest.mark.parametrize("source", ["", "model.py", "model.py:"])
def test_operators_without_a_line_are_counted(calls, source):
    text = calls(("relu", source, 0.5, 0.25), ("relu", source, 0.5, 0.25)).annotate(100)
    assert text == "2 operators without a source line not shown\n"


def test_every_annotated_line_of_a_network_is_there_once(reports):
    report = reports["vanishing"]
    sources = {int(node.source.rpartition(":")[2]) for node in report.graph.nodes if node.source}
    lines = re.findall(r"^ *(\d+)  ", report.annotate(), re.MULTILINE)
    assert sorted(map(int, lines)) == sorted(sources)


@pytest.mark.parametrize("width", [40, 60, 120])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_too_wide(report, calls, model, width, ascii_only):
    model.write_text(
        "\n" * 3 + "x = relu(self.層層層層層層層層層層層(x, 'a rather long line of code', and_more=True))\n",
        encoding="utf-8",
    )
    for each in (report, calls(("relu", f"{model}:4", 0.578, 0.204))):
        text = each.annotate(width, ascii_only=ascii_only)
        assert max(cells(line) for line in text.splitlines()) <= width
        assert text.isascii() or not ascii_only
        assert "\x1b" not in text

"""Laws of the terminal report: complete, never too wide, harmless."""

from __future__ import annotations

import math
from dataclasses import replace
from io import StringIO
from itertools import pairwise

import pytest
from rich.cells import cell_len
from rich.console import Console

from justright.core.coverage import Coverage
from justright.report import terminal
from justright.report.plots.depth import depth_columns
from justright.report.plots.text import BLOCKS, chart
from justright.report.text import printable, to_ascii
from justright.report.verdict import sentence

WIDTHS = (60, 80, 120)


def squeezed(text):
    """Text without the spaces and line ends that wrapping moves."""
    return "".join(text.split())


def heights(lines, kind, cell):
    """Read the height of every column back from the characters of a drawing."""
    rows = [line.text.split("│", 1)[1] for line in lines if line.kind == kind]
    length = max(map(len, rows))
    columns = zip(*(row.ljust(length)[::cell] for row in rows), strict=True)
    return [sum(BLOCKS.index(sign) for sign in column) for column in columns]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(report, width, encoding):
    text = terminal.plain(report, width, encoding)
    assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_every_part_gap_and_assumption_is_printed(report, width):
    text = squeezed(terminal.plain(report, width))
    findings = [
        part
        for finding in report.findings
        for part in (finding.code, finding.name, finding.where, finding.got, finding.expected, finding.because)
    ]
    parts = [*findings, *(finding.try_ for finding in report.findings), *report.assumptions]
    parts += [part for gap in report.coverage.gaps for part in (gap.what, gap.reason, gap.where)]
    parts += [part for fact in report.context.items() for part in fact]
    assert [part for part in parts if squeezed(printable(part)) not in text] == []


def test_without_unicode_every_part_is_printed_in_ascii(report):
    text = terminal.plain(report, 80, "cp1252")
    assert text.isascii()
    parts = [part for finding in report.findings for part in (finding.got, finding.expected, finding.because)]
    assert [part for part in parts if squeezed(to_ascii(printable(part))) not in squeezed(text)] == []


def test_a_pipe_gets_neither_colours_nor_commands(report):
    text = terminal.plain(report, 80)
    assert "\x1b" not in text
    assert text == str_of(report, 80)


def str_of(report, width):
    file = StringIO()
    Console(file=file, width=width).print(report)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().split("\n")[:-1])


def test_a_colour_terminal_gets_the_same_text(reports):
    file = StringIO()
    Console(file=file, width=80, force_terminal=True, color_system="truecolor").print(reports["vanishing"])
    assert "\x1b[" in file.getvalue()
    from rich.text import Text

    bare = Text.from_ansi(file.getvalue()).plain.rstrip()
    assert squeezed(bare) == squeezed(terminal.plain(reports["vanishing"], 80))


def test_str_is_the_terminal_report(reports, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert str(reports["vanishing"]) == terminal.plain(reports["vanishing"], 100)


def test_the_verdict_comes_first_and_findings_come_worst_first(reports):
    lines = terminal.plain(reports["vanishing"], 80).splitlines()
    assert lines[0].startswith("error: this network will not train")
    heads = [line.split()[0] for line in lines[1:] if line.startswith(("error ", "warning ", "note "))]
    assert heads == ["error", "warning", "note"]


def test_a_report_of_nothing_does_not_say_healthy(reports):
    assert terminal.plain(reports["empty"], 80).startswith("not checked:")
    unmeasured = replace(reports["healthy"], coverage=Coverage(sites=202))
    assert terminal.plain(unmeasured, 80).startswith("not checked:")


def test_a_healthy_report_says_how_much_it_rests_on(reports):
    coverage = replace(reports["healthy"].coverage, forward=200)
    assert "200 of 202 sites and 100 parameters checked" in sentence(replace(reports["healthy"], coverage=coverage))


@pytest.mark.parametrize("width", [24, *WIDTHS])
@pytest.mark.parametrize("rate", [0.5, 0.97, 1.03, 4.0])
def test_columns_are_monotone_where_the_profile_is(ramp, width, rate):
    columns = depth_columns(ramp(lambda at: rate**at))
    shown = min(30, width - 11)
    drawn = heights(chart(columns, width), "forward", max(min((width - 11) // shown, 6), 1))
    assert len(drawn) == shown
    assert drawn == sorted(drawn, reverse=rate < 1)
    assert drawn[0] != drawn[-1]


def test_equal_ratios_are_equal_steps(ramp):
    columns = depth_columns(ramp(lambda at: 10.0 ** (at - 1)))[:32]
    drawn = heights(chart(columns, 41), "forward", 1)
    steps = {upper - lower for lower, upper in pairwise(drawn)}
    assert (drawn[0], drawn[-1]) == (1, 32)
    assert steps <= {1, 2}


def test_a_flat_profile_looks_flat(ramp):
    drawn = heights(chart(depth_columns(ramp(lambda at: 1 + 0.02 * math.sin(at))), 80), "forward", 2)
    assert max(drawn) - min(drawn) <= 1


def test_what_has_no_logarithm_is_drawn_and_counted(ramp):
    report = ramp(lambda at: {5: math.nan, 6: math.inf, 9: 0.0}.get(at, 1.0))
    lines = chart(depth_columns(report), 41)
    bottom = [line.text for line in lines if line.kind == "forward"][-1].split("│")[1]
    assert [index + 1 for index, sign in enumerate(bottom) if sign == "!"] == [5, 6]
    assert [index + 1 for index, sign in enumerate(bottom) if sign == "0"] == [9]
    heads = [line.text for line in lines if line.kind == "head"]
    assert "  ! 2 layer outputs not finite" in heads
    assert "  0 1 layer output exactly zero" in heads


def test_a_finding_is_marked_under_its_depth(reports):
    lines = chart(depth_columns(reports["nonfinite"]), 24 + 11)
    (marks,) = (line.text[11:] for line in lines if line.kind == "mark")
    assert {index + 1: sign for index, sign in enumerate(marks) if sign != " "} == {12: "E"}

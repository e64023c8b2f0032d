"""`justright explain`: every diagnostic has a page, found by code and name."""

from __future__ import annotations

import pytest

from justright.diagnostics.base import DIAGNOSTICS


@pytest.mark.parametrize("code", DIAGNOSTICS)
def test_code_and_name_in_any_spelling_give_the_page(code, run):
    entry = DIAGNOSTICS[code]
    page = run("explain", code)
    assert page.exit_code == 0
    assert entry.page in page.stdout
    spellings = (
        code.lower(),
        entry.name,
        entry.name.upper(),
        entry.name.replace("-", "_"),
        entry.name.replace("-", " "),
    )
    assert {run("explain", each).stdout for each in spellings} == {page.stdout}


def test_the_list_has_every_diagnostic_on_a_line(run):
    lines = run("explain").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[entry.code, entry.name] for entry in DIAGNOSTICS.values()]
    assert all(line.endswith(entry.summary) for line, entry in zip(lines, DIAGNOSTICS.values(), strict=True))


@pytest.mark.parametrize(("wanted", "near"), [("JR1033", "JR103"), ("vanishing-gradeint", "vanishing-gradient")])
def test_a_near_miss_is_suggested(wanted, near, refused):
    assert near in refused("explain", wanted).partition("try:")[2]


def test_nothing_like_it_points_to_the_list(refused):
    assert "justright explain" in refused("explain", "qqqq").partition("try:")[2]


def test_a_terminal_gets_a_page_without_marks(run):
    code = next(iter(DIAGNOSTICS))
    assert "\x1b[" in run("explain", code, FORCE_COLOR="1", TERM="xterm").stdout
    assert "## " not in run("explain", code, FORCE_COLOR="1", TERM="xterm").stdout
    assert "\x1b" not in run("explain", code).stdout

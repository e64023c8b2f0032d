"""Laws of the table of several models: a row a model, every verdict counted, safe on any terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from justright.errors import ModelError
from justright.report.summary import Outcome, Summary, counted

FAILED = Outcome("net.py:broken", error=ModelError("a class, Net", where="net.py", expected="a model"))


def shown(outcomes, width=100, encoding="utf-8", **options):
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding, newline="\n"), width=width, **options)
    console.print(Summary(outcomes))
    console.file.flush()
    return raw.getvalue().decode(encoding)


@pytest.fixture
def outcomes(reports):
    return [*(Outcome(f"net.py:{name}", report) for name, report in reports.items()), FAILED]


def test_every_model_has_a_row_with_its_verdict(outcomes):
    rows = {line.split()[0]: line for line in shown(outcomes).splitlines() if line.startswith("net.py:")}
    assert list(rows) == [outcome.title for outcome in outcomes]
    assert all(outcome.verdict in rows[outcome.title] for outcome in outcomes)


def test_a_row_names_the_first_finding_or_why_there_is_none(outcomes):
    rows = {line.split()[0]: line for line in shown(outcomes, 200).splitlines() if line.startswith("net.py:")}
    assert "JR103 vanishing-gradient and 2 more" in rows["net.py:vanishing"]
    assert "a class, Net" in rows["net.py:broken"]
    assert rows["net.py:healthy"].split() == ["net.py:healthy", "healthy", "202/202", "0"]


def test_the_last_line_counts_every_model_once(outcomes):
    last = shown(outcomes).splitlines()[-1]
    assert last == counted(outcomes) == "8 models: 1 not examined, 5 error, 1 not checked, 1 healthy"


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_line_is_wider_than_the_terminal(outcomes, width):
    assert max(map(len, shown(outcomes, width).splitlines())) <= width


def test_a_terminal_without_unicode_gets_ascii_and_no_text_becomes_a_command(outcomes):
    text = shown([Outcome("χ₁→.py:make", outcomes[0].report), *outcomes], 200, "ascii", force_terminal=False)
    assert "chi1->.py:make" in text
    assert text.isascii()
    assert "\x1b" not in text
    assert "[bold]red[/bold]" in text

"""`justright initializers`: a line for every scheme, and the page of each."""

import pytest
from typer.testing import CliRunner

from justright.cli.app import app
from justright.initializers.base import INITIALIZERS


def run(*arguments):
    return CliRunner().invoke(app, ["initializers", *arguments])


def test_the_list_has_a_line_for_every_scheme():
    result = run()
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == list(INITIALIZERS)
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("name", list(INITIALIZERS))
def test_every_page_says_what_and_when(name):
    result = run(name)
    assert result.exit_code == 0
    assert result.output.startswith(f"# {name}\n")
    assert "When to use it" in result.output


def test_a_name_that_is_nearly_right_gets_a_suggestion():
    result = run("he-norml")
    assert result.exit_code == 2
    assert "he_normal" in result.output

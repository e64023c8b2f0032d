"""Laws of the documentation site: its generated pages are complete and agree with the command; links are checked."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from justright.cli.app import app
from justright.diagnostics.base import DIAGNOSTICS
from justright.testing import zoo

pytest.importorskip("mkdocs")

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "docs" / "_hooks"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, HOOKS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    return loaded("pages").pages()


@pytest.fixture(scope="module")
def check_links():
    return loaded("check_links")


def printed(*arguments):
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("code", list(DIAGNOSTICS))
def test_every_diagnostic_has_the_page_that_explain_prints(code, pages):
    assert pages[f"diagnostics/{code}.md"].startswith(printed("explain", code))


@pytest.mark.parametrize("code", list(DIAGNOSTICS))
def test_every_reference_leads_to_a_work(code, pages):
    page = pages[f"diagnostics/{code}.md"]
    keys = set(re.findall(r"\[([A-Z][a-z]\w*(?:19|20)\d\d[a-z]?)\]", page))
    links = dict(re.findall(r"^\[(\w+)\]: \.\./references\.md#(\w+)$", page, re.MULTILINE))
    assert set(links) == keys
    assert keys
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", pages["references.md"], re.MULTILINE)}
    assert set(links.values()) <= headings


@pytest.mark.parametrize("code", list(DIAGNOSTICS))
def test_every_page_names_the_networks_that_show_it(code, pages):
    listed = set(re.findall(r"^\| `([^`]+)` \|", pages[f"diagnostics/{code}.md"], re.MULTILINE))
    assert listed == {name for name, network in zoo.NETWORKS.items() if network.fault == code and network.available}


def test_the_catalogue_lists_every_diagnostic_in_the_order_of_the_command(pages):
    rows = re.findall(
        r"^\| \[(\w+)\]\(\1\.md\) \| \[([\w-]+)\]\(\1\.md\) \| (.+) \|$", pages["diagnostics/index.md"], re.M
    )
    assert rows == [tuple(re.split(r"  +", line, maxsplit=2)) for line in printed("explain").splitlines()]


@pytest.mark.parametrize("command", ["check", "explain"])
def test_every_option_of_the_help_is_in_the_reference(command, pages):
    section = pages["commands.md"].split(f"## justright {command}\n")[1].split("\n## ")[0]
    expected = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", printed(command, "--help"))) - {"--help"}
    assert expected
    assert expected <= set(re.findall(r"`(--[a-z][a-z-]+)", section))
    assert "None" not in section


def test_every_command_is_in_the_reference(pages):
    listed = re.findall(r"^\W*([a-z]+) {2,}", printed("--help").split("Commands")[1], re.MULTILINE)
    assert {"check", "explain"} <= set(listed)
    assert re.findall(r"^## justright (\w+)$", pages["commands.md"], re.MULTILINE) == listed


@pytest.mark.parametrize("page", ["index.md", "contributing.md", "changelog.md", "license.md"])
def test_links_of_the_repositorys_files_lead_to_pages(page, pages):
    known = {*pages, *(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))}
    links = [link for link in re.findall(r"\]\(([^)#]+)", pages[page]) if not link.startswith("http")]
    assert set(links) <= known
    assert links or page in {"changelog.md", "license.md"}


GOOD = {
    "index.html": '<a href="a/b.html#x">b</a><link rel="stylesheet" href="s.css"><a href="https://x.org/#y">x</a>',
    "a/b.html": '<h1 id="x">x</h1><a href="../index.html"></a><a href="#x"></a><a href="..">up</a>',
    "s.css": "",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"a/b.html": "<h1 id='z'>x</h1>"}, ["index.html: a/b.html#x: no such anchor"]),
        ({"a/b.html": '<h1 id="x"></h1><a href="c.html"></a>'}, ["a/b.html: c.html: no such file"]),
        ({"a/b.html": '<h1 id="x"></h1><img src="c.png">'}, ["a/b.html: c.png: no such file"]),
        ({"a/b.html": '<h1 id="x"></h1><a href="#q"></a>'}, ["a/b.html: #q: no such anchor"]),
        ({"a/b.html": '<p id="x"><script src="https://x.org/a.js">'}, ["a/b.html: loads https://x.org/a.js"]),
        ({"a/b.html": '<p id="x"><link rel="stylesheet" href="//x.org/a.css">'}, ["a/b.html: loads //x.org/a.css"]),
    ],
)
def test_broken_links_are_found(change, said, check_links, tmp_path):
    for name, text in {**GOOD, **change}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert list(check_links.problems(tmp_path)) == said


def test_an_empty_site_is_a_problem(check_links, tmp_path):
    assert len(list(check_links.problems(tmp_path))) == 1


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_without_a_broken_link(check_links, tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert list(check_links.problems(tmp_path / "site")) == []
    built = {path.stem for path in (tmp_path / "site" / "diagnostics").glob("*.html")}
    assert built == {"index", *DIAGNOSTICS}

"""The pytest plugin in projects of its own: what the fixture does, and that it costs nothing where it is not used."""

from __future__ import annotations

from importlib.metadata import entry_points
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

SICK = """
    from torch import nn
    import torch

    def test_sick(just_right):
        layers = [each for _ in range(20) for each in (nn.Linear(64, 64), nn.Sigmoid())]
        just_right(nn.Sequential(*layers), torch.randn(32, 64){more})
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Run pytest in a process and folder of its own, with no settings of this repository."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(text, *arguments):
        pytester.makepyfile(text)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


def test_pytest_finds_the_plugin_by_its_entry_point():
    found = [point.value for point in entry_points(group="pytest11") if point.name == "justright"]
    assert found == ["justright.testing.plugin"]


def test_the_start_of_pytest_imports_nothing_heavy(project):
    heavy = "{'torch', 'numpy', 'scipy', 'rich', 'numba', 'justright.checking'}"
    result = project(f"import sys\ndef test_start():\n    assert not set(sys.modules) & {heavy}\n")
    result.assert_outcomes(passed=1)


def test_the_fixture_fails_prints_the_report_and_records_it(project, pytester):
    pytest.importorskip("torch")
    result = project(SICK.format(more=""), "--junitxml=out.xml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*AssertionError*not just right*", "*error JR103 vanishing-gradient*", "*justright*", "*Depth profile*"]
    )
    root = ElementTree.parse(pytester.path / "out.xml")
    values = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert values["justright.verdict"] == "error"
    assert values["justright.JR103"].startswith("error vanishing-gradient, from ")


def test_the_fixture_takes_the_same_options(project):
    pytest.importorskip("torch")
    result = project(SICK.format(more=", allow=('JR103',), title='mine'"))
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*Depth profile*")

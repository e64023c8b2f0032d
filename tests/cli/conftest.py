"""What the tests of the command share: a runner, a file with models in it, and a check that costs nothing."""

from __future__ import annotations

import os
import re
import textwrap

import pytest
from typer.testing import CliRunner

from justright.core.coverage import Coverage
from justright.core.findings import Finding, Severity
from justright.core.graph import Graph
from justright.core.profile import Profile
from justright.report import Report

NET = """
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.inner = nn.Linear(width, 4)

        def forward(self, x):
            return self.inner(x)

        @classmethod
        def build(cls):
            return cls(8)


    def make():
        return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))

    def bundle():
        return {"model": make(), "input": {"input": "16,8", "target": "int64:16:0..4"}, "loss": "cross_entropy"}

    def pair():
        return make(), torch.ones(3, 8)

    def noisy():
        import os
        print("printed by the factory")
        os.system("echo printed by a child")
        return make()

    def boom():
        return {}["key"]

    def sentence():
        return "a model"

    def nothing():
        make()

    def triple():
        return make(), 1, 2

    def misspelled():
        return {"modle": make()}

    def twice():
        return {"model": make(), "batch": 1, "input": "2,8"}

    def leave():
        raise SystemExit(3)

    def stop():
        raise KeyboardInterrupt

    def half(output, target):
        return output.mean() / 2

    ready = make()
    number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a file of models."""
    (tmp_path / "net.py").write_text(textwrap.dedent(NET), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finding(severity):
    return Finding("JR999", "made-up", severity, "fc", "0", "1", "it is", "nothing")


@pytest.fixture
def checked(monkeypatch):
    """Replace the check by one that finds what the test puts in, and remembers what it was given."""
    import justright.checking

    class Checked:
        severities: tuple[Severity, ...] = ()
        coverage = Coverage(sites=1, forward=1)
        target = None
        device = None

        def __call__(self, target, *, device=None, progress=None):
            self.target, self.device, self.progress = target, device, progress
            found = tuple(finding(each) for each in self.severities)
            return Report(target.title, Graph((), ()), Profile(()), found, self.coverage)

    made = Checked()
    monkeypatch.setattr(justright.checking, "check_target", made)
    return made


@pytest.fixture
def run():
    """Run the command in this process; the result has exit_code, stdout, stderr."""
    from justright.cli.app import app

    def invoke(*arguments, **environment):
        return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200", **environment})

    return invoke


@pytest.fixture
def refused(run):
    """Run the command, and return the one clear error with which it could not check."""

    def invoke(*arguments):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert len(re.findall(r"^error: ", result.stderr, re.MULTILINE)) == 1, result.stderr
        return result.stderr

    return invoke


@pytest.fixture
def is_root():
    return hasattr(os, "geteuid") and os.geteuid() == 0

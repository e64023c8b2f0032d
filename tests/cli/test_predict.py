"""``justright predict``: reports, exit codes and errors, as a shell sees them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from justright.cli.app import app

FACTORY = """
import torch
def make():
    pairs = [(torch.nn.Linear(16, 16), torch.nn.{name}()) for _ in range({depth})]
    return torch.nn.Sequential(*[layer for pair in pairs for layer in pair])
"""


def run(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


@pytest.fixture
def source(tmp_path):
    def write(name="Tanh", depth=3):
        path = tmp_path / f"net_{name.lower()}_{depth}.py"
        path.write_text(FACTORY.format(name=name, depth=depth))
        return f"{path}:make"

    return write


def test_a_healthy_network_gives_zero_and_its_coverage(source):
    result = run(source(), "--input", "8,16")
    assert result.exit_code == 0, result.output
    assert "by rule" in result.output
    assert "loss scale" in result.output


def test_findings_give_one(source):
    result = run(source("Sigmoid", 20), "--input", "8,16", "--quiet")
    assert result.exit_code == 1, result.output


def test_json_on_standard_output_is_nothing_but_json(source):
    result = run(source(), "--input", "8,16", "--json", "-")
    data = json.loads(result.stdout)
    assert data["forecast"]["none"] == 0
    assert all(site["predicted"] for site in data["profile"]["sites"])
    assert data["profile"]["provenance"] != "measured"


def test_files_are_written(source, tmp_path):
    result = run(source(), "--input", "8,16", "--html", tmp_path / "p.html", "--json", tmp_path / "p.json", "-q")
    assert result.exit_code == 0, result.output
    assert "<html" in (tmp_path / "p.html").read_text()
    assert json.loads((tmp_path / "p.json").read_text())["schema"] == "justright.report/1"


def test_an_operator_without_a_rule_to_switch_off_gives_two(source):
    result = run(source(), "--input", "8,16", "--without", "tahn")
    assert result.exit_code == 2
    assert "tahn" in result.output


def test_a_model_that_no_memory_holds_is_predicted():
    result = run("transformers:gpt2?n_embd=12288&n_head=96&n_layer=3", "--quiet", "--fail-on", "error")
    assert result.exit_code in {0, 1}, result.output

"""``justright phase``: the numbers, the picture, and bad input."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from justright.cli.app import app
from justright.meanfield.critical import half_stable
from justright.meanfield.plane import sweep
from justright.meanfield.point import phase
from justright.report.plots.phase import BANDS, GREY, SHADES, plane_svg


def run(*arguments):
    return CliRunner().invoke(app, ["phase", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def test_the_point_and_the_critical_point_are_printed():
    result = run("tanh", "--sigma-w", "1.5", "--sigma-b", "0.3")
    assert result.exit_code == 0
    assert "chaotic" in result.stdout
    assert f"{phase('tanh', sigma_w=1.5, sigma_b=0.3).chi_1:.6g}" in result.stdout
    assert "tanh: critical, stable" in result.stdout


def test_without_a_weight_the_point_is_critical():
    assert "sigma_w 1.41421, sigma_b 0: critical" in run("relu").stdout


def test_json_on_standard_output_is_all_there():
    data = json.loads(run("leaky_relu", "--set", "negative_slope=0.1", "--json", "-").stdout)
    assert data["schema"] == "justright.phase/1"
    assert data["critical"]["sigma_w"] == pytest.approx((2.0 / 1.01) ** 0.5)
    assert json.loads(run("softplus", "--json", "-").stdout)["critical"]["error"].startswith("no critical point")


def test_pictures_are_written(tmp_path):
    names = {option: tmp_path / f"phase.{option}" for option in ("svg", "html", "json")}
    arguments = [part for option, path in names.items() for part in (f"--{option}", str(path))]
    result = run("relu", "--jobs", "1", *arguments)
    assert result.exit_code == 0, result.output
    assert names["svg"].read_text().startswith("<svg")
    assert names["html"].read_text().count("<svg") == 1
    assert json.loads(names["json"].read_text())["point"]["phase"] == "critical"
    assert result.stdout.count("wrote ") == 3


@pytest.mark.parametrize(("arguments", "words"), [
    (("tahn",), "tanh"),
    (("log",), "inputs up to"),
    (("tanh", "--sigma-w", "0"), "above zero"),
    (("tanh", "--set", "slope"), "--set negative_slope=0.1"),
    (("tanh", "--svg", "-"), "a file"),
    (("tanh", "--svg", "/nowhere/at/all.svg"), "mkdir"),
])  # fmt: skip
def test_bad_input_ends_with_code_2_and_says_what_to_do(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_shade_of_a_cell_is_that_of_its_depth():
    plane = sweep("relu", [0.7, 1.3, 1.6], [0.1], jobs=1)
    colours = re.findall(r'<rect x="[\d.]+" y="34.0" [^>]*fill="(#\w+)"', plane_svg(plane))
    assert colours[2] == GREY
    for colour, depth in zip(colours[:2], plane.depth[0], strict=False):
        assert SHADES.index(colour) == sum(depth >= band for band in BANDS)


def test_the_critical_line_is_drawn_through_critical_points():
    plane = sweep("tanh", [1.0, 1.5, 2.0], [0.0, 0.5, 1.0], jobs=1)
    path = re.search(r'<path d="M([^"]*)" fill="none" stroke="#0072B2" stroke-width="3">', plane_svg(plane))[1]
    x, y = (float(part) for part in path.split("L")[len(path.split("L")) // 2].split())
    weight = 0.75 + 1.5 * (x - 56) / (640 - 56 - 178)
    bias = -0.25 + 1.5 * (1 - (y - 34) / (400 - 34 - 50))
    assert phase("tanh", sigma_w=weight, sigma_b=bias).chi_1 == pytest.approx(1.0, abs=2e-3)


def test_the_line_is_dashed_where_the_second_moment_leaves_it():
    gelu = plane_svg(sweep("gelu", [1.0, 1.5, 2.0], [0.0, 0.2, 1.0], jobs=1))
    tanh = plane_svg(sweep("tanh", [1.0, 1.5, 2.0], [0.0, 0.5, 1.0], jobs=1))
    assert "critical, q unstable" in gelu
    assert "stroke-dasharray" not in tanh
    dashed = re.search(r'<path d="M([^"]*)" fill="none" stroke="#0072B2" stroke-width="2"', gelu)[1]
    places = np.array([[float(part) for part in place.split()] for place in dashed.split("L")])
    weights = 0.75 + 1.5 * (places[:, 0] - 56) / (640 - 56 - 178)
    assert np.all(weights > half_stable("gelu")[0].sigma_w - 0.01)

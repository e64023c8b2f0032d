"""Laws of the diagnostics: a fault that must fire each, healthy networks on which none may, and what a finding says."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import sys
from pathlib import Path

import pytest

from justright.core.bibliography import BIBLIOGRAPHY, cited
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import GraphBuilder, Role
from justright.diagnostics.base import DIAGNOSTICS
from justright.testing import zoo
from justright.testing.laws import check_diagnostic, check_finding, check_network, check_page

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import justright as jr

PACKAGE = Path(jr.__file__).parent
SEEDS = (0, 1, 2)

NETWORKS = {network.name: network for network in (*zoo.healthy(), *zoo.sick())}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_gets_the_verdict_that_it_deserves(name):
    for seed in SEEDS:
        check_network(NETWORKS[name], seed)


@pytest.mark.parametrize("code", DIAGNOSTICS)
def test_page_has_its_form(code):
    check_page(DIAGNOSTICS[code])
    assert DIAGNOSTICS[code].code == code


def test_names_are_unique():
    names = [entry.name for entry in DIAGNOSTICS.values()]
    assert len(set(names)) == len(names)


COMPARING = {"JR105"}
"""Diagnostics that name no fault of a network, but that it is not what its own code says: tests/engines shows them."""


@pytest.mark.parametrize("code", sorted(set(DIAGNOSTICS) - COMPARING))
def test_every_fault_is_shown_by_several_networks(code):
    assert len(zoo.sick(code)) >= 3
    assert all(network.fault in DIAGNOSTICS for network in zoo.sick())


def test_the_zoo_is_as_large_as_it_says():
    assert len(zoo.healthy()) >= 40
    assert len(zoo.sick()) >= 60
    assert len({network.family for network in zoo.healthy()}) >= 8
    assert all(network.note and network.name.startswith(f"{network.family}/") for network in NETWORKS.values())


def test_building_is_reproducible_and_leaves_the_random_state_alone():
    import torch

    before = torch.random.get_rng_state()
    first, second, other = (NETWORKS["mlp/relu-he"].build(seed)[0] for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = list(zip(first.parameters(), second.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(one, same) for one, same, _ in pairs)
    assert any(not torch.equal(one, another) for one, _, another in pairs)


def test_every_citation_of_the_source_is_in_the_bibliography():
    keys = {
        key
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for key in cited(ast.get_docstring(node) or "")
        if path.name != "bibliography.py"
    }
    assert keys >= {"He2015", "Schoenholz2017"}
    assert keys - BIBLIOGRAPHY.keys() == set()


def test_every_entry_of_the_bibliography_is_complete():
    for key, entry in BIBLIOGRAPHY.items():
        assert cited(f"[{key}]") == {key}
        assert all((entry.authors, entry.title, entry.venue, entry.link))
        assert key.startswith(entry.authors.split(",")[0])
        assert entry.link.startswith(("arXiv ", "doi ", "ISBN ", "https://"))


# The traps: healthy networks that show a textbook symptom.


def profile_of(name):
    model, batch, loss = NETWORKS[name].build(0)
    return jr.check(model, batch, loss=loss).profile


def flat_shares(name):
    return [record.units.share for record in profile_of(name).sites if record.units]


def test_traps_show_their_symptom():
    dead = [record.units for record in profile_of("mlp/relu-he-deep").sites if record.units]
    assert sum(each.dead for each in dead) > 0.2 * sum(each.units for each in dead)
    assert min(flat_shares("mlp/relu-quiet")) > 0.55
    assert min(flat_shares("mlp/tanh-half")) > 0.5
    assert profile_of("mlp/wide-head").loss > 10 * 2.3  # ten times ln 10, the loss of guessing
    assert profile_of("zeros/zero-head").parameter["0.weight"].gradient.zeros == 1.0
    assert profile_of("zeros/softmax-regression").parameter["weight"].value.zeros == 1.0
    assert any(record.forward.negative_inf for record in profile_of("attention/masked-own").sites)


# What the remedies promise: the weights that a finding asks for are healthy.


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        ("mlp/tiny-8", "mlp/relu-he"),
        ("mlp/sigmoid-20", "mlp/relu-he"),
        ("mlp/unit-relu-8", "mlp/relu-he"),
        ("mlp/tanh-chaotic-50", "mlp/tanh-xavier"),
        ("units/tanh-std-10", "mlp/tanh-xavier"),
        ("units/relu-bias", "mlp/relu-he"),
        ("units/constant-mlp", "mlp/relu-he"),
        ("zeros/lora-both", "zeros/lora"),
    ],
)
def test_remedy_asks_for_what_a_healthy_network_has(fault, cure):
    """Type what the finding says, on the sick network itself, and check again."""
    import torch

    model, batch, loss = NETWORKS[fault].build(0)
    asked = jr.check(model, batch, loss=loss).findings[0].try_
    assert NETWORKS[cure].healthy
    cured(model, asked)
    if "replace" in asked:
        model = torch.nn.Sequential(
            *(torch.nn.ReLU() if isinstance(layer, torch.nn.Sigmoid) else layer for layer in model)
        )
    assert jr.check(model, batch, loss=loss).verdict == "healthy"


def cured(model, asked):
    """Run the initializers that a remedy names on every linear layer, or on the parameters that it names."""
    import torch

    if "get_parameter" in asked and "kaiming_uniform_" in asked:  # one factor of every pair
        for name, parameter in model.named_parameters():
            if name.endswith(".A"):
                torch.nn.init.kaiming_uniform_(parameter, a=5**0.5)
        return
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            scheme = torch.nn.init.xavier_normal_ if "xavier" in asked else torch.nn.init.kaiming_normal_
            assert scheme.__name__ in asked
            scheme(layer.weight)
            torch.nn.init.zeros_(layer.bias)


# The laws can fail.


def graph():
    builder = GraphBuilder()
    x = builder.leaf("input.0", (8, 4), "float32", Role.INPUT)
    y = builder.node("relu", "aten.relu.default", [("input", x)], [((8, 4), "float32", True)])
    return builder.finish(outputs=y)


SOUND = Finding(
    "JR202",
    "dead-units",
    Severity.ERROR,
    "/relu",
    "all off",
    "some on",
    "the bias",
    "zeros_",
    (Evidence("dead units", 1.0, "share", 0.0, 0.9),),
    ("/relu",),
)


def test_law_accepts_a_sound_finding():
    check_finding(SOUND, graph())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "dead"},
        {"got": " "},
        {"try_": ""},
        {"evidence": ()},
        {"evidence": (Evidence("dead units", 0.5, "share", 0.0, 0.9),)},
        {"evidence": (Evidence("dead units", float("nan"), "share", 0.0, 0.9),)},
        {"evidence": (Evidence("dead units", 1.0, "", 0.0, 0.9),)},
        {"evidence": (Evidence("dead units", 1.0, "share"),)},
        {"sites": ()},
        {"sites": ("nowhere",)},
    ],
)
def test_law_refuses_an_unsound_finding(change):
    with pytest.raises(AssertionError):
        check_finding(dataclasses.replace(SOUND, **change), graph())


@pytest.mark.parametrize(
    ("old", "new"),
    [("## Fix", "## Cure"), ("## Example\n", "## Example\n## Fix\n"), ("[He2015]", "[Nobody2015]"), ("[He2015]", "")],
)
def test_law_refuses_an_unsound_page(old, new):
    entry = DIAGNOSTICS["JR202"]
    page = entry.page.replace(old, new).replace("[Lu2019]", "")
    with pytest.raises(AssertionError):
        check_page(dataclasses.replace(entry, page=page))


@pytest.mark.parametrize("change", [{"code": "103"}, {"name": "Dead Units"}])
def test_law_refuses_an_unsound_code_or_name(change):
    with pytest.raises(AssertionError):
        check_page(dataclasses.replace(DIAGNOSTICS["JR202"], **change))


def test_law_refuses_a_false_alarm_a_miss_and_a_wrong_name():
    sick, well = NETWORKS["mlp/sigmoid-20"], NETWORKS["mlp/relu-he"]
    for wrong in (
        dataclasses.replace(sick, fault=None),
        dataclasses.replace(well, fault="JR103"),
        dataclasses.replace(sick, fault="JR104"),
    ):
        with pytest.raises(AssertionError, match=wrong.name):
            check_network(wrong)


def test_law_of_a_diagnostic_holds_and_asks_for_several_networks():
    entry = DIAGNOSTICS["JR302"]
    check_diagnostic(entry, networks=[*zoo.sick("JR302"), NETWORKS["zeros/lora"]])
    with pytest.raises(AssertionError, match="expected two or more"):
        check_diagnostic(entry, networks=[zoo.sick("JR302")[0], NETWORKS["zeros/lora"]])


def test_the_zoo_needs_no_framework_to_be_imported():
    assert importlib.util.find_spec("justright.testing.zoo") is not None
    import subprocess

    code = "import justright.testing.zoo, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

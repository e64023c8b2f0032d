"""Every bad input has an error of its own: exit code 2, what was got, what to type next, no traceback."""

from __future__ import annotations

import os

import pytest

MODELS = {
    "no colon": ("net.py", ["'net.py'", "a colon and a name", "net.py:half"]),
    "colon without name": ("net.py:", ["a colon and a name", "net.py:half"]),
    "nothing": ("", ["''", "a colon and a name"]),
    "no such file": ("nett.py:make", ["no file 'nett.py'", "try: net.py:make"]),
    "no such folder": ("nowhere/net.py:make", ["no file 'nowhere/net.py'"]),
    "no such module": ("no_such_package.models:make", ["no module 'no_such_package'", "pip install no_such_package"]),
    "no such submodule": ("json.modelz:make", ["no module 'json.modelz'"]),
    "relative module": (".net:make", ["TypeError"]),
    "no such name": ("net.py:mkae", ["no name 'mkae' in net.py", "try: make"]),
    "nothing like it": ("net.py:zzzzzz", ["no name 'zzzzzz'", "try: Net, make"]),
    "no such method": ("net.py:Net.biuld", ["no name 'biuld' in Net", "try: build"]),
    "class with arguments": ("net.py:Net", ["Net(width)", "'width'", "def make(): return Net(...)"]),
    "function with arguments": ("net.py:half", ["half(output, target)", "without arguments"]),
    "factory raises": ("net.py:boom", ["net.py:35: got KeyError: 'key'", "--debug"]),
    "factory exits": ("net.py:leave", ["SystemExit: 3", "__main__"]),
    "returns text": ("net.py:sentence", ["a str from sentence", "a tuple (model, batch)"]),
    "returns None": ("net.py:nothing", ["None from nothing", "return model"]),
    "returns three": ("net.py:triple", ["a tuple of 3 from triple"]),
    "misspelled key": ("net.py:misspelled", ["a dict with keys modle"]),
    "batch and input": ("net.py:twice", ["both batch and input"]),
    "no model at all": ("net.py:number", ["a int from number"]),
    "class of transformers": ("transformers:GPT2LMHeadModle", ["try: transformers:GPT2LMHeadModel"]),
    "type of transformers": ("transformers:gtp2", ["transformers:gpt2"]),
    "no model of transformers": ("transformers:GenerationConfig", ["'GenerationConfig'", "a model class"]),
    "abstract class": ("transformers:AutoModelForCausalLM", ["'AutoModelForCausalLM'", "transformers:"]),
    "name on the Hub": ("transformers:openai/gpt2", ["nothing is downloaded", "openai/gpt2/config.json"]),
    "no such config": ("transformers:no/config.json", ["no file 'no/config.json'"]),
    "broken config": ("transformers:broken.json", ["broken.json", "JSONDecodeError"]),
    "empty config": ("transformers:empty.json", ["model_type None"]),
    "list in config": ("transformers:list.json", ["a list", "a JSON object"]),
    "unknown option": ("transformers:gpt2?n_layers=2", ["option 'n_layers'", "try: n_layer"]),
    "option of another type": ("transformers:gpt2?n_layer=two", ["option n_layer: got 'two'", "int, such as 12"]),
    "option without value": ("transformers:gpt2?n_layer", ["option 'n_layer'", "key=value"]),
    "option twice": ("transformers:gpt2?n_layer=1&n_layer=2", ["option 'n_layer' twice"]),
    "refused value": ("transformers:gpt2?n_embd=30&n_layer=1", ["ValueError", "divisible"]),
    "name of timm": ("timm:resnet81", ["'resnet81'", "timm:resnet18"]),
    "option of timm": ("timm:resnet18?nope=3", ["TypeError", "'nope'"]),
    "weights of timm": ("timm:resnet18?pretrained=true", ["'pretrained'", "never downloaded"]),
}


@pytest.mark.parametrize(("model", "said"), MODELS.values(), ids=MODELS.keys())
def test_model(model, said, folder, checked, refused):
    (folder / "broken.json").write_text("{", encoding="utf-8")
    (folder / "empty.json").write_text("{}", encoding="utf-8")
    (folder / "list.json").write_text("[]", encoding="utf-8")
    error = refused("check", model)
    assert [each for each in said if each not in error] == [], error
    assert checked.target is None


FILES = {
    "syntax": ("def make(:\n", ["bad.py:1: got SyntaxError"]),
    "missing package": ("x = 1\nimport no_such_package\n", ["bad.py:2", "pip install no_such_package"]),
    "raises": ("\n\nraise RuntimeError('two\\nlines')\n", ["bad.py:3: got RuntimeError: two"]),
    "exits": ("import sys\nsys.exit(0)\n", ["bad.py:2: got SystemExit: 0", "__main__"]),
    "in a neighbour": ("import helper\n", ["helper.py:2: got ZeroDivisionError"]),
    "inside a library": ("import json\njson.loads('{')\n", ["bad.py:2: got JSONDecodeError"]),
}


@pytest.mark.parametrize("form", ["bad.py:make", "bad:make"])
@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES.keys())
def test_file_that_cannot_be_imported(form, text, said, folder, checked, refused, monkeypatch):
    monkeypatch.delitem(__import__("sys").modules, "bad", raising=False)
    monkeypatch.delitem(__import__("sys").modules, "helper", raising=False)
    (folder / "bad.py").write_text(text, encoding="utf-8")
    (folder / "helper.py").write_text("\n1 / 0\n", encoding="utf-8")
    error = refused("check", form)
    assert [each for each in said if each not in error] == [], error


OPTIONS = {
    "spec": (["--input", "8x3x224"], ["'8x3x224'", "8,3,224,224"]),
    "size of zero": (["--input", "8,0"], ["(8, 0)", "at least 1"]),
    "no spec file": (["--input", "no.yaml"], ["No such file", "no.yaml"]),
    "spec is a folder": (["--input", "folder.yaml"], ["folder.yaml"]),
    "no YAML": (["--input", "bad.yaml"], ["no YAML", "bad.yaml"]),
    "not text": (["--input", "binary.yaml"], ["no YAML", "binary.yaml"]),
    "empty YAML": (["--input", "empty.yaml"], ["a NoneType"]),
    "unknown key": (["--input", "key.yaml"], ["shpae"]),
    "loss": (["--loss", "cross-entorpy"], ["'cross-entorpy'", "--loss cross_entropy"]),
    "loss in no file": (["--loss", "no.py:loss"], ["no file 'no.py'"]),
    "no such loss in the file": (["--loss", "net.py:haff"], ["no name 'haff'", "try: half"]),
    "loss that is a number": (["--loss", "net.py:number"], ["a int", "callable"]),
    "loss that is a class": (["--loss", "net.py:Net"], ["a class, Net", "an instance"]),
    "device": (["--device", "abacus"], ["'abacus'", "--device cpu"]),
    "no folder for HTML": (["--html", "no/report.html"], ["--html", "No such file", "mkdir -p no"]),
    "no folder for JSON": (["--json", "no/report.json"], ["--json", "No such file", "mkdir -p no"]),
    "folder as output": (["--json", "."], ["--json", "Is a directory"]),
    "output too long": (["--html", "x" * 300], ["--html", "File name too long"]),
    "output in a file": (["--html", "net.py/report.html"], ["--html", "Not a directory"]),
    "HTML to standard output": (["--html", "-"], ["--html", "report.html"]),
    "one file twice": (["--html", "report", "--json", "./report"], ["two different files"]),
    "source and JSON": (["--json", "-", "--source"], ["--source with --json -"]),
}


@pytest.mark.parametrize(("options", "said"), OPTIONS.values(), ids=OPTIONS.keys())
def test_option(options, said, folder, checked, refused):
    (folder / "folder.yaml").mkdir()
    (folder / "bad.yaml").write_text("a: [1, 2\nb: }", encoding="utf-8")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "empty.yaml").write_text("", encoding="utf-8")
    (folder / "key.yaml").write_text("x:\n  shpae: [2, 3]\n", encoding="utf-8")
    error = refused("check", "net.py:make", *options)
    assert [each for each in said if each not in error] == [], error
    assert checked.target is None


def test_read_only_folder(folder, checked, refused, is_root):
    if is_root:
        pytest.skip("root writes everywhere")
    (folder / "closed").mkdir(mode=0o555)
    assert "Permission denied" in refused("check", "net.py:make", "--html", "closed/report.html")


@pytest.mark.parametrize("option", ["--html", "--json"])
def test_outputs_are_tried_before_the_model_is_built(option, folder, checked, refused):
    (folder / "side.py").write_text("open('built', 'w').close()\n", encoding="utf-8")
    refused("check", "side.py:make", option, "no/report")
    assert not os.path.exists("built")  # noqa: PTH110


def test_a_refused_check_leaves_no_file(folder, checked, refused):
    before = sorted(os.listdir())  # noqa: PTH208
    refused("check", "net.py:number", "--html", "a.html", "--json", "b.json")
    assert sorted(each for each in os.listdir() if each != "__pycache__") == before  # noqa: PTH208


@pytest.mark.parametrize("arguments", [["check"], ["check", "a", "--fail-on", "note"], ["chek"]])
def test_usage_error(arguments, run):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage" in result.stderr

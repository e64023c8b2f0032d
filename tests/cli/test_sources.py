"""What a source gives: the same model by every form, from its own place, seeded, with the process left as it was."""

from __future__ import annotations

import sys

import pytest

torch = pytest.importorskip("torch")

from justright.cli.sources import find_loss, read_input, resolve, with_input  # noqa: E402
from justright.core.inputs import InputSpec, parse_input  # noqa: E402

FORMS = ["net.py:make", "./net.py:make", "net.py:Net.build", "net.py:ready", "net.py:pair", "net.py:bundle"]


@pytest.mark.parametrize("source", FORMS)
def test_every_form_gives_a_model(source, folder):
    target = resolve(source)
    assert isinstance(target.model, torch.nn.Module)
    assert target.title == source


def test_a_module_of_the_current_folder(folder, monkeypatch):
    (folder / "here.py").write_text("from torch import nn\ndef make(): return nn.Linear(3, 5)\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "here", raising=False)
    assert resolve("here:make").model.out_features == 5


def test_a_class_without_arguments_is_called(folder):
    text = "from torch import nn\nclass Tiny(nn.Linear):\n    def __init__(self): super().__init__(2, 3)\n"
    (folder / "tiny.py").write_text(text, encoding="utf-8")
    assert type(resolve("tiny.py:Tiny").model).__name__ == "Tiny"


def test_what_a_factory_knows_is_kept(folder):
    target = resolve("net.py:bundle")
    assert target.loss == "cross_entropy"
    assert target.batch == parse_input({"input": "16,8", "target": "int64:16:0..4"})
    assert torch.equal(resolve("net.py:pair").batch, torch.ones(3, 8))


def test_neighbours_of_the_file_are_importable_while_it_is_built_and_only_then(folder, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "first_part.py").write_text("width = 7\n", encoding="utf-8")
    (elsewhere / "second_part.py").write_text("width = 9\n", encoding="utf-8")
    text = "from torch import nn\nfrom first_part import width\ndef make():\n"
    text += "    import second_part\n    return nn.Linear(width, second_part.width)\n"
    (elsewhere / "whole.py").write_text(text, encoding="utf-8")
    before = list(sys.path)
    model = resolve(f"{elsewhere / 'whole.py'}:make").model
    assert (model.in_features, model.out_features) == (7, 9)
    assert sys.path == before


def test_the_path_is_restored_after_an_error(folder):
    before = list(sys.path)
    with pytest.raises(Exception, match="key"):
        resolve("net.py:boom")
    assert sys.path == before


def test_a_file_is_read_anew(folder):
    for width in (3, 4):
        text = f"from torch import nn\ndef make(): return nn.Linear({width}, 1)\n"
        (folder / f"v{width}").mkdir()
        (folder / f"v{width}" / "same.py").write_text(text, encoding="utf-8")
        assert resolve(f"v{width}/same.py:make").model.in_features == width


def test_a_file_named_like_a_module_does_not_replace_it(folder):
    import colorsys

    (folder / "colorsys.py").write_text("from torch import nn\nmodel = nn.Linear(2, 2)\n", encoding="utf-8")
    resolve("colorsys.py:model")
    assert sys.modules["colorsys"] is colorsys


def weights(source, seed):
    return torch.cat([each.flatten() for each in resolve(source, seed=seed).model.parameters()])


@pytest.mark.parametrize("source", ["net.py:make", "net.py:Net.build"])
def test_a_seed_fixes_the_weights(source, folder):
    assert torch.equal(weights(source, 5), weights(source, 5))
    assert not torch.equal(weights(source, 5), weights(source, 6))


def test_a_seed_fixes_every_generator(folder):
    text = "import random, numpy, torch\nfrom torch import nn\ndef make():\n    model = nn.Linear(1, 1)\n"
    text += "    model.drawn = (random.random(), numpy.random.rand(), torch.rand(1).item())\n    return model\n"
    (folder / "draws.py").write_text(text, encoding="utf-8")
    first, again, other = (resolve("draws.py:make", seed=seed).model.drawn for seed in (1, 1, 2))
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_what_a_file_draws_while_it_is_imported_does_not_change_the_weights(folder):
    text = "import torch\ntorch.rand({})\ndef make(): return torch.nn.Linear(4, 4)\n"
    for count in (1, 2):
        (folder / f"draws{count}.py").write_text(text.format(count), encoding="utf-8")
    assert torch.equal(weights("draws1.py:make", 3), weights("draws2.py:make", 3))


def test_initializers_are_recorded_while_the_factory_runs(folder):
    target = resolve("net.py:make")
    assert set(target.initializers) == {name for name, _ in target.model.named_parameters()}
    assert target.initializers["0.weight"].name == "kaiming_uniform"


def test_input_in_every_form_is_the_same(folder):
    forms = {
        "list.yaml": "- int64:2,16:0..100\n",
        "text.yml": "int64:2,16:0..100\n",
        "long.yaml": "[{shape: [2, 16], dtype: int64, low: 0, high: 100}]\n",
    }
    for name, text in forms.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert {read_input(each) for each in (*forms, "int64:2,16:0..100")} == {parse_input("int64:2,16:0..100")}


def test_a_known_target_follows_the_size_of_another_input(folder):
    changed = with_input(resolve("net.py:bundle"), parse_input("5,8"))
    assert changed.batch == InputSpec(parse_input("5,8").args, target=parse_input("int64:5:0..4").args[0])
    given = with_input(resolve("net.py:bundle"), parse_input({"input": "5,8", "target": "5"}))
    assert given.batch.target == parse_input("5").args[0]
    assert with_input(resolve("net.py:make"), parse_input("5,8")).batch.target is None


def test_losses(folder):
    assert find_loss("mse") == "mse"
    assert find_loss("net.py:half")(torch.tensor([3.0, 5.0]), None) == 2

"""The pages on initializers that are made from the code: whole, and true."""

from __future__ import annotations

import doctest
import importlib.util
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from justright.initializers.base import INITIALIZERS

pytest.importorskip("mkdocs")
DOCS = Path(__file__).parents[2] / "docs"


def hook(name):
    spec = importlib.util.spec_from_file_location(f"hooks_{name}", DOCS / "_hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_scheme_has_a_page_and_all_but_data_driven_ones_a_picture():
    pages = hook("initializers")
    assert all(f"({name}.md)" in pages.index() for name in INITIALIZERS)
    without = []
    for name, entry in INITIALIZERS.items():
        text, picture = pages.page(entry), pages.picture(entry)
        assert text.startswith(f"# {name}\n")
        assert "When not" in text
        if picture is None:
            without.append(name)
        else:
            assert f"({name}.svg)" in text
            assert ElementTree.fromstring(picture).findall(".//*")
    assert without == ["admin", "gradinit", "krahenbuhl", "lsuv", "metainit", "pissa"]


def test_profiles_show_what_the_schemes_are_for():
    pages = hook("initializers")

    def ends(name, activation):
        _, target, scheme = pages.shown(INITIALIZERS[name])
        profile = pages.profile(scheme, target, activation)
        assert len(profile) == pages.DEPTH
        return profile[-1] / profile[0]

    assert ends("orthogonal", "linear") == pytest.approx(1.0, abs=1e-6)
    assert ends("delta_orthogonal", "linear") == pytest.approx(1.0, abs=1e-6)
    assert 0.05 < ends("he_normal", "relu") < 20
    assert ends("torch_default", "relu") < 1e-15  # a sixth of He's variance: 6 ** -25
    assert np.isclose(ends("xavier_normal", "relu"), 2**-24.5, rtol=5)


def test_fans_of_this_package_are_those_measured_and_others_are_not():
    rows = [row for row in hook("fans").table().splitlines() if row.startswith("| ") and "`[" in row]
    assert len(rows) >= 15
    cells = [re.split(r" *[|] *", row) for row in rows]
    assert not any("**" in row[4] for row in cells)
    assert sum("**" in row[5] for row in cells) >= 5
    assert sum("**" in row[6] for row in cells) >= 5


@pytest.mark.parametrize("page", ["initialize", "xavier", "phase"])
def test_what_a_page_shows_is_what_comes_out(page):
    result = doctest.testfile(
        str(DOCS / "concepts" / f"{page}.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted > 1
    assert not result.failed

"""Laws of the optional packages: the report imports without them, and says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from justright.errors import BackendError


@pytest.mark.parametrize(
    ("package", "module", "call"),
    [
        ("rich", "justright.report.terminal", str),
        ("rich", "justright.report.terminal", lambda report: report.__rich__()),
        ("jinja2", "justright.report.html", lambda report: report.to_html()),
        ("plotly", "justright.report.html", lambda report: report.to_html()),
    ],
)
def test_a_missing_package_is_named_with_what_to_type(reports, monkeypatch, package, module, call):
    monkeypatch.delitem(sys.modules, module, raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError, match=f"no package '{package}'") as caught:
        call(reports["healthy"])
    assert caught.value.try_ == "pip install 'justright[report]'"


def test_pandas_is_optional_too(reports, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackendError, match="pip install pandas"):
        reports["healthy"].to_pandas()


def test_a_data_frame_has_one_row_a_site(reports):
    pytest.importorskip("pandas")
    frame = reports["vanishing"].to_pandas()
    assert list(frame["name"]) == [record.name for record in reports["vanishing"].profile.sites]


def test_the_import_loads_none_of_them():
    code = "import sys, justright.report; print(sorted({'rich', 'jinja2', 'plotly', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_json_a_notebook_and_the_source_need_none_of_them(reports, monkeypatch):
    for package in ("rich", "jinja2", "plotly"):
        monkeypatch.setitem(sys.modules, package, None)
    report = reports["vanishing"]
    assert all([report.to_json(), report._repr_html_(), report.annotate()])

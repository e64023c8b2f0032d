"""The structure of the source: who imports whom, what has a docstring, how long functions are.

Every check is a function of source text, so that each is also shown a made-up text that it must refuse.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "justright"
CONFIGURATION = ROOT / "pyproject.toml"

HOMES = {
    "torch": "torch",
    "transformers": "torch",
    "timm": "torch",
    "jax": "jax",
    "keras": "keras",
    "tensorflow": "keras",
    "mxnet": "mxnet",
}
"""Frameworks, and the folder of `adapters/` that may import each."""

DATA_ONLY = {"diagnostics", "report"}
"""Packages that read data and know no engine."""

DATA = {"core", "registry", "errors"}
"""What those may import, besides themselves."""

REGISTRARS = {"activation", "pointwise", "diagnostic", "rule", "initializer"}
"""What a module calls at its top level, as a function or as a decorator, to make itself an entry of a catalogue."""

LATE = {"torch", "jax", "tensorflow", "keras", "mxnet", "rich", "plotly", "typer", "numba"}
"""What `import justright` must leave alone."""

MEDIAN_LINES, LONG_LINES = 9, 41
"""Bounds on the median and the 90th percentile of the length of a function, docstring not counted."""


def module_name(path):
    """Return the dotted name of a file under `src`, `__init__` included."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


SOURCES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


# The checks: functions of source text.


def imports(source, module):
    """Return every dotted name that a module imports, at any depth of its code, relative ones resolved."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node, module)
            found.add(origin)
            found.update(f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            found.update(imported_by_call(node))
    return found


def absolute(node, module):
    """Return the module that a `from` import names, without leading dots."""
    if not node.level:
        return node.module
    package = module.split(".")[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


def imported_by_call(node):
    """Return what `importlib.import_module("x")`, `import_module("x")` or `__import__("x")` imports."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    literals = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
    return literals if called in {"import_module", "__import__"} else []


def foreign_frameworks(source, module):
    """Return the frameworks that a module imports although it does not live in their folder."""
    names = {name.split(".")[0] for name in imports(source, module)} & set(HOMES)
    return sorted(name for name in names if not module.startswith(f"justright.adapters.{HOMES[name]}."))


def engines_behind_data(source, module):
    """Return what a module of a data-only package imports from elsewhere in justright."""
    room = module.split(".")[1]
    if room not in DATA_ONLY:
        return []
    inner = {name for name in imports(source, module) if name.startswith("justright.")}
    return sorted(name for name in inner if name.split(".")[1] not in {room, *DATA})


def is_entry(source):
    """Say whether a module registers itself in a catalogue when it is imported."""
    calls = []
    for node in ast.parse(source).body:
        calls += [node.value] if isinstance(node, ast.Expr | ast.Assign) else getattr(node, "decorator_list", [])
    return any(isinstance(call, ast.Call) and getattr(call.func, "id", "") in REGISTRARS for call in calls)


def imported_entries(source, module, entries):
    """Return the entries of catalogues that a module imports by name, other than itself."""
    return sorted(imports(source, module) & (set(entries) - {module}))


def is_public(node):
    """Say whether a statement defines a public class or function; an overload is one with its implementation."""
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not node.name.startswith("_") and "overload" not in map(ast.unparse, node.decorator_list)


def undocumented(source):
    """Return the module, public classes, and public functions and methods without a docstring."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["module"]
    pending = [(tree, "")]
    while pending:
        scope, prefix = pending.pop()
        for node in scope.body:
            if is_public(node):
                name = prefix + node.name
                missing += [] if ast.get_docstring(node) else [name]
                pending += [(node, f"{name}.")] if isinstance(node, ast.ClassDef) else []
    return sorted(missing)


def lengths(source):
    """Return the number of lines of every function, from its `def` to its end, without the docstring."""
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [node.end_lineno - node.lineno + 1 - docstring_lines(node) for node in functions]


def docstring_lines(node):
    """Return the number of lines that the docstring of a function takes."""
    if ast.get_docstring(node) is None:
        return 0
    return node.body[0].end_lineno - node.body[0].lineno + 1


def too_long(counts):
    """Say whether functions of these lengths break a bound."""
    return bool(np.median(counts) > MEDIAN_LINES or np.percentile(counts, 90) > LONG_LINES)


def loaded_by(statement):
    """Return which of the packages to be loaded late a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return sorted({name.split(".")[0] for name in run.stdout.split()} & LATE)


def lint_contracts(folder):
    """Run the import contracts of this project on the package `justright` that lies in a folder."""
    code = (
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename=sys.argv[1], no_cache=True, no_logo=True))"
    )
    command = [sys.executable, "-c", code, str(CONFIGURATION)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "COLUMNS": "200"}
    )


# The source keeps the rules.

ENTRIES = {module for module, text in SOURCES.items() if is_entry(text)}


def test_there_is_source_to_check():
    assert {"justright.__init__", "justright.errors", "justright.core.graph"} <= set(SOURCES)


def test_contracts_hold():
    run = lint_contracts(PACKAGE.parent)
    assert run.returncode == 0, run.stdout + run.stderr


def test_frameworks_stay_in_their_folder():
    assert [(module, bad) for module, text in SOURCES.items() if (bad := foreign_frameworks(text, module))] == []


def test_diagnostics_and_reports_know_only_data():
    assert [(module, bad) for module, text in SOURCES.items() if (bad := engines_behind_data(text, module))] == []


def test_entries_are_reached_through_their_catalogue_only():
    assert {name.split(".")[1] for name in ENTRIES} == {"ops", "diagnostics", "initializers"}
    assert [(module, bad) for module, text in SOURCES.items() if (bad := imported_entries(text, module, ENTRIES))] == []


def test_import_of_the_package_loads_nothing_heavy():
    assert loaded_by("import justright") == []


def test_everything_public_has_a_docstring():
    assert [(module, bad) for module, text in SOURCES.items() if (bad := undocumented(text))] == []


def test_functions_are_short():
    counts = [count for text in SOURCES.values() for count in lengths(text)]
    assert not too_long(counts), f"median {np.median(counts)}, 90th percentile {np.percentile(counts, 90)}"


# The checks can fail.

SOUND = {
    "__init__": "",
    "errors": "",
    "registry": "import justright.errors",
    "core.__init__": "",
    "core.graph": "import justright.errors",
    "ops.__init__": "",
    "ops.relu": "from justright.core import graph",
    "propagation.__init__": "",
    "propagation.sweep": "from justright.ops import relu",
    "statistics.__init__": "",
    "statistics.kernels": "",
    "statistics.parallel": "import justright.statistics.kernels",
    "statistics.reference": "",
    "diagnostics.__init__": "",
    "diagnostics.scale": "from justright.core import graph",
    "adapters.__init__": "",
    "adapters.base": "from justright.core import graph",
    "adapters.torch.__init__": "import torch",
    "measure.__init__": "from justright.adapters import base",
    "report.__init__": "from justright.core import graph",
    "checking": "from justright import measure, report",
}
"""A made-up package that keeps every contract."""


def contract_name(identifier):
    contracts = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return next(contract["name"] for contract in contracts if contract["id"] == identifier)


def write(folder, modules):
    for name, text in modules.items():
        path = folder.joinpath("justright", *name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_contracts_accept_a_sound_package(tmp_path):
    write(tmp_path, SOUND)
    run = lint_contracts(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("identifier", "module", "text"),
    [
        ("layers", "errors", "import justright.registry"),
        ("layers", "core.graph", "def late():\n    from justright.ops import relu"),
        ("layers", "ops.relu", "import justright.diagnostics.scale"),
        ("layers", "unplaced", ""),
        ("cycles", "adapters.base", "import justright.measure"),
        ("data", "report.__init__", "from justright.measure import run"),
        ("engines", "measure.__init__", "import justright.adapters.torch"),
        ("oracle", "statistics.reference", "import justright.statistics.kernels"),
        ("frameworks", "checking", "import torch"),
        ("frameworks", "adapters.base", "import torch"),
    ],
)
def test_contracts_refuse(identifier, module, text, tmp_path):
    write(tmp_path, {**SOUND, module: text})
    run = lint_contracts(tmp_path)
    assert run.returncode == 1
    assert f"{contract_name(identifier)} BROKEN" in run.stdout


@pytest.mark.parametrize(
    "text",
    [
        "import torch.nn",
        "from torch import nn",
        "def late():\n    import torch as t",
        "import importlib\nimportlib.import_module('torch.fx')",
        "__import__('torch')",
    ],
)
def test_framework_check_refuses_every_form_of_import(text):
    assert foreign_frameworks(text, "justright.checking") == ["torch"]
    assert foreign_frameworks(text, "justright.adapters.base") == ["torch"]
    assert foreign_frameworks(text, "justright.adapters.jax.trace") == ["torch"]
    assert foreign_frameworks(text, "justright.adapters.torch.trace") == []


def test_framework_check_resolves_relative_imports():
    assert foreign_frameworks("from .torch import trace", "justright.adapters.base") == []
    assert imports("from ..core import graph", "justright.ops.relu") == {"justright.core", "justright.core.graph"}
    assert imports("from . import graph", "justright.core.depth") == {"justright.core", "justright.core.graph"}


def test_data_check_refuses_an_engine():
    assert engines_behind_data("from justright.measure import run", "justright.report.html") == [
        "justright.measure",
        "justright.measure.run",
    ]
    assert engines_behind_data("import justright.report.plots, justright.core.graph", "justright.report.html") == []


@pytest.mark.parametrize(
    "text", ["from justright.ops import tanh", "from .tanh import rule", "import justright.ops.tanh"]
)
def test_catalogue_check_refuses_an_entry(text):
    entries = {"justright.ops.relu", "justright.ops.tanh"}
    assert imported_entries(text, "justright.ops.relu", entries) == ["justright.ops.tanh"]
    assert imported_entries(text, "justright.ops.tanh", entries) == []
    assert imported_entries("from . import _shared, base", "justright.ops.relu", entries) == []


@pytest.mark.parametrize(
    "text", ["activation('relu', f, g)", "RELU = activation('relu', f, g)", "@diagnostic('JR1', 'x')\ndef check(): ..."]
)
def test_entry_check_sees_every_form_of_registration(text):
    assert is_entry(text)
    assert not is_entry(f"def make():\n    {text.splitlines()[-1]}")


def test_late_import_check_sees_what_is_loaded():
    assert loaded_by("import rich") == ["rich"]


def test_docstring_check_sees_what_is_missing():
    text = "class A:\n    def f(self): ...\n    def _g(self): ...\ndef h():\n    'documented'\n    def inner(): ...\n"
    text += "@overload\ndef i(): ...\ndef i(): ...\n"
    assert undocumented(text) == ["A", "A.f", "i", "module"]


def test_length_check_counts_lines_and_refuses_long_functions():
    body = "    x = 0\n" * MEDIAN_LINES
    assert lengths("def f():\n    '''One.\n\n    Two.\n    '''\n    return 1\n") == [2]
    assert too_long(lengths(f"def f():\n{body}"))
    assert not too_long(lengths(f"def f():\n{body[: -len('    x = 0') - 1]}"))
    assert too_long([1] * 8 + [LONG_LINES + 1] * 2)

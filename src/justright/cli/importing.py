"""The user's own code: found by ``path/to/file.py:name`` or ``package.module:name``, imported and called."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from justright.cli.failures import DEBUG, user_line
from justright.errors import JustRightError, ModelError

__all__ = ["Place", "attribute_of", "call", "folder_of", "importable", "imported", "parsed"]

FORMS = "path/to/file.py:factory, package.module:factory, transformers:NAME or timm:NAME"


class Place:
    """Where the user's code is: a file or a module, and a name in it.

    Parameters
    ----------
    head
        Path of a file that ends in ``.py``, or the dotted name of a module.
    name
        Name in it; dots lead into classes.
    """

    def __init__(self, head: str, name: str) -> None:
        self.head = head
        self.name = name

    @property
    def is_file(self) -> bool:
        """Whether the head is a path."""
        return self.head.endswith(".py")

    @property
    def folder(self) -> Path:
        """Folder from which its neighbours are importable."""
        return folder_of(str(self))

    def __str__(self) -> str:
        return f"{self.head}:{self.name}"


def folder_of(source: str) -> Path:
    """Return the folder from which a source's neighbours are importable."""
    head = source.rpartition(":")[0]
    return Path(head).resolve().parent if head.endswith(".py") else Path.cwd()


def parsed(source: str) -> Place:
    """Split a source at its last colon.

    Raises
    ------
    ModelError
        If there is no name after a colon; names in the file are suggested without importing it.

    Examples
    --------
    >>> str(parsed("models/net.py:Net.build")), parsed("package.net:make").is_file
    ('models/net.py:Net.build', False)
    """
    head, colon, name = source.rpartition(":")
    if colon and head and all(part.isidentifier() for part in name.split(".")):
        return Place(head, name)
    path = source.rstrip(":")
    raise ModelError(
        repr(source), where="MODEL", expected=f"a colon and a name, as in {FORMS}",
        try_=", ".join(f"{path}:{each}" for each in _names_in(Path(path))[:5]),
    )  # fmt: skip


def _names_in(path: Path) -> list[str]:
    """Functions and classes that a file defines, read without running it; the last is most often the model."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return []
    found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [name for name in reversed(found) if not name.startswith("_")]


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Make the modules of a folder importable while the context is open."""
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def imported(place: Place) -> ModuleType:
    """Import the file or module of a place, inside `importable`.

    Raises
    ------
    ModelError
        If it does not exist, or raises while it is imported.
    """
    return _file(place) if place.is_file else _module(place)


def _file(place: Place) -> ModuleType:
    path = Path(place.head)
    if not path.is_file():
        near = _near(path.name, [each.name for each in path.parent.glob("*.py")])
        raise ModelError(
            f"no file {place.head!r}", where="MODEL", expected="a Python file that exists",
            try_=", ".join(f"{path.with_name(each)}:{place.name}" for each in near),
        )  # fmt: skip
    spec = importlib.util.spec_from_file_location(_module_name(path), path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{place.head!r}", where="MODEL", expected="a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where pickle, dataclasses and the file's own neighbours look for it
    try:
        with _put_into_words("a file that can be imported"):
            spec.loader.exec_module(module)
    except JustRightError:
        del sys.modules[spec.name]
        raise
    return module


def _module_name(path: Path) -> str:
    """Return the file's own name, as its neighbours import it, unless that already means another module."""
    taken = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    return f"{path.stem}_{abs(hash(path.resolve()))}" if taken else path.stem


def _module(place: Place) -> ModuleType:
    with _put_into_words("a module that can be imported"):
        try:
            return importlib.import_module(place.head)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place.head}.".startswith(f"{error.name}."):
                raise
            raise _no_module(error.name, place) from error


def _no_module(missing: str, place: Place) -> ModelError:
    return ModelError(
        f"no module {missing!r}", where="MODEL", expected="a module that is installed, or lies in the current folder",
        try_=f"pip install {missing.partition('.')[0]}, or give a file: path/to/file.py:{place.name}",
    )  # fmt: skip


def attribute_of(module: ModuleType, place: Place) -> Any:  # noqa: ANN401
    """Follow the name of a place into its module.

    Raises
    ------
    ModelError
        If a part of the name is missing; near names are suggested.
    """
    found: Any = module
    for part in place.name.split("."):
        if not hasattr(found, part):
            owner = place.head if found is module else getattr(found, "__name__", type(found).__name__)
            names = [each for each in vars(found) if not each.startswith("_")] if hasattr(found, "__dict__") else []
            raise ModelError(
                f"no name {part!r} in {owner}", where=str(place), expected="a name that it defines",
                try_=", ".join(_near(part, names) or _own_callables(found)),
            )  # fmt: skip
        found = getattr(found, part)
    return found


def _own_callables(owner: Any) -> list[str]:  # noqa: ANN401
    """Names that a module defines itself and that can be called, at most five."""
    home = getattr(owner, "__name__", None)
    found = getattr(owner, "__dict__", {}).items()
    return [name for name, thing in found if callable(thing) and getattr(thing, "__module__", "") == home][:5]


def call(factory: Callable[[], Any], place: Place) -> Any:  # noqa: ANN401
    """Call a factory without arguments.

    Raises
    ------
    ModelError
        If it needs arguments, or raises.
    """
    _refuse_arguments(factory, place)
    with _put_into_words(f"{place.name}() to return a model"):
        return factory()


def _refuse_arguments(factory: Callable[..., Any], place: Place) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return
    try:
        signature.bind()
    except TypeError as error:
        raise ModelError(
            f"{place.name}{signature}: {error}", where=str(place),
            expected="something that can be called without arguments",
            try_=f"add to the file: def make(): return {place.name}(...), and give {place.head}:make",
        ) from None  # fmt: skip


@contextmanager
def _put_into_words(expected: str) -> Iterator[None]:
    """Make one error of what the user's code raises, at the line where it did; a closed pipe is no error of it."""
    try:
        yield
    except (JustRightError, BrokenPipeError):
        raise
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ModelError(said, where=user_line(error), expected=expected, try_=_hint(error)) from error


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"pip install {error.name.partition('.')[0]}; or {DEBUG}"
    if isinstance(error, SystemExit):
        return 'put what a script does under: if __name__ == "__main__":'
    return DEBUG


def _near(wanted: str, names: list[str]) -> list[str]:
    spelled = {name.lower(): name for name in names}
    return [spelled[name] for name in difflib.get_close_matches(wanted.lower(), spelled, n=3, cutoff=0.5)]

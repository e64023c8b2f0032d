"""Modules of one name beside several models: each model gets its own neighbours, not those of the one before."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["forget_namesakes"]


def forget_namesakes(folder: Path, before: Iterable[Path]) -> None:
    """Forget the modules that other folders gave and that this folder has under the same name.

    Without this, ``a/net.py`` and ``b/net.py`` that both import their neighbour ``parts`` would share that of ``a``.

    Parameters
    ----------
    folder
        Folder of the model that comes next.
    before
        Folders of the models that came before.
    """
    others = {each.resolve() for each in before} - {folder.resolve()}
    names = {name for name in sys.modules if "." not in name and _home(name) in others and _has(folder, name)}
    for name in [each for each in sys.modules if each.partition(".")[0] in names]:
        del sys.modules[name]


def _home(name: str) -> Path | None:
    """Return the folder from which a top-level module was imported; `None` for one that has no file."""
    file = getattr(sys.modules[name], "__file__", None)
    if not file:
        return None
    path = Path(file).resolve()
    return path.parent.parent if path.stem == "__init__" else path.parent


def _has(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()

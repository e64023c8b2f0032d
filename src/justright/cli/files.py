"""Files that a command writes: tried before the work, named after the models where there are several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from justright.errors import InputError

__all__ = ["STANDARD", "names_of", "refuse_clashes", "try_folder", "try_writing"]

STANDARD = "-"
"""File name that means standard output."""


def refuse_clashes(named: Sequence[tuple[str, str | None]]) -> None:
    """Refuse two options that would write the same file.

    Parameters
    ----------
    named
        Options with the file of each; ``None`` and standard output do not count.

    Raises
    ------
    InputError
        If two are the same.
    """
    seen: dict[Path, str] = {}
    for option, name in named:
        if not name or name == STANDARD:
            continue
        path = Path(name).resolve()
        if path in seen:
            raise InputError(repr(name), where=f"{seen[path]} and {option}", expected="two different files")
        seen[path] = option


def try_writing(path: Path, option: str) -> None:
    """Open a file as the report will be, because permissions alone do not tell; leave no trace.

    Parameters
    ----------
    path
        File to write.
    option
        Option that named it.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        existed = path.exists()
        with path.open("ab"):
            pass
    except OSError as error:
        missing = "" if path.parent.is_dir() else f"mkdir -p {path.parent}"
        raise InputError(
            f"{error.strerror}: {path}", where=option, expected="a file that can be written", try_=missing
        ) from error
    if not existed:
        path.unlink()


def try_folder(path: Path, option: str, models: int) -> None:
    """Make the folder that holds one file a model, and try to write there.

    Parameters
    ----------
    path
        Folder.
    option
        Option that named it.
    models
        How many models there are.

    Raises
    ------
    InputError
        If this is a file or looks like one, or the folder cannot be written.
    """
    if path.suffix.lower() in {".html", ".htm", ".json"} or path.is_file():
        folder = path.with_suffix("") if path.suffix else Path(f"{path}s")
        raise InputError(
            f"a file, {path}, for {models} models", where=option,
            expected="a folder, in which each model gets a file", try_=f"{option} {folder}/",
        )  # fmt: skip
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{error.strerror}: {path}", where=option, expected="a folder that can be written") from error
    try_writing(path / ".justright", option)


def names_of(models: Sequence[str]) -> list[str]:
    """Return a file name for each model, without an ending; no two are equal.

    Parameters
    ----------
    models
        Sources as the user typed them.

    Examples
    --------
    >>> names_of(["examples/networks.py:relu_mlp", "transformers:gpt2?n_layer=24", "transformers:gpt2?n_layer=24"])
    ['examples-networks.py-relu_mlp', 'transformers-gpt2-n_layer-24', 'transformers-gpt2-n_layer-24-2']
    """
    names: list[str] = []
    taken: set[str] = set()
    for model in models:
        plain = re.sub(r"[^\w.]+", "-", model).strip("-.") or "model"
        candidates = [plain, *(f"{plain}-{count}" for count in range(2, len(models) + 1))]
        # Some file systems do not tell upper from lower case.
        name = next(each for each in candidates if each.lower() not in taken)
        taken.add(name.lower())
        names.append(name)
    return names

"""The command ``justright``: where it starts, and what it says where its own packages are missing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from justright.cli.codes import COULD_NOT_CHECK, INTERRUPTED

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What follows the command's name; ``None`` takes it from the command line.

    Returns
    -------
    int
        Exit code, where no command ended the process itself with its own: 2 if a package of the command is missing.
    """
    missing = [package for package in ("typer", "rich") if importlib.util.find_spec(package) is None]
    if missing:
        said = f"error: justright: got no package {missing[0]!r}\n  expected: {' and '.join(missing)} installed\n"
        sys.stderr.write(f"{said}  try: pip install 'justright[cli]'\n")
        return COULD_NOT_CHECK
    try:
        from justright.cli.app import app

        app(args=None if arguments is None else list(arguments), prog_name="justright")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return 0

"""What a command does when something goes wrong: one clear error, an exit code, no traceback unless asked for."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

import justright
from justright.cli.codes import COULD_NOT_CHECK, INTERRUPTED, PIPE_CLOSED
from justright.errors import JustRightError
from justright.report.text import printable

__all__ = ["guarded", "silenced_pipe", "tell", "user_line"]

LONGEST = 2000
"""Characters of a message of somebody else's exception that are shown."""

DEBUG = "run again with --debug for the whole traceback"


@contextmanager
def guarded(*, debug: bool) -> Iterator[None]:
    """Turn every exception inside this context into a message on standard error and an exit code.

    Parameters
    ----------
    debug
        Whether to show the traceback as well.

    Raises
    ------
    typer.Exit
        With 2 where nothing could be examined, with 130 after Ctrl-C, with 141 where the reader of a pipe left.
    """
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _say("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not sys.stdout.isatty():
            _drop_output(sys.stdout)
            raise typer.Exit(PIPE_CLOSED) from None
        tell(error, debug=debug)
        raise typer.Exit(COULD_NOT_CHECK) from None


def tell(error: Exception, *, debug: bool) -> None:
    """Say on standard error what went wrong.

    Parameters
    ----------
    error
        What was raised.
    debug
        Whether to show the traceback as well.
    """
    if debug:
        _show_traceback(error)
    _say(str(error) if isinstance(error, JustRightError) else _unexpected(error), label="error")


@contextmanager
def silenced_pipe(stdout: TextIO) -> Iterator[None]:
    """Print to a stream inside this context; a reader that has left ends the printing and nothing else."""
    try:
        yield
        stdout.flush()
    except BrokenPipeError:
        _drop_output(stdout)


def user_line(error: BaseException) -> str:
    """Return ``"path:line"`` of the deepest line that an exception passed in code of the user's own.

    Parameters
    ----------
    error
        What was raised. A syntax error counts as raised where the syntax is wrong. Without a line of the user's, the
        deepest line of all is returned.

    Examples
    --------
    >>> user_line(ValueError())
    ''
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)] or frames
    return f"{_short(own[-1].filename)}:{own[-1].lineno}" if own else ""


def _is_users(filename: str) -> bool:
    roots = (*(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")), *justright.__path__)
    path = Path(filename).resolve()
    return not filename.startswith("<") and not any(path.is_relative_to(Path(root).resolve()) for root in roots)


def _short(filename: str) -> str:
    path, here = Path(filename), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else filename


def _unexpected(error: Exception) -> str:
    where = user_line(error)
    place = f"{where}: " if where else ""
    return f"{place}{type(error).__name__}: {str(error)[:LONGEST]}\n  try: {DEBUG}"


def _say(message: str, *, label: str = "") -> None:
    from rich.console import Console
    from rich.text import Text

    lead = [(f"{label}: ", "bold red")] if label else []
    Console(stderr=True).print(Text.assemble(*lead, printable(message)), soft_wrap=True)


def _show_traceback(error: Exception) -> None:
    from rich.console import Console
    from rich.traceback import Traceback

    Console(stderr=True).print(Traceback.from_exception(type(error), error, error.__traceback__))


def _drop_output(stdout: TextIO) -> None:
    """Point a stream at nothing, so that its last flush does not fail on the closed pipe."""
    try:
        descriptor = stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)

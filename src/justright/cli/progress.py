"""A bar on standard error that says how far the work is, where somebody sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Tell", "progress_bar"]

Tell = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and how much there is."""


@contextmanager
def progress_bar(label: str = "", *, wanted: bool = True) -> Iterator[Tell | None]:
    """Yield a function to be told of progress, or ``None`` if standard error is no terminal.

    Parameters
    ----------
    label
        What stands before the stage, such as which of several models it is.
    wanted
        Whether to show a bar at all.
    """
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # What is printed meanwhile belongs on standard output, so the bar must not take it over.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=None)
        lead = f"{escape(label)} " if label else ""
        yield lambda stage, done, total: bar.update(task, description=lead + stage, completed=done, total=total)

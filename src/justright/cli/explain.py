"""``justright explain``: the manual page of a diagnostic."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from justright.cli.failures import guarded, silenced_pipe
from justright.cli.outputs import console_on
from justright.errors import CatalogueError

if TYPE_CHECKING:
    from justright.diagnostics.base import Diagnostic

__all__ = ["explain", "manual_page"]


def explain(
    diagnostic: Annotated[
        str | None, typer.Argument(metavar="[CODE_OR_NAME]", help="Code or name of a diagnostic; all, by default.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Print the manual page of a diagnostic, or the list of all."""
    with guarded(debug=debug):
        if diagnostic is None:
            _print_list()
        else:
            _print_page(_found(diagnostic))


def _found(wanted: str) -> Diagnostic:
    """Look up a diagnostic by code or name, case, spaces and underscores not counted."""
    from justright.diagnostics.base import DIAGNOSTICS

    keys = {spelling: entry for entry in DIAGNOSTICS.values() for spelling in (entry.code.lower(), entry.name.lower())}
    plain = wanted.strip().lower().replace("_", "-").replace(" ", "-")
    if plain in keys:
        return keys[plain]
    near = {keys[key].code: keys[key].name for key in difflib.get_close_matches(plain, keys, n=3, cutoff=0.5)}
    raise CatalogueError(
        "a code or name that is not in the catalogue",
        where=f"diagnostic {wanted!r}",
        expected=f"one of the {len(DIAGNOSTICS)} that justright explain lists",
        try_=", ".join(f"{code} ({name})" for code, name in near.items()) or "justright explain",
    )


def manual_page(entry: Diagnostic) -> str:
    """Return the page of a diagnostic as it is printed, in Markdown.

    Parameters
    ----------
    entry
        Which one.
    """
    return f"# {entry.code} {entry.name}\n\n{entry.page.strip()}\n"


def _print_page(entry: Diagnostic) -> None:
    from rich.markdown import Markdown

    page = manual_page(entry)
    with silenced_pipe(sys.stdout):
        console = console_on(sys.stdout)
        if console.is_terminal:
            console.print(Markdown(page))
        else:
            sys.stdout.write(page)


def _print_list() -> None:
    from justright.diagnostics.base import DIAGNOSTICS

    entries = list(DIAGNOSTICS.values())
    width = max((len(entry.name) for entry in entries), default=0)
    with silenced_pipe(sys.stdout):
        for entry in entries:
            sys.stdout.write(f"{entry.code}  {entry.name:<{width}}  {entry.summary}\n")

"""``justright initializers``: the catalogue of schemes, and the manual page of one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from justright.cli.failures import guarded, silenced_pipe
from justright.cli.outputs import console_on

if TYPE_CHECKING:
    from justright.initializers.base import Initializer

__all__ = ["initializers", "scheme_page"]


def initializers(
    scheme: Annotated[str | None, typer.Argument(metavar="[SCHEME]", help="Name of a scheme; all, by default.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Print the manual page of an initializer, or the list of all."""
    from justright.initializers.base import INITIALIZERS

    with guarded(debug=debug):
        if scheme is None:
            _print_list()
        else:
            _print_page(INITIALIZERS[scheme.strip().lower().replace("-", "_")])


def scheme_page(entry: type[Initializer]) -> str:
    """Return the page of a scheme as it is printed, in Markdown.

    Parameters
    ----------
    entry
        Which one.
    """
    return f"# {entry.name}\n\n{entry.page().strip()}\n"


def _print_page(entry: type[Initializer]) -> None:
    from rich.markdown import Markdown

    page = scheme_page(entry)
    with silenced_pipe(sys.stdout):
        console = console_on(sys.stdout)
        if console.is_terminal:
            console.print(Markdown(page))
        else:
            sys.stdout.write(page)


def _print_list() -> None:
    from justright.initializers.base import INITIALIZERS

    width = max(map(len, INITIALIZERS))
    with silenced_pipe(sys.stdout):
        for name, entry in INITIALIZERS.items():
            sys.stdout.write(f"{name:<{width}}  {entry.page().partition(chr(10))[0]}\n")

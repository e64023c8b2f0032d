"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from justright import __version__
from justright.cli.check import check
from justright.cli.compare import compare
from justright.cli.explain import explain
from justright.cli.initializers import initializers
from justright.cli.phase import phase
from justright.cli.predict import predict

__all__ = ["app"]

app = typer.Typer(
    name="justright",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(check)
app.command()(compare)
app.command()(explain)
app.command()(initializers)
app.command()(phase)
app.command()(predict)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"justright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Tell whether the signals and gradients of a deep network keep their scale before the first training step."""

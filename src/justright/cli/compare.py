"""``justright compare``: what changed between two reports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from justright.cli.failures import guarded, silenced_pipe
from justright.cli.files import STANDARD
from justright.cli.outputs import Outputs, console_on

if TYPE_CHECKING:
    from justright.report.comparison import Comparison

__all__ = ["compare"]


def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="JSON report that justright check --json wrote.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one, of the same network or a new version.")],
    *,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="Write the comparison as a page.")] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write it as JSON; - is standard output.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Compare two reports: findings that went, came and stayed, and the sites that changed most.

    Exit codes: 0 compared, 2 the reports could not be compared.
    """
    from justright.report.comparison import compare as compared

    with guarded(debug=debug):
        outputs = Outputs(("comparison",), html, json, quiet=quiet)
        outputs.prepare()
        with outputs.reserved() as stdout:
            _deliver(compared(before, after), outputs, stdout)


def _deliver(comparison: Comparison, outputs: Outputs, stdout: TextIO) -> None:
    """Write the files, show the comparison, say what was written."""
    pure = outputs.json == STANDARD
    written = [comparison.to_html(outputs.html)] if outputs.html else []
    written += [comparison.to_json(outputs.json)] if outputs.json and not pure else []
    with silenced_pipe(stdout):
        if pure:
            stdout.write(f"{comparison.to_json()}\n")
        elif not outputs.quiet:
            console_on(stdout).print(comparison)
    with silenced_pipe(stdout):
        for path in [] if outputs.quiet else written:
            print(f"wrote {path}", file=sys.stderr if pure else stdout)

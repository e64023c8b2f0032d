"""Where the answer goes: the terminal, HTML and JSON files, or JSON on standard output and nothing else there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from justright.cli.failures import silenced_pipe
from justright.errors import InputError
from justright.report.optional import optional

if TYPE_CHECKING:
    from rich.console import Console

    from justright.report import Report

__all__ = ["Outputs", "console_on"]

STANDARD = "-"
"""File name that means standard output."""


@dataclass(frozen=True)
class Outputs:
    """What to show and write.

    Parameters
    ----------
    html, json
        Files to write; ``"-"`` for `json` is standard output.
    quiet
        Whether to leave out the report on the terminal.
    source
        Whether to print the user's source with the statistics of every line.
    """

    html: str | None = None
    json: str | None = None
    quiet: bool = False
    source: bool = False

    def prepare(self) -> None:
        """Find out before the work whether everything can be written.

        Raises
        ------
        InputError
            If a file cannot be written, or two outputs are in each other's way.
        BackendError
            If a package for HTML is missing.
        """
        if self.json == STANDARD and self.source:
            raise InputError(
                "--source with --json -", where="options", expected="standard output for one of them",
                try_="--json report.json --source",
            )  # fmt: skip
        if self.html == STANDARD:
            raise InputError("'-'", where="--html", expected="a file", try_="--html report.html")
        if self.html and self.json and Path(self.html).resolve() == Path(self.json).resolve():
            raise InputError(repr(self.html), where="--html and --json", expected="two different files")
        if self.html:
            _need_html()
        for option, name in (("--html", self.html), ("--json", self.json)):
            if name and name != STANDARD:
                _try_writing(Path(name), option)

    @contextmanager
    def reserved(self) -> Iterator[TextIO]:
        """Yield standard output; with ``--json -`` all that others print goes to standard error meanwhile."""
        if self.json != STANDARD:
            yield sys.stdout
            return
        with _descriptor_to_stderr() as stdout, redirect_stdout(sys.stderr):
            yield stdout

    def deliver(self, report: Report, stdout: TextIO) -> None:
        """Write the files, show the report, say what was written.

        Parameters
        ----------
        report
            What was found.
        stdout
            What `reserved` yielded.
        """
        written = [report.to_html(self.html)] if self.html else []
        written += [report.to_json(self.json)] if self.json and self.json != STANDARD else []
        with silenced_pipe(stdout):
            self._show(report, stdout)
        if not self.quiet:
            with silenced_pipe(stdout):
                for path in written:
                    print(f"wrote {path}", file=sys.stderr if self.json == STANDARD else stdout)

    def _show(self, report: Report, stdout: TextIO) -> None:
        if self.json == STANDARD:
            stdout.write(report.to_json() + "\n")
            return
        console = console_on(stdout)
        if not self.quiet:
            console.print(report)
        if self.source:
            ascii_only = not console.encoding.startswith("utf")
            stdout.write(report.annotate(console.width, ascii_only=ascii_only).rstrip("\n") + "\n")


def console_on(stdout: TextIO) -> Console:
    """Return a rich console on a stream, that leaves it to the caller what a closed pipe means.

    Parameters
    ----------
    stdout
        Where it prints.
    """
    from rich.console import Console

    class PassingConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PassingConsole(file=stdout)


def _need_html() -> None:
    """Import what the HTML page is made with, so that a missing package is known before the work."""
    with optional("jinja2"):
        import jinja2  # noqa: F401
    with optional("plotly"):
        import plotly  # noqa: F401


def _try_writing(path: Path, option: str) -> None:
    """Open a file as the report will be, because permissions alone do not tell; leave no trace."""
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


@contextmanager
def _descriptor_to_stderr() -> Iterator[TextIO]:
    """Yield the real standard output while descriptor 1 leads to standard error, for what does not use `sys.stdout`."""
    stdout = sys.stdout
    try:
        descriptor, errors = stdout.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        yield stdout  # a stream in memory, as in tests and notebooks
        return
    stdout.flush()
    kept = os.dup(descriptor)
    os.dup2(errors, descriptor)
    try:
        with os.fdopen(kept, "w", encoding="utf-8", closefd=False) as real:
            yield real
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)

"""Where the answer goes: the terminal, files, annotations, or JSON on standard output and nothing else there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from justright.cli.failures import silenced_pipe
from justright.cli.files import STANDARD, names_of, refuse_clashes, try_folder, try_writing
from justright.core.findings import Severity
from justright.errors import InputError
from justright.report.optional import optional

if TYPE_CHECKING:
    from rich.console import Console

    from justright.report.report import Report
    from justright.report.summary import Outcome

__all__ = ["Outputs", "console_on"]


@dataclass(frozen=True)
class Outputs:
    """What to show and write.

    Parameters
    ----------
    models
        Sources of the models, as the user typed them.
    html, json
        Files to write, or folders where there are several models; ``"-"`` for `json` is standard output.
    junit
        File to write, for all models.
    github
        Whether to print annotations for GitHub Actions.
    quiet
        Whether to leave out the report on the terminal.
    source
        Whether to print the user's source with the statistics of every line.
    fail_on
        Severity from which findings are failures.
    """

    models: tuple[str, ...]
    html: str | None = None
    json: str | None = None
    junit: str | None = None
    github: bool = False
    quiet: bool = False
    source: bool = False
    fail_on: Severity = Severity.ERROR

    @property
    def several(self) -> bool:
        """Whether there are several models."""
        return len(self.models) > 1

    @property
    def _pure(self) -> bool:
        """Whether standard output is for JSON alone."""
        return self.json == STANDARD

    def prepare(self) -> None:
        """Find out before the work whether everything can be written.

        Raises
        ------
        InputError
            If a file cannot be written, or two outputs are in each other's way.
        BackendError
            If a package for HTML is missing.
        """
        if self._pure and self.source:
            raise InputError(
                "--source with --json -", where="options", expected="standard output for one of them",
                try_="--json report.json --source",
            )  # fmt: skip
        for option, name, example in (("--html", self.html, "report.html"), ("--junit", self.junit, "junit.xml")):
            if name == STANDARD:
                raise InputError("'-'", where=option, expected="a file", try_=f"{option} {example}")
        if not self.several:
            refuse_clashes([("--html", self.html), ("--json", self.json), ("--junit", self.junit)])
        if self.html:
            _need_html()
        for option, name in (("--html", self.html), ("--json", self.json)):
            self._try(option, name)
        if self.junit:
            try_writing(Path(self.junit), "--junit")

    def _try(self, option: str, name: str | None) -> None:
        if not name or name == STANDARD:
            return
        if self.several:
            try_folder(Path(name), option, len(self.models))
        else:
            try_writing(Path(name), option)

    @contextmanager
    def reserved(self) -> Iterator[TextIO]:
        """Yield standard output; with ``--json -`` all that others print goes to standard error meanwhile."""
        if not self._pure:
            yield sys.stdout
            return
        with _descriptor_to_stderr() as stdout, redirect_stdout(sys.stderr):
            yield stdout

    def deliver(self, report: Report, stdout: TextIO, at: int = 0) -> None:
        """Write the files of one model, show its report, say what was written.

        Parameters
        ----------
        report
            What was found.
        stdout
            What `reserved` yielded.
        at
            Which of the models it is, counted from 0.
        """
        written = [report.to_html(self._path(self.html, at, ".html"))] if self.html else []
        written += [report.to_json(self._path(self.json, at, ".json"))] if self.json and not self._pure else []
        with silenced_pipe(stdout):
            self._show(report, stdout)
        for path in written:
            self._say(f"wrote {path}", stdout)

    def finish(self, outcomes: Sequence[Outcome], stdout: TextIO) -> None:
        """Write and show what is said of all models together.

        Parameters
        ----------
        outcomes
            What came of each model.
        stdout
            What `reserved` yielded.
        """
        if self.junit:
            from justright.report.junit import junit_xml

            Path(self.junit).write_text(junit_xml(outcomes, self.fail_on), encoding="utf-8")
            self._say(f"wrote {self.junit}", stdout)
        if self.github:
            self._annotate(outcomes, sys.stderr if self._pure else stdout)
        if self.several and not self.quiet and not self._pure:
            from justright.report.summary import Summary

            with silenced_pipe(stdout):
                console_on(stdout).print(Summary(outcomes))

    def _path(self, name: str, at: int, ending: str) -> Path:
        return Path(name) / f"{names_of(self.models)[at]}{ending}" if self.several else Path(name)

    def _say(self, text: str, stdout: TextIO) -> None:
        if not self.quiet:
            with silenced_pipe(stdout):
                print(text, file=sys.stderr if self._pure else stdout)

    def _annotate(self, outcomes: Sequence[Outcome], stream: TextIO) -> None:
        from justright.report.github import workflow_commands

        root = os.environ.get("GITHUB_WORKSPACE")
        with silenced_pipe(stream):
            for outcome in outcomes:
                for line in workflow_commands(outcome, Path(root) if root else None):
                    print(line, file=stream)

    def _show(self, report: Report, stdout: TextIO) -> None:
        if self._pure:
            stdout.write(report.to_json() + "\n")
            return
        console = console_on(stdout)
        if not self.quiet:
            self._print(report, console)
        if self.source:
            ascii_only = not console.encoding.startswith("utf")
            stdout.write(report.annotate(console.width, ascii_only=ascii_only).rstrip("\n") + "\n")

    def _print(self, report: Report, console: Console) -> None:
        if not self.several:
            console.print(report)
            return
        from justright.report.terminal import TerminalReport

        console.print(TerminalReport(report, brief=True))
        console.print()


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

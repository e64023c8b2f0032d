"""``justright check``: examine models before their first training step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from justright.cli.codes import COULD_NOT_CHECK
from justright.cli.failures import guarded, tell
from justright.cli.importing import folder_of, importable
from justright.cli.neighbours import forget_namesakes
from justright.cli.outputs import Outputs
from justright.cli.progress import progress_bar
from justright.core.findings import Severity

if TYPE_CHECKING:
    from justright.adapters.base import Target
    from justright.core.inputs import InputSpec
    from justright.report.report import Report
    from justright.report.summary import Outcome

__all__ = ["FailOn", "check"]


class FailOn(StrEnum):
    """Severity from which findings make the command fail."""

    warning = "warning"
    error = "error"


def check(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="file.py:factory, package.module:factory, transformers:NAME or timm:NAME; "
            "options of a library's model follow as ?key=value&key=value. Several are examined one after the other.",
        ),
    ],
    *,
    batch: Annotated[
        str | None,
        typer.Option("--input", metavar="SPEC", help='Shape of the input, as "8,3,224,224", or a YAML file.'),
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", metavar="LOSS", help="Name of a loss, or file.py:callable.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            "--optimizer", metavar="NAME:LR", help="Optimizer whose first step is judged, as adamw:3e-4 or sgd:0.1."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="DEVICE", help="Device to run on, as cpu or cuda; where the model is, by default."
        ),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write the report as an HTML page; a folder for several models."),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the report as JSON; a folder for several models; - is standard output, a line a model.",
        ),
    ] = None,
    junit: Annotated[
        str | None,
        typer.Option("--junit", metavar="FILE", help="Write JUnit XML: a suite a model, a test case a diagnostic."),
    ] = None,
    github: Annotated[bool, typer.Option("--github", help="Print findings as annotations of GitHub Actions.")] = False,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            "--fail-on", metavar="SEVERITY", help="Severity from which findings give exit code 1: warning or error."
        ),
    ] = FailOn.error,
    source: Annotated[
        bool, typer.Option("--source", help="Print the model's source with the statistics of every line.")
    ] = False,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", min=0, help="Seed of the random generators before each model is built."),
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no report: the exit code tells.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Examine models before their first training step.

    Exit codes: 0 nothing found at or above --fail-on, 1 something found, 2 a model could not be examined, or nothing of
    it was checked.
    """
    severity = Severity[fail_on.name.upper()]
    with guarded(debug=debug):
        outputs = Outputs(tuple(models), html, json, junit, github, quiet, source, severity)
        outputs.prepare()
        with outputs.reserved() as stdout:
            run = _Run(outputs, *_options(models[0], batch, loss), optimizer, device, seed, debug)
            outcomes = list(run.outcomes(stdout))
            outputs.finish(outcomes, stdout)
        _leave(outcomes, severity, told=outputs.several)


def _options(first: str, batch: str | None, loss: str | None) -> tuple[InputSpec | None, Any]:
    """Read the short options before any model, because a mistake is found at once, and building may take minutes."""
    from justright.cli.sources import find_loss, read_input

    with importable(folder_of(first)):
        return None if batch is None else read_input(batch), None if loss is None else find_loss(loss)


@dataclass(frozen=True)
class _Run:
    """One command: what it was asked for, and how each of its models is examined."""

    outputs: Outputs
    spec: InputSpec | None
    loss: Any
    optimizer: str | None
    device: str | None
    seed: int
    debug: bool

    def outcomes(self, stdout: TextIO) -> Iterator[Outcome]:
        """Examine one model after the other; one that cannot be examined does not stop the others."""
        from justright.report.summary import Outcome

        folders: list[Path] = []
        for at, model in enumerate(self.outputs.models):
            file = model.rpartition(":")[0]
            file = file if file.endswith(".py") else ""
            folder = folder_of(model)
            forget_namesakes(folder, folders)
            folders.append(folder)
            try:
                # A forward may import its neighbours late, so they stay importable for as long as the model runs.
                with importable(folder):
                    report = self._report(model, at)
                    self.outputs.deliver(report, stdout, at)
                yield Outcome(model, report, file=file)
            except BrokenPipeError:
                raise
            except Exception as error:  # whatever one model raises, the others are examined
                if self.outputs.several:
                    tell(error, debug=self.debug)
                yield Outcome(model, error=error, file=file)

    def _report(self, model: str, at: int) -> Report:
        from justright.checking import check_target

        label = f"{at + 1}/{len(self.outputs.models)} {model}" if self.outputs.several else ""
        target = self._target(model)
        with progress_bar(label, wanted=not self.outputs.quiet) as progress:
            return check_target(target, device=self.device, progress=progress)

    def _target(self, model: str) -> Target:
        from dataclasses import replace

        from justright.cli.sources import place_on, resolve, with_input

        target = place_on(resolve(model, seed=self.seed), self.device)
        target = target if self.spec is None else with_input(target, self.spec)
        target = target if self.loss is None else replace(target, loss=self.loss)
        return target if self.optimizer is None else replace(target, optimizer=self.optimizer)


def _leave(outcomes: list[Outcome], fail_on: Severity, *, told: bool) -> None:
    """End with the exit code of the worst outcome; an error that was not told yet is raised again."""
    from justright.report.summary import NOT_EXAMINED
    from justright.report.verdict import NOT_CHECKED

    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors and not told:
        raise errors[0]
    failed = any(outcome.fails(fail_on) for outcome in outcomes)
    unknown = any(outcome.verdict in {NOT_EXAMINED, NOT_CHECKED} for outcome in outcomes)
    raise typer.Exit(COULD_NOT_CHECK if unknown else int(failed))

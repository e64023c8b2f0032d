"""``justright check``: examine a model before its first training step."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from justright.cli.failures import guarded
from justright.cli.importing import folder_of, importable
from justright.cli.outputs import Outputs
from justright.cli.progress import progress_bar
from justright.core.findings import Severity

if TYPE_CHECKING:
    from justright.adapters.base import Target
    from justright.report import Report

__all__ = ["FailOn", "check"]


class FailOn(StrEnum):
    """Severity from which findings make the command fail."""

    warning = "warning"
    error = "error"


def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="file.py:factory, package.module:factory, transformers:NAME or timm:NAME; "
            "options of a library's model follow as ?key=value&key=value.",
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
    device: Annotated[
        str | None, typer.Option("--device", help="Device to run on, as cpu or cuda; where the model is, by default.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write the report as an HTML page.")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - is standard output.")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Severity from which findings give exit code 1.")
    ] = FailOn.error,
    source: Annotated[
        bool, typer.Option("--source", help="Print the model's source with the statistics of every line.")
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the random generators before the model is built.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no report: the exit code tells.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Examine a model before its first training step.

    Exit codes: 0 nothing found at or above --fail-on, 1 something found, 2 the model could not be examined.
    """
    with guarded(debug=debug):
        outputs = Outputs(html, json, quiet=quiet, source=source)
        outputs.prepare()
        # A forward may import its neighbours late, so they stay importable for as long as the model runs.
        with outputs.reserved() as stdout, importable(folder_of(model)):
            target = _target(model, batch, loss, device, seed)
            report = _examined(target, device, quiet=quiet)
            outputs.deliver(report, stdout)
        _leave(report, fail_on)


def _target(model: str, batch: str | None, loss: str | None, device: str | None, seed: int) -> Target:
    """Read the short options first, because a mistake in them is found at once, and building may take minutes."""
    from dataclasses import replace

    from justright.cli.sources import find_loss, place_on, read_input, resolve, with_input

    spec = None if batch is None else read_input(batch)
    chosen = None if loss is None else find_loss(loss)
    target = place_on(resolve(model, seed=seed), device)
    target = target if spec is None else with_input(target, spec)
    return target if chosen is None else replace(target, loss=chosen)


def _examined(target: Target, device: str | None, *, quiet: bool) -> Report:
    from justright.checking import check_target

    with progress_bar(wanted=not quiet) as progress:
        return check_target(target, device=device, progress=progress)


def _leave(report: Report, fail_on: FailOn) -> NoReturn:
    failed = report.worst is not None and report.worst >= Severity[fail_on.name.upper()]
    raise typer.Exit(int(failed))

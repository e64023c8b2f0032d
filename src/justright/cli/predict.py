"""``justright predict``: what a model's operators alone say of its signals and gradients, before any weight exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from justright.cli.check import FailOn
from justright.cli.codes import COULD_NOT_CHECK
from justright.cli.failures import guarded
from justright.cli.importing import folder_of, importable
from justright.cli.outputs import Outputs
from justright.cli.progress import progress_bar
from justright.core.findings import Severity

if TYPE_CHECKING:
    from justright.adapters.base import Target
    from justright.core.inputs import InputSpec
    from justright.report.report import Report

__all__ = ["predict"]


def predict(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="file.py:factory, package.module:factory, transformers:NAME or timm:NAME, of any size; "
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
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="OPERATOR", help="Operator to run on samples in place of its rule."),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write the report as an HTML page.")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the report as JSON; - is standard output."),
    ] = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            "--fail-on", metavar="SEVERITY", help="Severity from which findings give exit code 1: warning or error."
        ),
    ] = FailOn.error,
    source: Annotated[
        bool, typer.Option("--source", help="Print the model's source with the prediction for every line.")
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random generators before the model is built.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no report: the exit code tells.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Predict signals and gradients from the operators of a model alone; a library's model needs no memory for weights.

    Exit codes: 0 nothing found at or above --fail-on, 1 something found, 2 the model could not be predicted.
    """
    severity = Severity[fail_on.name.upper()]
    with guarded(debug=debug):
        outputs = Outputs((model,), html, json, quiet=quiet, source=source, fail_on=severity)
        outputs.prepare()
        with outputs.reserved() as stdout, importable(folder_of(model)):
            spec, chosen = _options(batch, loss)
            with progress_bar(wanted=not quiet) as progress:
                report = _report(model, spec, chosen, without or [], seed, progress)
            outputs.deliver(report, stdout)
        _leave(report, severity)


def _options(batch: str | None, loss: str | None) -> tuple[InputSpec | None, Any]:
    """Read the short options before any model, because a mistake is found at once."""
    from justright.cli.sources import find_loss, read_input

    return None if batch is None else read_input(batch), None if loss is None else find_loss(loss)


def _report(model: str, spec: InputSpec | None, loss: Any, without: list[str], seed: int, progress: Any) -> Report:  # noqa: ANN401
    from justright.predicting import predict_target

    target = _target(model, spec, loss, seed, values=False)
    return predict_target(
        target,
        without=without,
        rebuild=lambda: _target(model, spec, loss, seed, values=True),
        progress=progress,
    )


def _target(model: str, spec: InputSpec | None, loss: Any, seed: int, *, values: bool) -> Target:  # noqa: ANN401
    from dataclasses import replace

    from justright.cli.sources import resolve, with_input

    target = resolve(model, seed=seed, values=values)
    target = target if spec is None else with_input(target, spec)
    return target if loss is None else replace(target, loss=loss)


def _leave(report: Report, fail_on: Severity) -> None:
    from justright.report.verdict import NOT_CHECKED

    failed = report.worst is not None and report.worst >= fail_on
    raise typer.Exit(COULD_NOT_CHECK if report.verdict == NOT_CHECKED else int(failed))

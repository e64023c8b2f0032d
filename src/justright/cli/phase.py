"""``justright phase``: where signals and gradients go with one activation, and its critical line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justright.cli.failures import guarded, silenced_pipe
from justright.cli.files import STANDARD, refuse_clashes, try_writing
from justright.cli.progress import progress_bar
from justright.errors import InputError

if TYPE_CHECKING:
    from justright.core.phase import Critical, Phase, Plane

__all__ = ["phase"]

COLUMNS, ROWS = 96, 64
"""Points of the picture: finer than its bands of colour."""

WIDEST = 3.0
"""Axes end at least here: He's sigma_w, the critical one of every rectifier, and tanh up to q = 10 lie below."""


def phase(
    activation: Annotated[
        str, typer.Argument(metavar="ACTIVATION", help="Name of an activation, such as tanh, relu or gelu.")
    ],
    *,
    sigma_w: Annotated[
        float | None,
        typer.Option("--sigma-w", metavar="NUMBER", help="Standard deviation of weights, times the root of fan in."),
    ] = None,
    sigma_b: Annotated[float, typer.Option("--sigma-b", metavar="NUMBER", help="Standard deviation of biases.")] = 0.0,
    keep: Annotated[
        float, typer.Option("--keep", metavar="NUMBER", help="Probability with which dropout keeps an activation.")
    ] = 1.0,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=NUMBER", help="Attribute of the activation, such as negative_slope=0.1."),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the numbers as JSON; - is standard output.")
    ] = None,
    svg: Annotated[
        str | None, typer.Option("--svg", metavar="FILE", help="Write the picture of the sigma_w, sigma_b plane.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page with the picture and the numbers.")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", help="Rows of the picture computed at one time; -1 is all cores.")
    ] = -1,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Say where signals, correlations and gradients of a deep network go with one activation.

    Without --sigma-w the point is the critical one of --sigma-b, if there is one.

    Exit codes: 0 computed, 2 the activation or a number cannot be used.
    """
    with guarded(debug=debug):
        files = (("--json", json), ("--svg", svg), ("--html", html))
        _prepare(files)
        attributes = dict(_attribute(each) for each in attribute or ())
        point, critical = _computed(activation, sigma_w, sigma_b, keep, attributes)
        with silenced_pipe(sys.stdout):
            if json != STANDARD:
                print(_text(point, critical))
        plane = _plane(activation, point, attributes, jobs) if svg or html else None
        _deliver(files, point, critical, plane)


def _prepare(files: tuple[tuple[str, str | None], ...]) -> None:
    refuse_clashes(files)
    for option, name in files:
        if name == STANDARD and option != "--json":
            raise InputError("'-'", where=option, expected="a file", try_=f"{option} phase{option.replace('--', '.')}")
        if name and name != STANDARD:
            try_writing(Path(name), option)


def _attribute(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(repr(text), where="--set", expected="a name and a value", try_="--set negative_slope=0.1")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _computed(
    activation: str, sigma_w: float | None, sigma_b: float, keep: float, attributes: dict[str, Any]
) -> tuple[Phase, Critical | str]:
    """Return the point, and the critical point of its bias, or why there is none."""
    from justright.meanfield.critical import critical
    from justright.meanfield.point import phase as computed

    found: Critical | str
    try:
        found = critical(activation, sigma_b=sigma_b, **attributes)
    except InputError as error:
        if not error.got.startswith("no critical point"):
            raise
        found = error.got
    if sigma_w is None:
        sigma_w = 1.0 if isinstance(found, str) else found.sigma_w
    return computed(activation, sigma_w=sigma_w, sigma_b=sigma_b, keep=keep, **attributes), found


def _text(point: Phase, critical: Critical | str) -> str:
    if isinstance(critical, str):
        return f"{point!r}\n\n{point.activation}: {critical}"
    return f"{point!r}\n\n{critical!r}"


def _plane(activation: str, point: Phase, attributes: dict[str, Any], jobs: int) -> Plane:
    import numpy as np

    from justright.meanfield.plane import sweep

    widest = max(WIDEST, 1.25 * point.sigma_w)
    tallest = max(WIDEST / 2.0, 1.25 * point.sigma_b)
    with progress_bar() as progress:
        return sweep(
            activation, np.linspace(widest / COLUMNS, widest, COLUMNS), np.linspace(0.0, tallest, ROWS),
            jobs=jobs, progress=progress, **attributes,
        )  # fmt: skip


def _deliver(
    files: tuple[tuple[str, str | None], ...], point: Phase, critical: Critical | str, plane: Plane | None
) -> None:
    from justright.report.plots.phase import phase_page, plane_svg
    from justright.report.serialize import dumps

    found = {"error": critical} if isinstance(critical, str) else critical.to_dict()
    numbers = {"schema": "justright.phase/1", "point": point.to_dict(), "critical": found}
    makers = {
        "--json": lambda: dumps(numbers, indent=1),
        "--svg": lambda: plane_svg(plane, point) if plane else "",
        "--html": lambda: phase_page(plane, point) if plane else "",
    }
    for option, name in files:
        if name == STANDARD:
            with silenced_pipe(sys.stdout):
                print(makers[option]())
        elif name:
            Path(name).write_text(makers[option](), encoding="utf-8")
            with silenced_pipe(sys.stdout):
                print(f"wrote {name}", file=sys.stderr if files[0][1] == STANDARD else sys.stdout)

"""Strict JSON: the report as plain data that every JSON reader accepts. Keys: docs/report-schema.md."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from justright.report.forecast import forecast_data

if TYPE_CHECKING:
    from justright.core.graph import Graph
    from justright.report.report import Report

__all__ = ["SCHEMA", "deliver", "dumps", "report_data", "strict"]

SCHEMA: Final = "justright.report/1"
"""Name and version of the schema; the number grows when a key changes its meaning or goes away."""


def report_data(report: Report) -> dict[str, Any]:
    """Return a report as plain data, the schema first.

    Parameters
    ----------
    report
        What to write.
    """
    data: dict[str, Any] = strict(
        {
            "schema": SCHEMA,
            "title": report.title,
            "verdict": report.verdict,
            "findings": [finding.to_dict() for finding in report.findings],
            "coverage": report.coverage.to_dict() | {"assumptions": list(report.assumptions)},
            "context": dict(report.context),
            "profile": report.profile.to_dict(),
            "graph": _nodes(report.graph),
            "forecast": None if report.forecast is None else forecast_data(report, report.forecast),
        }
    )
    return data


def dumps(data: object, *, indent: int | None = None) -> str:
    """Write plain data as ASCII JSON without the literals ``NaN`` and ``Infinity``.

    Examples
    --------
    >>> dumps({"rms": float("nan")})
    '{"rms":"nan"}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(strict(data), indent=indent, separators=separators, allow_nan=False)


def deliver(text: str, path: str | Path | None) -> str | Path:
    """Return a text, or write it to a file and return its path.

    Parameters
    ----------
    text
        What to write.
    path
        File to write; ``None`` returns the text.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    if path is None:
        return text
    # A lone surrogate in a file name or module name cannot be encoded; it must not cost the report.
    Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def strict(value: object) -> Any:  # noqa: ANN401  the shape of the result is that of the argument
    """Return what JSON can hold: numbers that are not finite become strings, NumPy scalars Python's own.

    Examples
    --------
    >>> strict((1, float("-inf"), {"a": None}))
    [1, '-inf', {'a': None}]
    """
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if value is None or isinstance(value, bool | int | str):
        return value
    return strict(value.item()) if hasattr(value, "item") else str(value)


def _nodes(graph: Graph) -> list[dict[str, Any]]:
    return [
        {
            "op": node.op,
            "native": node.native,
            "module": node.module,
            "module_type": node.module_type,
            "source": node.source,
            "inputs": [graph.sites[operand.site].name for operand in node.operands],
            "outputs": [graph.sites[site].name for site in node.outputs],
        }
        for node in graph.nodes
    ]

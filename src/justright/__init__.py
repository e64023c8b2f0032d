"""Not too large, not too small: signals and gradients of a deep network, examined before its first training step."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from justright.calibrating import calibrate
    from justright.checking import check
    from justright.initializing import initialize
    from justright.meanfield.critical import critical
    from justright.meanfield.point import phase
    from justright.predicting import predict
    from justright.prescribing.verb import prescribe
    from justright.report.comparison import compare
    from justright.report.report import Report

__all__ = [
    "Report",
    "__version__",
    "calibrate",
    "check",
    "compare",
    "critical",
    "initialize",
    "phase",
    "predict",
    "prescribe",
]

__version__ = "0.1.0.dev0"

_HOME = {
    "calibrate": "justright.calibrating",
    "check": "justright.checking",
    "compare": "justright.report.comparison",
    "critical": "justright.meanfield.critical",
    "initialize": "justright.initializing",
    "phase": "justright.meanfield.point",
    "predict": "justright.predicting",
    "prescribe": "justright.prescribing.verb",
    "Report": "justright.report.report",
}
"""Where each public name lives; loaded at its first use, so that importing justright stays quick."""


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

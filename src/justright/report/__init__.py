"""Reports: one result, shown in a terminal, a notebook, an HTML page, as JSON or beside the user's own source."""

from __future__ import annotations

from justright.report.report import Report

__all__ = ["Report"]

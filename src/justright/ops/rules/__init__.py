"""Moment rules of the operators that are not elementwise; one close family a file."""

from __future__ import annotations

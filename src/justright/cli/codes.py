"""Exit codes, besides 0 for nothing found and 1 for findings."""

from __future__ import annotations

__all__ = ["COULD_NOT_CHECK", "INTERRUPTED", "PIPE_CLOSED"]

COULD_NOT_CHECK = 2
"""A model was not examined, or nothing of it was checked; also what a usage error gives."""

INTERRUPTED = 130
"""Stopped with Ctrl-C: 128 and the number of the signal SIGINT."""

PIPE_CLOSED = 141
"""The reader of a pipe left before the answer was known: 128 and the number of the signal SIGPIPE."""

"""The command ``justright``: one file a command; `justright.cli.main.main` is where it starts."""

from __future__ import annotations

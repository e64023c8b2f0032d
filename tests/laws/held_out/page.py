"""The page `docs/detection.md`, of which every slow test writes its own sections."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "detection.md"

ORDER = (
    "",  # what stands before the first heading
    "Calibration half: dense and recurrent",
    "Reported half: convolution and attention",
    "Programs nobody tuned to",
    "Models that people use",
)
"""Titles of the sections."""


def put(sections):
    """Replace sections of the page, given their lines by title; the others stay.

    Two tests may come here at the same time, so the page is locked from reading to writing.
    """
    with PAGE.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = split(file.read()) | {title: "\n".join(lines).strip() for title, lines in sections.items()}
        file.seek(0)
        file.truncate()
        file.write(join(known))


def split(text):
    """Split a page into the text of its sections by title."""
    first, *rest = re.split(r"^## ", text.removeprefix("# Detection\n"), flags=re.MULTILINE)
    return {"": first.strip()} | {title: body.strip() for title, _, body in (each.partition("\n") for each in rest)}


def join(sections):
    """Make a page of sections, in their order."""
    heads = {title: f"## {title}" if title else "# Detection" for title in ORDER}
    return "\n\n".join(f"{heads[title]}\n\n{sections[title]}" for title in ORDER if title in sections) + "\n"

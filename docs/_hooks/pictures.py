"""Pictures of the site that are computed when it is built."""

from __future__ import annotations

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from justright.meanfield.plane import sweep
from justright.report.plots.phase import plane_svg

PLANES = ("tanh", "gelu")
"""Activations whose plane the page on phases shows."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pictures."""
    for name in PLANES:
        files.append(File.generated(config, f"concepts/phase-{name}.svg", content=picture(name)))
    return files


def picture(name: str) -> str:
    """Return the plane of an activation as an SVG file, on white so that a dark page does not swallow its text."""
    svg = plane_svg(sweep(name, np.linspace(0.03, 3.0, 96), np.linspace(0.0, 1.5, 64), jobs=1))
    return svg.replace("font:12px sans-serif", "font:12px sans-serif;background:#fff", 1)

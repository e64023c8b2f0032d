"""The catalogue of initializers on the site: a page and a picture for every scheme, made from the code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from justright.core.bibliography import BIBLIOGRAPHY, cited
from justright.core.layout import Kind, WeightLayout
from justright.core.streams import Stream
from justright.initializers.base import INITIALIZERS, Initializer, Place, SchemeError, Target
from justright.initializers.parsing import scheme as parsed

WIDTH, DEPTH, EXAMPLES = 128, 50, 32
HEAD = """# Initializers

What `jr.initialize` and `jr.calibrate` know. `justright initializers NAME` prints the same pages. Each scheme keeps the
same laws: moments, bound and distribution as declared, gains of a layer as declared, the same numbers in any order of
storage.

| scheme | what it does |
|---|---|"""
GATES = ("i", "f", "g", "o")
PLACE = Place(activation="tanh", dropout=0.1, branches=24, branch=3, in_branch=0, branch_layers=2, ends_branch=True,
              role="hidden", layers=48, depth=7)  # fmt: skip
TARGETS = (  # the first that a scheme can serve is shown
    ("a matrix of 128 x 128", WeightLayout.dense((WIDTH, WIDTH)), PLACE),
    ("the first matrix of a low-rank pair", WeightLayout.dense((WIDTH, WIDTH)), Place(role="lora_a")),
    ("a kernel of 64 x 64 x 3 x 3", WeightLayout.convolution((64, 64, 3, 3)), PLACE),
    ("a transposed kernel of 64 x 64 x 4 x 4", WeightLayout.convolution((64, 64, 4, 4), transposed=True), PLACE),
    ("the bias of an LSTM of 256 units", WeightLayout((1024,), (0,), kind=Kind.SHIFT), Place(gates=GATES)),
    ("the recurrent weights of an RNN of 128 units", WeightLayout.dense((WIDTH, WIDTH)),
     Place(gates=("h",), role="recurrent")),
)  # fmt: skip
WRITTEN = {"mup": "mup(base=64)", "spectral_mup": "spectral_mup(base=64)", "completep": "completep(base=64)",
           "s4d": "s4d(part=imag)"}  # fmt: skip
"""Schemes that are shown with parameters, since they have no defaults for all."""

ACTIVATIONS = {"linear": lambda x: x, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}
COLOURS = {"linear": "#888", "tanh": "#00796b", "relu": "#c2410c"}
LEFT, RIGHT = (60, 30, 300, 180), (460, 30, 300, 180)  # x, y, width and height of the two plots
FLOOR, CEILING = -8.0, 8.0  # powers of ten that the profile shows


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the page of every scheme in the navigation."""
    for section in config.nav or []:
        if isinstance(section, dict) and "Initializers" in section:
            section["Initializers"] = [
                "initializers/index.md",
                *({name: f"initializers/{name}.md"} for name in INITIALIZERS),
            ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures."""
    files.append(File.generated(config, "initializers/index.md", content=index()))
    for name, entry in INITIALIZERS.items():
        files.append(File.generated(config, f"initializers/{name}.md", content=page(entry)))
        drawn = picture(entry)
        if drawn:
            files.append(File.generated(config, f"initializers/{name}.svg", content=drawn))
    return files


def index() -> str:
    """Return the list of all schemes."""
    rows = [f"| [{name}]({name}.md) | {entry.page().splitlines()[0]} |" for name, entry in INITIALIZERS.items()]
    return "\n".join([HEAD, *rows, ""])


def page(entry: type[Initializer]) -> str:
    """Return the manual page of a scheme, its picture and its references."""
    keys = sorted(cited(entry.page()), key=entry.page().index)
    works = [f"* [{key}] {BIBLIOGRAPHY[key]}" for key in keys]
    links = [f"[{key}]: ../references.md#{key.lower()}" for key in keys]
    served = shown(entry)
    image = (
        [f"![Elements, and a signal over {DEPTH} layers]({entry.name}.svg)", "", _caption(served), ""] if served else []
    )
    return "\n".join([f"# {entry.name}", "", _markdown(entry.page()), "", *image, *works, "", *links, ""])


def _caption(served: tuple[str, Target, Initializer]) -> str:
    return (
        f"Left: the elements of {served[0]}. Right: root mean square of the preactivations over {DEPTH} layers of "
        "such weights without biases, where they are a matrix or a kernel of equal sides."
    )


def _markdown(text: str) -> str:
    """Return a docstring as Markdown: its table of parameters becomes a definition list."""
    head, _, parameters = text.partition("\nParameters\n----------\n")
    if not parameters:
        return head
    lines = [
        f":   {line.strip()}" if line.startswith(" ") else f"\n`{line}`" for line in parameters.splitlines() if line
    ]
    return "\n".join([head, "## Parameters", *lines])


def shown(entry: type[Initializer]) -> tuple[str, Target, Initializer] | None:
    """Return the target that shows a scheme best: a kernel for a delta, and no constant if possible."""
    found = []
    for words, layout, place in TARGETS:
        target = Target("weight", layout, place=place)
        try:
            scheme = parsed(WRITTEN.get(entry.name, entry.name))
            declared = scheme.declared(target)
        except SchemeError:
            continue
        plain = declared.structure == "constant" or (declared.structure == "delta" and not layout.spatial)
        found.append((plain, (words, target, scheme)))
    return min(found, key=lambda each: each[0])[1] if found else None


def picture(entry: type[Initializer]) -> str | None:
    """Return both plots as an SVG file, or nothing for a scheme that needs batches."""
    served = shown(entry)
    if served is None:
        return None
    _, target, scheme = served
    elements = scheme.sample(target, Stream.of(0, "weight")).ravel()
    parts = [*_axes(LEFT, "elements", "value", "share"), *_histogram(elements)]
    if target.layout.kind is Kind.MATRIX and not target.layout.transposed:
        parts += [*_axes(RIGHT, "signal", "layer", "root mean square"), *_profiles(scheme, target)]
    style = "font:12px sans-serif;background:#fff"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 790 250" style="{style}">{"".join(parts)}</svg>'


def _axes(box: tuple[int, int, int, int], title: str, across: str, up: str) -> Iterator[str]:
    x, y, width, height = box
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="none" stroke="#999"/>'
    yield f'<text x="{x}" y="{y - 10}">{title}: {up}</text>'
    yield f'<text x="{x + width / 2}" y="{y + height + 32}" text-anchor="middle">{across}</text>'


def _histogram(values: np.ndarray) -> Iterator[str]:
    """Draw the share of elements in 41 equal bins, an odd number so that zero has its own."""
    reach = float(np.abs(values).max()) or 1.0
    counts, edges = np.histogram(values, 41, (-reach, reach))
    x, y, width, height = LEFT
    each = width / len(counts)
    for at, count in enumerate(counts):
        tall = height * count / counts.max()
        corner = f'x="{x + at * each:.1f}" y="{y + height - tall:.1f}"'
        yield f'<rect {corner} width="{each:.1f}" height="{tall:.1f}" fill="#00796b"/>'
    for place, number in ((x, edges[0]), (x + width / 2, 0.0), (x + width, edges[-1])):
        yield f'<text x="{place}" y="{y + height + 16}" text-anchor="middle">{number:.3g}</text>'


def _profiles(scheme: Initializer, target: Target) -> Iterator[str]:
    x, y, width, height = RIGHT
    for power in range(int(FLOOR), int(CEILING) + 1, 4):
        level = y + height * (CEILING - power) / (CEILING - FLOOR)
        yield f'<text x="{x - 6}" y="{level + 4:.1f}" text-anchor="end">1e{power}</text>'
        yield f'<line x1="{x}" x2="{x + width}" y1="{level:.1f}" y2="{level:.1f}" stroke="#eee"/>'
    for at, (name, colour) in enumerate(COLOURS.items()):
        heights = [min(max(math.log10(value), FLOOR), CEILING) if value > 0.0 else FLOOR
                   for value in profile(scheme, target, name)]  # fmt: skip
        points = " ".join(
            f"{x + width * layer / (DEPTH - 1):.1f},{y + height * (CEILING - up) / (CEILING - FLOOR):.1f}"
            for layer, up in enumerate(heights)
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield f'<text x="{x + 10 + 60 * at}" y="{y + 16}" fill="{colour}">{name}</text>'


def profile(scheme: Initializer, target: Target, activation: str) -> Sequence[float]:
    """Return the root mean square of the preactivations of each of fifty layers; kernels run over a ring."""
    function = ACTIVATIONS[activation]
    x = np.random.default_rng(0).standard_normal((target.shape[1], EXAMPLES, *target.shape[2:]))
    found = []
    for layer in range(DEPTH):
        weight = scheme.sample(Target(f"{layer}", target.layout, place=target.place), Stream.of(0, f"{layer}"))
        x = _applied(weight.astype(np.float64), x)
        found.append(float(np.sqrt(np.mean(x**2))))
        x = function(x)
    return found


def _applied(weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    if weight.ndim == 2:  # noqa: PLR2004  a matrix
        return weight @ x
    return sum(
        np.einsum("oi,inhw->onhw", weight[:, :, row, column], np.roll(x, (1 - row, 1 - column), (2, 3)))
        for row in range(weight.shape[2]) for column in range(weight.shape[3])
    )  # fmt: skip

"""Ten thousand layers that train: a plain tanh network, no skip, no normalization, started on the edge of chaos.

The network, after Xiao et al. 2018 (arXiv 1806.05393): a strided convolution that makes maps of 4x4 out of the 8x8
digits of scikit-learn, then `depth` convolutions of 3x3 with tanh, then one linear layer. The delta-orthogonal scheme
sets every kernel of the body to an orthogonal matrix in its middle, with weight variance 1.05 and bias variance 2e-5:
the critical point of tanh. Xavier's and He's schemes are the same network with other weights.

The rule for the step size is 0.2 / depth with momentum 0.9. In an isometric network the gradient of every layer has
the same size, so a step of rate r in each of L layers moves the output by about L r: what must stay fixed over depths
is L r, not r. The head reads all positions: at this depth a mean over them keeps almost nothing of the image.

    python examples/ten_thousand_layers.py --depths 100 1000 --steps 60
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import plotly.graph_objects as go
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import justright as jr

CHANNELS = 16
SIDE = 4  # of the maps behind the stem
CLASSES = 10
BATCH = 64
TRAINED = 1500  # of the 1,797 digits; the others test
RATE = 0.2  # times 1 / depth: twice this still learns at depth 100, ten times diverges
MOMENTUM = 0.9

ENDS = {"stem.weight": "variance_scaling(scale=1.05)", "head.weight": "lecun_normal"}
"""The same first and last layer for all; 1.05 is the variance of the body."""

SCHEMES: Mapping[str, Mapping[str, str]] = {
    "delta-orthogonal": {
        **ENDS,
        "body.*.weight": "delta_orthogonal(weight_variance=1.05)",
        "body.*.bias": f"normal(std={math.sqrt(2e-5):.6f})",
        "*": "zeros",
    },
    "xavier": {**ENDS, "body.*.weight": "xavier_normal", "*": "zeros"},
    "he": {**ENDS, "body.*.weight": "he_normal", "*": "zeros"},
}


class Plain(nn.Module):
    """Convolutions with tanh, one behind the other.

    Parameters
    ----------
    depth
        Convolutions between the stem and the head.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(CHANNELS * SIDE**2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``[batch, classes]`` of images ``[batch, 1, 8, 8]``."""
        signal = torch.tanh(self.stem(images))
        for layer in self.body:
            signal = torch.tanh(layer(signal))
        return self.head(signal.flatten(1))


@dataclass
class Run:
    """What one training gave.

    Parameters
    ----------
    scheme, depth
        Of the network.
    losses
        Of each step, before it.
    first, last
        Norm of the gradient of the first and the last layer of the body, at each step.
    seconds
        Median of the steps.
    kept
        Bytes that one step keeps for its backward pass.
    accuracy
        Share of the test images that are named right after the last step.
    """

    scheme: str
    depth: int
    losses: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    seconds: float = 0.0
    kept: int = 0
    accuracy: float = 0.0


def network(depth: int, scheme: str, seed: int = 0) -> Plain:
    """Return the network with the weights of a scheme."""
    with torch.device("meta"):  # PyTorch's own numbers are never drawn
        model = Plain(depth)
    model.to_empty(device="cpu")
    jr.initialize(model, SCHEMES[scheme], seed=seed)
    return model


def digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the standardized images and labels to train on, and those to test on."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    x, y = ((x - x.mean()) / x.std())[order], torch.tensor(labels)[order]
    return (x[:TRAINED], y[:TRAINED]), (x[TRAINED:], y[TRAINED:])


def batches(images: Tensor, labels: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the same random minibatches in every run."""
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (BATCH,), generator=generator)
        yield images[chosen], labels[chosen]


def kept_bytes(model: Plain, images: Tensor) -> int:
    """Return the bytes that a forward pass keeps for the backward pass, each memory counted once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(images)
    del output
    return sum(storages.values())


def train(run: Run, steps: int) -> Iterator[Run]:
    """Train the network of a run, and yield the run after each step."""
    train_set, (images, labels) = digits()
    model = network(run.depth, run.scheme)
    run.kept = kept_bytes(model, train_set[0][:BATCH])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE / run.depth, momentum=MOMENTUM)
    times = []
    for x, y in batches(*train_set, steps):
        begin = time.perf_counter()
        loss = functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - begin)
        run.losses.append(loss.item())
        run.first.append(_norm(model.body[0]))
        run.last.append(_norm(model.body[-1]))
        run.seconds = sorted(times)[len(times) // 2]
        yield run
    with torch.no_grad():
        run.accuracy = float((model(images).argmax(1) == labels).float().mean())


def _norm(layer: nn.Module) -> float:
    return float(layer.weight.grad.double().norm())


def table(runs: Sequence[Run]) -> Table:
    """Return the outcomes, one row a run."""
    heads = ("layers", "scheme", "loss", "after", "test", "gradient ratio", "s/step", "kept MB")
    result = Table(*heads, caption="gradient ratio: first layer over last, at the first step")
    for run in runs:
        ratio = f"{run.first[0] / run.last[0]:.2g}" if run.last[0] else "both zero"
        result.add_row(
            f"{run.depth:,}", run.scheme, f"{run.losses[0]:.3f}", f"{smoothed(run.losses)[-1]:.3f}",
            f"{run.accuracy:.0%}", ratio, f"{run.seconds:.3f}", f"{run.kept / 1e6:.1f}",
        )  # fmt: skip
    return result


def smoothed(losses: Sequence[float], span: int = 5) -> list[float]:
    """Return the mean of the last few losses at each step: minibatches differ."""
    windows = [losses[max(0, at - span + 1) : at + 1] for at in range(len(losses))]
    return [sum(each) / len(each) for each in windows]


def curve(runs: Sequence[Run]) -> go.Figure:
    """Return the loss over the steps of every run."""
    figure = go.Figure()
    for run in runs:
        dash = {"delta-orthogonal": "solid", "xavier": "dash"}.get(run.scheme, "dot")
        figure.add_scatter(y=smoothed(run.losses), name=f"{run.scheme}, {run.depth:,} layers", line={"dash": dash})
    figure.add_hline(y=math.log(CLASSES), line_color="gray", annotation_text="chance")
    figure.update_layout(
        title="Plain tanh convolutions on scikit-learn's digits, no skip, no normalization", template="plotly_white",
        xaxis_title="step", yaxis_title="cross entropy, mean of five steps",
    )  # fmt: skip
    return figure


def main(depths: Sequence[int], schemes: Sequence[str], steps: int, out: Path) -> list[Run]:
    """Train every scheme at every depth, print the table, and save the curves after each run.

    Parameters
    ----------
    depths, schemes, steps
        What to train, and for how many steps.
    out
        Folder of ``ten_thousand_layers.json`` and ``.html``.
    """
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    runs: list[Run] = []
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        for depth in depths:
            for scheme in schemes:
                task = progress.add_task(f"{scheme}, {depth:,} layers", total=steps)
                runs.append(Run(scheme, depth))
                for run in train(runs[-1], steps):
                    progress.update(task, advance=1, description=f"{scheme}, {depth:,} layers: {run.losses[-1]:.3f}")
                (out / "ten_thousand_layers.json").write_text(json.dumps([asdict(run) for run in runs], indent=1))
                curve(runs).write_html(out / "ten_thousand_layers.html", include_plotlyjs=True)
    console.print(table(runs))
    console.print(f"The curves: {out / 'ten_thousand_layers.html'}", soft_wrap=True)
    return runs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out")
    main(**vars(parser.parse_args()))

"""The main job on real input: train a sick network for a moment, see why it does not learn, and see it fixed.

Run by `make demo`. Reports are written to examples/out/.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path

import torch
import transformers
from networks import digits, relu_mlp, sigmoid_mlp
from rich.console import Console
from torch import nn

import justright as jr

OUT = Path(__file__).parent / "out"
STEPS, BATCH = 100, 128
console = Console()


def main() -> None:
    """Train, check and compare three networks."""
    OUT.mkdir(exist_ok=True)
    transformers.logging.set_verbosity_error()
    sick, healthy = sigmoid_mlp(), relu_mlp()
    console.rule("1. A 20-layer sigmoid MLP on handwritten digits")
    train("sigmoid", sick["model"])
    written = [show(jr.check(**sick, title="20-layer sigmoid MLP"), "sigmoid")]
    console.rule("2. Its twin, with what the report suggests: ReLU and He's initialization")
    written.append(show(jr.check(**healthy, title="20-layer ReLU MLP"), "relu"))
    train("ReLU", healthy["model"])
    console.rule("3. GPT-2 from its config, untrained")
    written.append(show(jr.check(gpt2(), tokens(), title="GPT-2"), "gpt2"))
    console.rule("Reports")
    for path in written:
        console.print(f"open {path}", soft_wrap=True, highlight=False)


def train(name: str, model: nn.Module) -> None:
    """Train copies of a model for a moment with two optimizers, and print what became of the loss."""
    x, y = digits()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # layers of 64 units are too small to share
    for label, optimizer, rate in (("SGD", torch.optim.SGD, 0.05), ("Adam", torch.optim.Adam, 1e-3)):
        trained = copy.deepcopy(model)
        first = next(trained.parameters()).detach().clone()
        before = loss_of(trained, x, y)
        stepper = optimizer(trained.parameters(), lr=rate)
        generator = torch.Generator().manual_seed(0)
        for _ in range(STEPS):
            rows = torch.randint(len(x), (BATCH,), generator=generator)
            stepper.zero_grad()
            nn.functional.cross_entropy(trained(x[rows]), y[rows]).backward()
            stepper.step()
        moved = float((next(trained.parameters()).detach() - first).norm() / first.norm())
        after = loss_of(trained, x, y)
        line = f"{name} with {label}, {STEPS} steps: loss {before:.3f} -> {after:.3f} (chance is {math.log(10):.3f})"
        console.print(f"  {line}; the first layer moved by {moved:.1e} of its size", highlight=False, soft_wrap=True)
    torch.set_num_threads(threads)


def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the loss on all digits."""
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(x), y))


def show(report: jr.Report, name: str) -> Path:
    """Print a report and write its page."""
    console.print(report)
    return report.to_html(OUT / f"{name}.html")


def gpt2() -> nn.Module:
    """Build GPT-2 (124 million parameters) from its config; nothing is downloaded."""
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config())


def tokens() -> dict[str, torch.Tensor]:
    """Make a batch of random tokens that are also the targets."""
    ids = torch.randint(0, 50257, (1, 128), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "labels": ids}


if __name__ == "__main__":
    main()

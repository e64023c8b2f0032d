"""What a whole check costs beside one plain training step, and what each diagnostic adds, as ratios in one run.

Run ``python benchmarks/check_cost.py [repeats]``. Plain steps and checks are interleaved, and the fastest round of each
counts, since other programs only ever make a round slower. The first check of the process, which imports and compiles,
is printed on its own.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
import transformers
from sklearn.datasets import load_digits
from subjects import SUBJECTS

import justright as jr
from justright.report import Report

Built = tuple[torch.nn.Module, Any, Callable[[], torch.Tensor]]
"""Model, batch as `justright.check` takes it, and a plain forward that returns the loss."""


def digits() -> Built:
    """Three layers on 128 digits."""
    pixels, classes = load_digits(return_X_y=True)
    images = torch.tensor(pixels[:128] / 16 - 0.5, dtype=torch.float32)
    targets = torch.tensor(classes[:128])
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    return model, (images, targets), lambda: torch.nn.functional.cross_entropy(model(images), targets)


def library(name: str) -> Built:
    """Take a subject of the other benchmarks."""
    model, batch = SUBJECTS[name]()
    return model, batch, lambda: model(**batch).loss


BUILDS: dict[str, Callable[[], Built]] = {
    "MLP on digits": digits,
    **{name: lambda name=name: library(name) for name in SUBJECTS},
}


def plain_step(built: Built, optimizer: torch.optim.Optimizer) -> None:
    """Run forward, backward and a step."""
    built[2]().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and result."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def stages(built: Built) -> tuple[dict[str, float], Report]:
    """Check once; return seconds by stage and by diagnostic, and the report."""
    began: dict[str, float] = {}
    ended: dict[str, float] = {}

    def progress(stage: str, done: int, whole: int) -> None:
        began.setdefault(stage, time.perf_counter())
        if done == whole:
            ended[stage] = time.perf_counter()

    model, batch, _ = built
    whole, report = timed(lambda: jr.check(model, batch, progress=progress))
    seconds = {stage: ended[stage] - began[stage] for stage in ended}
    diagnostics = {f"{ran.code} {ran.name}": ran.seconds for ran in report.coverage.diagnostics}
    return {"whole check": whole, **seconds, **diagnostics}, report


def section(name: str, repeats: int) -> str:
    """Return the table of one network."""
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    built = BUILDS[name]()
    first, report = stages(built)
    optimizer = torch.optim.AdamW(built[0].parameters(), lr=0.0)  # which leaves the weights as they are
    plain_step(built, optimizer)
    plain, best = float("inf"), defaultdict(lambda: float("inf"))
    for _ in range(repeats):
        plain = min(plain, timed(lambda: plain_step(built, optimizer))[0])
        for stage, seconds in stages(built)[0].items():
            best[stage] = min(best[stage], seconds)
    lines = [
        f"\n**{name}** ({len(report.graph.sites):,} sites; plain step {plain:.3g} s, whole check "
        f"{best['whole check']:.3g} s, the first one in this process {first['whole check']:.3g} s; "
        f"optimizer: {report.context.get('optimizer', 'none')})\n",
        "| part | plain step = 1 |",
        "|---|---|",
        *(f"| {stage} | {seconds / plain:.3f} |" for stage, seconds in best.items()),
    ]
    return "\n".join(lines)


def table(repeats: int) -> str:
    """Return the results as Markdown."""
    return "\n".join(section(name, repeats) for name in BUILDS)


if __name__ == "__main__":
    print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 5))

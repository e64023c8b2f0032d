"""Time and memory of a prediction, for configurations that no machine here could hold: one process each.

Run ``python benchmarks/predicting.py`` for both tables, or ``python benchmarks/predicting.py NAME`` for one row. A
prediction is of signals, gradients and the precision forecast. Time is counted from where everything is imported;
processor time stands beside it, for other programs do not change that; memory is the peak of the whole process. The
second table is one shape with more and more layers: where the cost is linear, the seconds that a site adds stay the
same.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Subject:
    """A configuration, the tokens it reads, and what its prediction may cost in seconds and in GiB."""

    kind: str
    options: dict[str, Any]
    tokens: int = 2048
    seconds: float | None = None
    memory: float | None = None


LLAMA = {"vocab_size": 128256, "num_key_value_heads": 8, "max_position_embeddings": 131072}
LARGE = {
    **LLAMA,
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
}
MIDDLE = {**LLAMA, "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64}
SUBJECTS = {
    "Llama-3.1-405B": Subject("Llama", LARGE, seconds=30, memory=1.5),
    "Llama-3-70B": Subject("Llama", MIDDLE, seconds=20),
    "DeepSeek-V3-671B": Subject("DeepseekV3", {}, seconds=60),  # the configuration's own defaults
    "GPT-2": Subject("GPT2", {}, 1024, seconds=3),
}
LAYERS = {
    f"Llama-3-70B, {layers} layers": Subject("Llama", {**MIDDLE, "num_hidden_layers": layers})
    for layers in (8, 16, 32, 64, 128)
}


def built(subject: Subject) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Return a function that builds the model, and the batch."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    config = getattr(transformers, f"{subject.kind}Config")(**subject.options, use_cache=False)
    model = getattr(transformers, "GPT2LMHeadModel" if subject.kind == "GPT2" else f"{subject.kind}ForCausalLM")
    ids = torch.randint(0, config.vocab_size, (1, subject.tokens))
    return lambda: model(config), {"input_ids": ids, "labels": ids}


def run(name: str) -> None:
    """Predict one configuration; print sites, sites predicted, seconds, processor seconds and GiB."""
    import justright as jr

    build, batch = built({**SUBJECTS, **LAYERS}[name])
    began, used = time.perf_counter(), time.process_time()
    report = jr.predict(build, batch)
    taken, used = time.perf_counter() - began, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    sites = len(report.profile.sites)
    print("RESULT", sites, sites - report.forecast.none, taken, used, memory)


def measured(name: str) -> list[float]:
    """Run one configuration in a process of its own."""
    done = subprocess.run([sys.executable, __file__, name], check=True, capture_output=True, text=True)
    row = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return [float(number) for number in row.split()[1:]]


def bar(value: float | None) -> str:
    """Show a bound."""
    return "" if value is None else f"{value:g}"


def subjects() -> str:
    """Return what each configuration costs, as Markdown."""
    lines = [
        "| configuration | sites | predicted | s | at most | processor, s | memory, GiB | at most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, subject in SUBJECTS.items():
        sites, known, taken, used, memory = measured(name)
        limits = bar(subject.seconds), bar(subject.memory)
        row = (
            f"{sites:,.0f} | {known / sites:.1%} | {taken:.1f} | {limits[0]} | {used:.1f} | {memory:.2f} | {limits[1]}"
        )
        lines.append(f"| {name} | {row} |")
    return "\n".join(lines)


def layers() -> str:
    """Return what one shape costs with more and more layers, as Markdown."""
    lines = [
        "| configuration | sites | processor, s | for each site added, ms | memory, GiB |",
        "|---|---|---|---|---|",
    ]
    before: tuple[float, float] | None = None
    for name in LAYERS:
        sites, _, _, used, memory = measured(name)
        added = "" if before is None else f"{(used - before[1]) / (sites - before[0]) * 1e3:.2f}"
        before = sites, used
        lines.append(f"| {name} | {sites:,.0f} | {used:.1f} | {added} | {memory:.2f} |")
    return "\n".join(lines)


def table() -> str:
    """Return both tables."""
    return f"{subjects()}\n\n{layers()}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1])
    else:
        print(table())

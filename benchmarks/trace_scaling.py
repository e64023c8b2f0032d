"""Time of a trace, and of everything after it, against the number of sites; and the largest models' traces.

Run ``python benchmarks/trace_scaling.py``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch
import transformers
from torch import nn

from justright.adapters.torch import ADAPTER
from justright.diagnostics.base import Case, diagnose
from justright.measure.engine import measure

DEPTHS = (250, 500, 1000, 2000, 4000)
"""Residual blocks; a block has five sites."""

LARGE = {
    "Llama-3-70B": {"num_hidden_layers": 80, "hidden_size": 8192, "intermediate_size": 28672, "heads": 64},
    "Llama-3.1-405B": {"num_hidden_layers": 126, "hidden_size": 16384, "intermediate_size": 53248, "heads": 128},
}


class Chain(nn.Module):
    """Residual blocks of one small layer each."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add every block's output to the stream."""
        for layer in self.layers:
            x = x + 0.01 * torch.tanh(layer(x))
        return x


def row(depth: int) -> str:
    """Time one chain, as a row of the table."""
    job = ADAPTER.prepare(Chain(depth), torch.randn(8, 4))
    began = time.perf_counter()
    graph = ADAPTER.trace(job)
    traced = time.perf_counter()
    measured = measure(ADAPTER, [job], graph)
    done = time.perf_counter()
    diagnose(Case(measured.graph, measured.profile))
    judged = time.perf_counter()
    sites = len(graph.sites)
    cells = [(traced - began), (done - traced), (judged - done)]
    return f"| {sites:,} | " + " | ".join(f"{1e6 * each / sites:.0f}" for each in cells) + " |"


def large(name: str) -> str:
    """Trace one large model in a fresh process; return a row of the table."""
    run = subprocess.run([sys.executable, __file__, "--large", name], capture_output=True, text=True, check=True)
    return run.stdout.strip().splitlines()[-1]


def _print_large(name: str) -> None:
    options = dict(LARGE[name])
    heads = options.pop("heads")
    config = transformers.LlamaConfig(
        **options, num_attention_heads=heads, num_key_value_heads=8, vocab_size=128256, max_position_embeddings=4096
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    job = ADAPTER.prepare(model, {"input_ids": torch.randint(0, 1000, (1, 2048))})
    before = _peak()
    began = time.perf_counter()
    graph = ADAPTER.trace(job)
    seconds = time.perf_counter() - began
    after = _peak()
    print(f"| {name}, 2048 tokens | {len(graph.sites):,} | {seconds:.1f} | {after - before:.0f} | {after:.0f} |")


def _peak() -> float:
    """Peak resident memory of this process so far, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def table() -> str:
    """Return the results as Markdown tables."""
    row(10)  # warm up
    lines = ["| sites | trace, µs a site | measure, µs a site | diagnose, µs a site |", "|---|---|---|---|"]
    lines += [row(depth) for depth in DEPTHS]
    lines += ["", "| model, on the meta device | sites | trace, s | memory of the trace, MB | whole process, MB |"]
    lines += ["|---|---|---|---|---|", *(large(name) for name in LARGE)]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--large"]:
        _print_large(sys.argv[2])
    else:
        print(table())

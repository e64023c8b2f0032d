"""What an examination costs beside one plain forward and backward: time, and peak memory, as ratios in one run.

Run ``python benchmarks/measure_overhead.py [repeats]``. Variants are interleaved and the fastest round of each counts,
since other programs only ever make a round slower. Peak memory is measured in a process of its own per variant.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from subjects import SUBJECTS, Subject, build
from transformers.debug_utils import DebugUnderflowOverflow

from justright.adapters.torch import ADAPTER, adapter, watcher
from justright.measure.engine import measure
from justright.statistics import Summary

Step = Callable[[Subject], None]


def plain(subject: Subject) -> None:
    """Run one ordinary forward and backward."""
    subject.plain()


def everything(subject: Subject) -> None:
    """Measure every statistic at every site."""
    measure(ADAPTER, [subject.job], subject.graph)


def without(*patches: Any) -> Step:
    """Measure with some of the work left out, by replacing functions for the time of the call."""

    def step(subject: Subject) -> None:
        with contextlib.ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch())
            everything(subject)

    return step


def hooks(subject: Subject) -> None:
    """Do what is usual: mean, standard deviation, largest value and share of zeros at every module's output."""
    with _hooked(subject.model):
        subject.plain()


def underflow_overflow(subject: Subject) -> None:
    """Run under transformers' detector: largest and smallest value of every module's inputs, weights and outputs."""
    watched = DebugUnderflowOverflow(subject.model, max_frames_to_save=1)
    try:
        subject.plain()
    finally:
        for module in subject.model.modules():
            module._forward_hooks.clear()
        del watched


@contextlib.contextmanager
def _hooked(model: torch.nn.Module) -> Iterator[None]:
    def look(tensor: torch.Tensor) -> None:
        each = tensor.detach()
        (each.mean().item(), each.std().item(), each.abs().max().item(), (each == 0).float().mean().item())

    def after(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point() and output.numel() > 1:
            look(output)
            if output.requires_grad:
                output.register_hook(look)

    handles = [module.register_forward_hook(after) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


EMPTY = Summary.empty()


def _nothing(*_: Any) -> None:
    """Stand in for work that is left out."""


def _empty(*_: Any) -> Summary:
    return EMPTY


def _no_units(*_: Any) -> tuple[Summary, None]:
    return EMPTY, None


def _without_units(tensor: torch.Tensor, *_: Any) -> tuple[Summary, None]:
    return watcher.summary_of(tensor), None


NO_GRADIENTS = without(lambda: mock.patch.object(watcher.Watcher, "_hook", _nothing))
NO_UNITS = without(lambda: mock.patch.object(watcher, "units_of", _without_units))
NO_PARAMETERS = without(lambda: mock.patch.object(adapter, "_look_at_parameters", _nothing))
NO_STATISTICS = without(
    lambda: mock.patch.object(watcher, "summary_of", _empty),
    lambda: mock.patch.object(watcher.GradientMemo, "__call__", _empty),
    lambda: mock.patch.object(adapter, "_look_at_parameters", _nothing),
    lambda: mock.patch.object(watcher, "units_of", _no_units),
)

VARIANTS: dict[str, Step] = {
    "plain forward and backward": plain,
    "justright, everything": everything,
    "- without units (dead, saturated)": NO_UNITS,
    "- without gradients of the sites": NO_GRADIENTS,
    "- without parameters and their gradients": NO_PARAMETERS,
    "- without any statistic (dispatch only)": NO_STATISTICS,
    "peer: hooks on every module, four statistics": hooks,
    "peer: transformers' DebugUnderflowOverflow": underflow_overflow,
}

MEMORY = {"plain forward and backward": plain, "justright, everything": everything}


def times(subject: Subject, repeats: int) -> dict[str, float]:
    """Return the fastest of several interleaved rounds of each variant, in seconds."""
    best = dict.fromkeys(VARIANTS, float("inf"))
    for turn in range(repeats + 1):
        for name, step in VARIANTS.items():
            began = time.perf_counter()
            with contextlib.redirect_stdout(None):
                step(subject)
            if turn:  # the first round warms up
                best[name] = min(best[name], time.perf_counter() - began)
    return best


def peak(subject: str, variant: str) -> float:
    """Return how far the memory rises during a variant, in MB, in a fresh process."""
    run = subprocess.run(
        [sys.executable, __file__, "--peak", subject, variant], capture_output=True, text=True, check=True
    )
    return float(run.stdout.split()[-1])


def _print_peak(name: str, variant: str) -> None:
    subject = build(name)
    MEMORY[variant](subject)  # allocators and kernels are warm
    base = _resident()
    highest, done = [base], threading.Event()

    def sample() -> None:
        while not done.wait(0.002):
            highest.append(_resident())

    sampler = threading.Thread(target=sample)
    sampler.start()
    MEMORY[variant](subject)
    done.set()
    sampler.join()
    print(max(highest))


def _resident() -> float:
    """Resident memory of this process in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  read many times a second
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def table(repeats: int) -> str:
    """Return the results as a Markdown table."""
    lines = []
    for name in SUBJECTS:
        subject = build(name)
        best = times(subject, repeats)
        base = best["plain forward and backward"]
        lines += [
            f"\n**{name}** ({len(subject.graph.sites):,} sites, plain step {base:.2f} s)\n",
            "| variant | time, plain = 1 |",
            "|---|---|",
            *(f"| {variant} | {seconds / base:.2f} |" for variant, seconds in best.items()),
        ]
        whole, examined = peak(name, "plain forward and backward"), peak(name, "justright, everything")
        lines += [f"\nPeak memory of the process: {examined / whole:.2f} of a plain step's ({whole:.0f} MB)."]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        _print_peak(*sys.argv[2:])
    else:
        print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 5))

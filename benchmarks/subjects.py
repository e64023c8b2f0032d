"""What the benchmarks measure: a convolutional network and a language model, built from their configs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from justright.adapters.base import Job
from justright.adapters.torch import ADAPTER
from justright.core.graph import Graph

__all__ = ["SUBJECTS", "Subject", "build"]


@dataclass(frozen=True)
class Subject:
    """A model, a batch, and what justright makes of them."""

    model: torch.nn.Module
    batch: dict[str, Any]
    job: Job
    graph: Graph

    def plain(self) -> None:
        """Run one ordinary forward and backward."""
        self.model(**self.batch).loss.backward()
        self.model.zero_grad(set_to_none=True)


def resnet() -> tuple[torch.nn.Module, dict[str, Any]]:
    """ResNet-50, batch 4 at 224 pixels."""
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig())
    return model, {"pixel_values": torch.randn(4, 3, 224, 224), "labels": torch.randint(0, 2, (4,))}


def gpt2() -> tuple[torch.nn.Module, dict[str, Any]]:
    """GPT-2 small, one sequence of 256 tokens."""
    ids = torch.randint(0, 50257, (1, 256))
    return transformers.GPT2LMHeadModel(transformers.GPT2Config()), {"input_ids": ids, "labels": ids}


SUBJECTS: dict[str, Callable[[], tuple[torch.nn.Module, dict[str, Any]]]] = {"ResNet-50": resnet, "GPT-2 small": gpt2}


def build(name: str) -> Subject:
    """Build a subject, and trace it."""
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model, batch = SUBJECTS[name]()
    job = ADAPTER.prepare(model, batch)
    return Subject(model, batch, job, ADAPTER.trace(job))

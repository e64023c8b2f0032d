"""Streaming statistics: one pass over memory, mergeable over batches, micro-batches and ranks, no element left out."""

from __future__ import annotations

from justright.statistics.compute import backend, summarize, summarize_bfloat16, summarize_memory, summarize_units
from justright.statistics.summary import HIGHEST_EXPONENT, LOWEST_EXPONENT, Summary
from justright.statistics.units import UnitCounts, Zones

__all__ = [
    "HIGHEST_EXPONENT",
    "LOWEST_EXPONENT",
    "Summary",
    "UnitCounts",
    "Zones",
    "backend",
    "summarize",
    "summarize_bfloat16",
    "summarize_memory",
    "summarize_units",
]

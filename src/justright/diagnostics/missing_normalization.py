"""A residual stream grows from block to block: nothing normalizes it, and nothing scales its branches.

## What it does

Finds the longest residual stream (sums, each of the one before and of a branch) and measures by which factor one block
multiplies its RMS. The median over the blocks, extended over all of them, is the growth that depth brings: without
normalization a branch is as large as the stream it reads, and each block adds its share again.

## Why is this bad

A branch under He's initialization doubles what it reads, so that a block multiplies the second moment by three and
16 blocks multiply the RMS by a factor of several thousand, although every single weight is as it should be. Outputs,
loss and gradients grow with it, and the step size that suits the curvature falls with the square. With normalization
in front of every branch the stream grows by the square root of depth only.

## How it is judged

A growth of more than 5 nats (a factor of 150) over all blocks is a warning: from there on plain SGD of the usual step
sizes diverges (measured on digits: 8 blocks under He's initialization train, 12 do not; Adam trains both). Above
20.7 nats (1e9) it is an error. It counts only if the branches are no larger than ordinary weights make them, at most
twice the stream; otherwise the weights are to blame (JR102). Growth that comes from one block, or that slows down with
depth as under normalization, stays silent, and so do branches scaled by 1/sqrt(depth), Fixup, ReZero and SkipInit.
Plain stacks without residual connections need no normalization if their weights are critical, and are judged by what
happens to their signals: normalization is then one remedy of JR101 to JR104.

## Example

    for block in blocks:                      # 24 x Linear, ReLU, Linear under He's initialization
        x = x + block(x)

## Fix

Normalize what a branch reads, `x = x + block(norm(x))`, or scale the branches: `x = x + block(x) / len(blocks) ** 0.5`,
or start the last weight of every branch at zero.

## References

[Hayou2021], [Zhang2019], [De2020]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from justright.core.findings import Evidence, Finding
from justright.core.graph import Node
from justright.diagnostics._growth import size
from justright.diagnostics._stored import on_fresh_statistics
from justright.diagnostics._trend import Limits
from justright.diagnostics._weights import unary_source
from justright.diagnostics.base import Case, diagnostic

__all__ = ["missing_normalization"]

LIMITS = Limits(
    note=5.0,  # no note below the warning
    warning=5.0,  # ln 150: measured on digits (docs/zoo.md), plain SGD diverges at every usual step from here on
    error=20.7,  # ln 1e9: the loss is so large that no step of an ordinary schedule brings it down, as for JR102
)

ORDINARY = 2.0
"""RMS of a branch over the stream's: He's gain of sqrt(2) for a branch of any depth, times sqrt(2) for chance."""

FEWEST = 4
"""Blocks below which no growth from block to block is judged."""


@dataclass(frozen=True, slots=True)
class _Block:
    """One sum: sites of the stream before it, of the branch and of the sum, and the number of sums up to it."""

    before: int
    branch: int
    after: int
    length: int


@dataclass(frozen=True)
class _Stream:
    """Sums of one residual stream, first to last: the RMS before the first and after each, and that of each branch."""

    sites: tuple[int, ...]
    sizes: tuple[float, ...]
    branches: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Nats that one block adds, by the median over the blocks."""
        return median(math.log(after / before) for before, after in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def total(self) -> float:
        """Nats over all blocks by that rate."""
        return self.rate * len(self.sites)

    @property
    def branch(self) -> float:
        """RMS of a branch over that of the stream it joins, by the median over the blocks."""
        return median(branch / before for branch, before in zip(self.branches, self.sizes, strict=False))


@diagnostic("JR307", "missing-normalization", rank=2, predicts=True)
def missing_normalization(case: Case) -> Iterator[Finding]:
    """Yield a finding if a residual stream of ordinary branches grows by a factor from block to block."""
    if on_fresh_statistics(case):
        return
    stream = _longest(case)
    if stream is None or stream.branch > ORDINARY:
        return
    severity = LIMITS.severity(max(stream.total, 0.0))
    if severity is None:
        return
    blocks = len(stream.sites)
    bound = LIMITS.note / blocks
    yield Finding(
        "JR307",
        "missing-normalization",
        severity,
        where=f"from {case.place(stream.sites[0])} to {case.place(stream.sites[-1])}",
        got=f"every block multiplies the RMS of the residual stream by {math.exp(stream.rate):.3g}, "
        f"{blocks} blocks by {size(stream.total)}",
        expected=f"at most {size(LIMITS.note)} over all blocks; the square root of depth under normalization",
        because=f"a branch is {stream.branch:.2g} times as large as the stream it joins, as ordinary weights make it, "
        "and grows with it: nothing normalizes what it reads, and nothing scales it",
        try_="x = x + branch(torch.nn.LayerNorm(width)(x)), with the norm made in __init__; or "
        f"x = x + {blocks**-0.5:.2g} * branch(x)",
        evidence=(
            Evidence("growth of the residual stream", stream.rate, "nats per block", None, bound),
            Evidence("growth of the residual stream in all", stream.total, "nats", None, LIMITS.note),
        ),
        sites=(case.graph.sites[stream.sites[-1]].name, case.graph.sites[stream.sites[0]].name),
    )


def _longest(case: Case) -> _Stream | None:
    """Return the longest residual stream with statistics at every sum; ``None`` if it has too few blocks."""
    blocks: dict[int, _Block] = {}
    for node in case.graph.nodes:
        if _joins(case, node):
            block = _parted(case, node, blocks)
            blocks[block.after] = block
    chain = _chain(case, blocks)
    if len(chain) < FEWEST:
        return None
    sizes = [_size(case, chain[0].before), *(_size(case, block.after) for block in chain)]
    if not all(0 < each < math.inf for each in sizes):
        return None
    branches = tuple(_size(case, block.branch) for block in chain)
    return _Stream(tuple(block.after for block in chain), tuple(sizes), branches)


def _chain(case: Case, blocks: dict[int, _Block]) -> list[_Block]:
    """Blocks of the longest stream, first to last."""
    block = max(blocks.values(), key=lambda each: each.length, default=None)
    found: list[_Block] = []
    while block is not None:
        found.append(block)
        block = blocks.get(unary_source(case.graph, block.before))
    return found[::-1]


def _joins(case: Case, node: Node) -> bool:
    """Say whether a node adds two signals of its own shape, with an axis of features."""
    sites = [operand.site for operand in node.operands]
    shapes = {case.graph.sites[site].shape for site in (*sites, *node.outputs)}
    signals = [site for site in sites if not case.graph.parameter_only[site] and case.graph.sites[site].floating]
    return node.op == "add" and len(signals) == 2 and len(shapes) == 1 and len(next(iter(shapes))) > 1  # noqa: PLR2004


def _parted(case: Case, node: Node, blocks: dict[int, _Block]) -> _Block:
    """Tell the stream from the branch: the longer row of sums before it, else what was made earlier."""
    sources = {operand.site: unary_source(case.graph, operand.site) for operand in node.operands}
    lengths = {site: blocks[source].length if source in blocks else 0 for site, source in sources.items()}
    before = min(sources, key=lambda site: (-lengths[site], sources[site]))
    branch = next((site for site in sources if site != before), before)
    return _Block(before, branch, node.outputs[0], lengths[before] + 1)


def _size(case: Case, site: int) -> float:
    record = case.record(site)
    return record.forward.rms if record and record.forward else math.nan

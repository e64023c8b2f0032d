"""What a loss reads as probabilities or as their logarithms, and is none, or was made by a hard edge."""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.coverage import Gap
from justright.core.edges import EdgeRecord
from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Node
from justright.core.profile import Provenance, TensorStatistics
from justright.diagnostics._loss import Form, Reading
from justright.diagnostics._loss_clips import Clip, clip_before
from justright.diagnostics._output_misfit import line_of, misfit
from justright.diagnostics.base import Case

__all__ = ["probabilities"]

CLIPPED = 0.1
"""Share of the outputs beyond a hard edge. Half of them are wrong, at 16 nats each (probabilities kept from zero by
1e-7): at 0.09 that alone costs what guessing does, 0.69 nats an output."""

ROUNDED = 2.0**-10
"""Spacing of float16 above 1: a probability that is larger by as much is a rounded one."""

IMPROPER = {
    Form.PROBABILITIES: "the logarithm of what is not positive does not exist, and beyond 1 the loss has no lower end",
    Form.LOGARITHMS: "the loss is minus the chosen value: without a normalization it has no lower end",
    None: "the loss is minus the chosen probability itself, whose gradient vanishes where the answer is wrong",
}
"""Why an output is not what the loss reads; the last is a softmax without its logarithm."""


def probabilities(case: Case, reading: Reading, node: Node | None) -> Iterator[Finding | Gap]:
    """Judge what is read as probabilities or as their logarithms; `node` made it, ``None`` for a leaf."""
    if case.profile.provenance is not Provenance.MEASURED:
        yield Gap("range of the output", "whether all values are probabilities shows in a run")
        return
    yield from [*_improper(case, reading, node)] or _clipped(case, reading)


def _improper(case: Case, reading: Reading, node: Node | None) -> Iterator[Finding]:
    """Judge what is read as probabilities or as their logarithms."""
    record = case.record(reading.output)
    edge = record.edge if record else None
    wrong = _outside(reading.form, edge) if edge else 0.0
    made = node.op if node is not None else "a leaf"
    unit = reading.form is Form.PROBABILITIES
    if wrong > 0 and edge is not None:
        yield misfit(
            case,
            reading,
            Severity.WARNING if made == "softmax" else Severity.ERROR,
            got=f"an output of {made} from {edge.minimum:.3g} to {edge.maximum:.3g}, read as {reading.form.value}",
            expected="values in [0, 1]" if unit else "values of at most 0",
            because=IMPROPER[reading.form if made != "softmax" else None],
            try_="binary_cross_entropy_with_logits on the bare output, or a sigmoid before this loss"
            if unit
            else "torch.log_softmax(output, 1) before nll_loss, or cross_entropy in its place",
            evidence=Evidence("distance outside of the range", wrong, "output units", 0.0, 0.0),
        )


def _clipped(case: Case, reading: Reading) -> Iterator[Finding]:
    """Judge probabilities that a hard edge made: beyond it there is no gradient, however wrong the answer."""
    clip = clip_before(case.graph, reading.output, 0.0, 1.0) if reading.form is Form.PROBABILITIES else None
    record = case.record(clip.start) if clip is not None else None
    if clip is None or record is None or record.forward is None:
        return
    cut = _cut(case, clip)
    # Exact zeros are at the edge and not beyond it: masked positions, mostly.
    share = cut - record.forward.zeros
    if share > CLIPPED:
        yield misfit(
            case,
            reading,
            Severity.ERROR if cut == 1 else Severity.WARNING,
            got=f"probabilities made by {_function(case, clip)}, which cuts off {share:.0%} of them",
            expected="probabilities from a sigmoid or a softmax, which have a gradient everywhere",
            because=f"beyond its edge {clip.node.op} ({line_of(clip.node)}) gives no gradient at all: an answer that "
            "is wrong and sure stays so, where a sigmoid's would move it most",
            try_=f"binary_cross_entropy_with_logits on the input of {clip.node.op}, or a sigmoid in its place",
            evidence=Evidence("outputs beyond the edge", share, "share of the outputs", 0.0, CLIPPED),
        )


def _cut(case: Case, clip: Clip) -> float:
    """Share of the outputs on an edge: as the whole function tells, or as many as are exactly 0 or 1 behind it."""
    start, last = case.record(clip.start), case.record(clip.last)
    flat = start.units.share if start is not None and start.units is not None else 0.0
    return max(flat, _at_the_ends(last.forward) if last is not None and last.forward is not None else 0.0)


def _at_the_ends(values: TensorStatistics) -> float:
    """Share that is 0 or 1, of values that reach to 1 and no further: all from 1 up to 2 are 1."""
    ones = dict(values.histogram).get(0, 0) if values.absmax == 1.0 else 0
    return (round(values.zeros * values.count) + ones) / max(values.count, 1)


def _function(case: Case, clip: Clip) -> str:
    record = case.record(clip.start)
    return record.units.function if record is not None and record.units is not None else clip.node.op


def _outside(form: Form, edge: EdgeRecord) -> float:
    """How far the output leaves the range that the loss reads; a rounding above it does not count."""
    high = edge.maximum - (1.0 if form is Form.PROBABILITIES else 0.0)
    low = -edge.minimum if form is Form.PROBABILITIES else 0.0
    return max(high if high > ROUNDED else 0.0, low, 0.0)

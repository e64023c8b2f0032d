"""What a loss compares, read from its operators: a library's loss and one written by hand look alike here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from justright.core.coverage import Gap
from justright.core.data import DataRecord
from justright.core.graph import Graph, Node, Role
from justright.core.vocabulary import Kind
from justright.diagnostics._loss_activations import activation_before, axis_of
from justright.diagnostics._loss_clips import clip_before
from justright.diagnostics.base import Case

__all__ = ["Form", "Reading", "clipped", "readings", "unread"]


class Form(Enum):
    """What a loss takes its input to be."""

    SCORES = "scores of classes"  # a softmax is part of the loss
    LOGITS = "logits"  # a sigmoid is part of the loss
    LOGARITHMS = "logarithms of probabilities"
    PROBABILITIES = "probabilities"
    VALUES = "values"


FORMS = {
    "binary_cross_entropy": Form.PROBABILITIES,
    "binary_cross_entropy_with_logits": Form.LOGITS,
    "mse_loss": Form.VALUES,
    "smooth_l1_loss": Form.VALUES,
    "huber_loss": Form.VALUES,
    "l1_loss": Form.VALUES,
}
"""Losses whose input is what it is, whatever made it."""

DISTANCES = frozenset({"power", "square", "absolute", "norm"})
"""What a difference to the target goes through in a loss of values written by hand."""


@dataclass(frozen=True)
class Reading:
    """One place where the loss meets the target.

    Parameters
    ----------
    form
        What the loss takes its input to be.
    node
        The operator that meets the target.
    output
        Site of the model's output, as the loss takes it: scores before the softmax of the loss.
    target
        Site it is compared with.
    axis
        Axis of the classes, for scores; ``None`` where it has none or it is not known.
    """

    form: Form
    node: Node
    output: int
    target: int
    axis: int | None = None

    def classes(self, graph: Graph) -> int:
        """Return the number of classes, 0 where there are none."""
        shape = graph.sites[self.output].shape
        return shape[self.axis] if self.axis is not None and self.axis < len(shape) else 0

    def compared(self, case: Case) -> DataRecord | None:
        """Return the record of the target: as the loss reads it, or the tensor of the batch that it comes from."""
        known = {record.name: record for record in case.profile.data}
        names = (case.graph.sites[site].name for site in (self.target, case.graph.root(self.target)))
        return next((known[name] for name in names if name in known), None)


def readings(case: Case) -> tuple[Reading, ...]:
    """Return every place where the loss meets a target, one for each output and form."""
    found = {(each.form, each.output): each for each in reversed([*_Reader(case.graph).found()])}
    return tuple(reversed(found.values()))


def clipped(case: Case) -> dict[int, Node]:
    """Return the hard edges that make probabilities of what comes to them, by the site before them."""
    unit = (each for each in readings(case) if each.form is Form.PROBABILITIES)
    found = (clip_before(case.graph, each.output, 0.0, 1.0) for each in unit)
    return {clip.start: clip.node for clip in found if clip is not None}


def unread(case: Case) -> Gap | None:
    """Say why there is nothing to read, ``None`` if there is."""
    if readings(case):
        return None
    if not _Reader(case.graph).targets:
        return Gap("loss", "no target in the batch: initial loss and output activation are not judged")
    return Gap("loss", "how it compares the output with the target was not recognized in its operators")


class _Reader:
    """Reads the loss of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def found(self) -> Iterator[Reading]:
        for node in self._graph.nodes:
            if node.op == "nll_loss":
                yield from self._classes(node, node.operand("input"), node.operand("target"))
            elif node.op in FORMS:
                output, target = node.operand("input"), node.operand("target")
                if output is not None and target is not None:
                    yield Reading(FORMS[node.op], node, output, target)
            elif node.op in {"multiply", "xlogy"}:
                yield from self._weighted(node)
            elif node.op in {"gather", "index"}:
                yield from self._picked(node)
            elif node.op == "subtract" and self._distance(node):
                yield from self._difference(node)

    @cached_property
    def targets(self) -> frozenset[int]:
        """Sites that are the target, or follow from it without a gradient."""
        losses = (node for node in self._graph.nodes if node.kind is Kind.LOSS)
        read = {self._graph.root(site) for node in losses if (site := node.operand("target")) is not None}
        found = {
            site.index
            for site in self._graph.sites
            if site.role is Role.INPUT and (site.name.startswith("target") or site.index in read)
        }
        for node in self._graph.nodes:
            if any(operand.site in found for operand in node.operands):
                found.update(site for site in node.outputs if not self._graph.sites[site].differentiable)
        return frozenset(found)

    def _pair(self, node: Node) -> tuple[int, int] | None:
        """Split two operands into output and target."""
        sites = [operand.site for operand in node.operands]
        if len(sites) != 2:  # noqa: PLR2004  an output and a target
            return None
        for output, target in (sites, sites[::-1]):
            if target in self.targets and self._graph.sites[output].differentiable:
                return output, target
        return None

    def _classes(self, node: Node, output: int | None, target: int | None) -> Iterator[Reading]:
        """Read a sum over chosen logarithms of probabilities: they come out of a softmax or of a logarithm."""
        if output is None or target is None:
            return
        made = activation_before(self._graph, output)
        if made is not None and made.node.op == "log_softmax":
            yield Reading(Form.SCORES, node, made.node.operands[0].site, target, axis_of(self._graph, made.node)[0])
        elif made is not None and made.node.op == "log":
            read = made.node.operands[0].site
            softmax = activation_before(self._graph, read)
            whole = softmax is not None and softmax.node.op == "softmax"
            axis = axis_of(self._graph, softmax.node)[0] if softmax is not None and whole else None
            yield Reading(Form.PROBABILITIES, node, read, target, axis)
        elif node.op == "nll_loss":
            yield Reading(Form.LOGARITHMS, node, output, target)

    def _weighted(self, node: Node) -> Iterator[Reading]:
        """Read target times logarithm."""
        pair = self._pair(node)
        if pair is not None and node.op == "xlogy":
            yield Reading(Form.PROBABILITIES, node, *pair)
        elif pair is not None:
            yield from self._classes(node, *pair)

    def _picked(self, node: Node) -> Iterator[Reading]:
        """Read logarithms picked by the classes of the target."""
        chosen = [operand.site for operand in node.operands if operand.name in {"index", "indices"}]
        target = next((site for site in chosen if site in self.targets), None)
        yield from self._classes(node, node.operand("input"), target)

    def _distance(self, node: Node) -> bool:
        return any(self._graph.nodes[reader].op in DISTANCES for reader in self._graph.consumers[node.outputs[0]])

    def _difference(self, node: Node) -> Iterator[Reading]:
        pair = self._pair(node)
        if pair is not None:
            yield Reading(Form.VALUES, node, *pair)

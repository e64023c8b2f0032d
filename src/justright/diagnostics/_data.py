"""Where the data goes: which weights read it, what indexes what, and how a record is named."""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.data import DataRecord
from justright.core.graph import Node
from justright.core.vocabulary import Kind
from justright.diagnostics.base import Case

__all__ = ["FEW", "UNIT", "entries", "inputs", "normalized_after", "placed", "signal_of"]

FEW = 16
"""Examples below which being all of one kind may be chance: 2**-16 for two kinds that are equally common."""

UNIT = 0.1
"""RMS below which the output of a normalization shows that its epsilon outweighs what it divides by."""

NORMALIZERS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm", "local_response_norm"})
"""Operators behind which the scale of their input is gone."""

KEPT = frozenset({Kind.VIEW, Kind.CAST, Kind.SELECTION})
"""Kinds that hand values on as they are."""


def inputs(case: Case) -> tuple[DataRecord, ...]:
    """Return the records of the tensors that the forward gets, without those that only a loss compares with."""
    losses = (node for node in case.graph.nodes if node.kind is Kind.LOSS)
    read = {_leaf(case, site) for node in losses if (site := node.operand("target")) is not None}
    return tuple(each for each in case.profile.data if each.part == "input" and placed(case, each) not in read)


def placed(case: Case, record: DataRecord) -> int | None:
    """Return the site of a record."""
    site = case.graph.by_name.get(record.name)
    return site.index if site is not None else None


def _leaf(case: Case, site: int) -> int:
    while (node := case.graph.producer(site)) is not None and node.kind in KEPT:
        site = node.operands[0].site
    return site


def signal_of(case: Case, node: Node) -> int | None:
    """Return the operand of a contraction that is not made of parameters alone."""
    sites = [operand.site for operand in node.operands if operand.name not in {"bias"}]
    return next((site for site in sites if not case.graph.parameter_only[site]), None)


def entries(case: Case) -> Iterator[tuple[Node, int]]:
    """Yield the weights that read the input before anything else learns, each with the site that it reads.

    What lies between, such as a division by 255 or a normalization without parameters, has been applied there.
    """
    learned: set[int] = set()
    fed = {site for record in inputs(case) if (site := placed(case, record)) is not None}
    for node in case.graph.nodes:
        signal = signal_of(case, node) if node.kind is Kind.CONTRACTION else None
        if signal is not None and signal in fed and signal not in learned and _weighted(case, node):
            yield node, signal
        reads = [operand.site for operand in node.operands]
        if any(case.graph.parameter_only[site] for site in reads) or not learned.isdisjoint(reads):
            learned.update(node.outputs)
        if not fed.isdisjoint(reads):
            fed.update(node.outputs)


def _weighted(case: Case, node: Node) -> bool:
    weights = (operand.site for operand in node.operands if case.graph.parameter_only[operand.site])
    return any(len(case.graph.sites[site].shape) > 1 for site in weights)


def normalized_after(case: Case, node: Node) -> bool:
    """Say whether a normalization takes the scale of an operator's output away at once, and gives unit scale."""
    site = node.outputs[0]
    while True:
        readers = [case.graph.nodes[reader] for reader in case.graph.consumers[site]]
        if any(reader.op in NORMALIZERS for reader in readers):
            return all(_unit(case, reader) for reader in readers if reader.op in NORMALIZERS)
        if len(readers) != 1 or not (readers[0].kind in KEPT or _bias(case, readers[0])):
            return False
        site = readers[0].outputs[0]


def _unit(case: Case, node: Node) -> bool:
    record = case.record(node.outputs[0])
    return record is not None and record.forward is not None and record.forward.rms > UNIT


def _bias(case: Case, node: Node) -> bool:
    return node.op == "add" and any(case.graph.parameter_only[operand.site] for operand in node.operands)

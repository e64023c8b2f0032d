"""What belongs together in two reports: their sites, and their findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from justright.core.findings import Finding

if TYPE_CHECKING:
    from justright.core.profile import SiteRecord

__all__ = ["joined_sites", "sorted_findings"]

Sorted = tuple[tuple[Finding, ...], tuple[Finding, ...], tuple[tuple[Finding, Finding], ...]]
"""Findings that went, came and stayed."""


def joined_sites(old: Sequence[SiteRecord], new: Sequence[SiteRecord]) -> Iterator[tuple[SiteRecord, SiteRecord]]:
    """Join sites by name, and the others by module, operator and role in their order; yield each pair once.

    Parameters
    ----------
    old, new
        Records in execution order.
    """
    names = {record.name: record for record in old}
    taken = {record.name for record in new} & set(names)
    queues: defaultdict[tuple[str, str, str], list[SiteRecord]] = defaultdict(list)
    for record in reversed(old):
        if record.name not in taken:
            queues[_place(record)].append(record)
    for record in new:
        if record.name in names:
            yield names[record.name], record
        elif queues[_place(record)]:
            yield queues[_place(record)].pop(), record


def _place(record: SiteRecord) -> tuple[str, str, str]:
    return record.module, record.op, record.role


def sorted_findings(old: Sequence[Finding], new: Sequence[Finding]) -> Sorted:
    """Sort the findings of two reports, symptoms included, into those that went, came and stayed.

    Parameters
    ----------
    old, new
        Findings before and after. Two are the same if they have one code, and one place or sites in common.
    """
    rest = _flat(old)
    came, stayed = [], []
    for finding in _flat(new):
        same = max((each for each in rest if each.code == finding.code), key=_likeness(finding), default=None)
        if same is None or _likeness(finding)(same) == 0:
            came.append(finding)
        else:
            rest.remove(same)
            stayed.append((same, finding))
    return tuple(rest), tuple(came), tuple(stayed)


def _flat(findings: Sequence[Finding]) -> list[Finding]:
    return [each for finding in findings for each in (finding, *_flat(finding.symptoms))]


def _likeness(finding: Finding) -> Callable[[Finding], float]:
    """Return a function that scores another finding: 2 or more at the same place, up to 1 for sites in common."""
    sites = set(finding.sites)

    def likeness(other: Finding) -> float:
        shared = len(sites & set(other.sites)) / max(len(sites | set(other.sites)), 1)
        return shared + 2 * (other.where == finding.where)

    return likeness

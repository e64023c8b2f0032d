"""Signals or weights that are not what the architecture and its initializers say.

## What it does

Before a network is run, its signals are predicted from its operators and from the initializers of its parameters, each
with an interval in which 95 % of all networks lie that are built like this. This diagnostic compares the prediction
with what the run showed, and names the place where they part: a site far outside its interval whose operands are all
inside theirs. What follows from it is not reported.

## Why is this bad

The prediction assumes what everybody assumes of a fresh network: weights drawn independently, at the scale that their
initializer says. Where that is not so, something happened to the weights that the code of the initialization does not
show (a rescaling, a checkpoint, a copy), or the weights have a structure that adds signals up instead of averaging
them. Both may be meant: this is a note, and a warning only for a parameter an order of magnitude away from its own
initializer.

## How it is judged

Only predictions that can be relied on are compared, and only forward. A site is reported if its RMS is further from the
interval than a factor of 2; a parameter if its RMS is, and the interval of its recorded initializer is known.

## Example

    model = Net()  # whose initializer draws the head with std=0.02
    with torch.no_grad():
        model.head.weight.mul_(20)

## Fix

Look at the parameter, or at the weights that the operator reads: `justright predict` shows what they should make.

## References

[Hanin2018]
"""

from __future__ import annotations

from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.graph import Site
from justright.core.prediction import Estimate
from justright.core.profile import SiteRecord
from justright.core.vocabulary import Kind
from justright.diagnostics.base import Case, diagnostic

__all__ = ["unlike_prediction"]

FAR = 2.0
"""Factor outside the interval from which on chance and small errors of the theory explain nothing. [ours]"""

CLEAR = 10.0
"""Factor from which on a parameter is no longer a variant of its initializer: an order of magnitude. [ours]"""

HANDING_ON = frozenset({Kind.VIEW, Kind.CAST, Kind.SELECTION, Kind.JOIN, Kind.LOOKUP})
"""Kinds of operators whose output is larger or smaller because a part of what they read is."""


@diagnostic("JR105", "unlike-prediction", rank=17, causes=("JR801", "JR304", "JR305", "JR306", "JR401"))
def unlike_prediction(case: Case) -> Iterator[Finding]:
    """Yield a finding for the parameters, and one for the signals, where measurement and prediction part."""
    parted = {site.index: estimate for site in case.graph.sites if (estimate := _parted(case, site)) is not None}
    parameters = [site for site in parted if case.graph.sites[site].node is None and _initialized(case, site)]
    if parameters:
        yield _finding(case, sorted(parameters, key=lambda site: -_factor(case, site)), parted)
    made = [site for site in parted if _computed(case, site) and not _inherited(case, site)]
    if made:
        yield _finding(case, made, parted)


def _parted(case: Case, site: Site) -> Estimate | None:
    """Return the estimate that a measured site is far from; ``None`` if it is near, or cannot be compared."""
    record = case.record(site.index)
    estimate = _estimate(record)
    return estimate if estimate is not None and _factor(case, site.index) > FAR else None


def _estimate(record: SiteRecord | None) -> Estimate | None:
    if record is None or record.predicted is None or record.forward is None or record.forward.nonfinite:
        return None
    estimate = record.predicted.forward
    return estimate if estimate is not None and estimate.trusted and estimate.low > 0 else None


def _factor(case: Case, site: int) -> float:
    """Factor by which a site lies outside its interval; 1 within, and where either is zero."""
    record = case.record(site)
    estimate = _estimate(record)
    if record is None or record.forward is None or estimate is None or not record.forward.rms > 0:
        return 1.0
    return max(record.forward.rms / estimate.high, estimate.low / record.forward.rms, 1.0)


def _initialized(case: Case, site: int) -> bool:
    parameter = case.graph.parameter_sites.get(site)
    return parameter is not None and parameter.initializer is not None


def _computed(case: Case, site: int) -> bool:
    """Say whether an operator made new values, and did not hand on some of those that it reads."""
    node = case.graph.producer(site)
    return node is not None and node.kind not in HANDING_ON


def _inherited(case: Case, site: int) -> bool:
    """Say whether an operand is outside its interval already, or cannot be compared."""
    node = case.graph.producer(site)
    reads = [operand.site for operand in node.operands if case.graph.sites[operand.site].floating] if node else []
    known = [case.record(each) for each in reads]
    near = [each for each in reads if _estimate(case.record(each)) is not None and _factor(case, each) <= FAR**0.5]
    silent = [each for each in known if each is not None and each.forward is not None and each.forward.rms == 0]
    return len(near) + len(silent) < len(reads)


def _finding(case: Case, sites: list[int], parted: dict[int, Estimate]) -> Finding:
    first, estimate = sites[0], parted[sites[0]]
    record = case.record(first)
    assert record is not None
    assert record.forward is not None
    factor = _factor(case, first)
    parameter = case.graph.sites[first].node is None
    severity = Severity.WARNING if parameter and factor > CLEAR else Severity.NOTE
    more = f" and {len(sites) - 1} more" if len(sites) > 1 else ""
    return Finding(
        "JR105",
        "unlike-prediction",
        severity,
        where=case.place(first) + more,
        got=f"RMS {record.forward.rms:.3g}, where {estimate.rms:.3g} was predicted",
        expected=f"an RMS from {estimate.low:.3g} to {estimate.high:.3g}",
        because=_initializer(case, first) if parameter else _operator(case, first),
        try_=_try(case, first) if parameter else "compare with justright predict; look at the weights it reads",
        evidence=(Evidence("RMS", record.forward.rms, "root mean square", estimate.low, estimate.high),),
        sites=tuple(case.graph.sites[site].name for site in sites),
    )


def _initializer(case: Case, site: int) -> str:
    initializer = case.graph.parameter_sites[site].initializer
    assert initializer is not None
    line = f" ({initializer.source})" if initializer.source else ""
    return f"its initializer was {initializer.name}{line}: something else has changed its values since"


def _operator(case: Case, site: int) -> str:
    node = case.graph.producer(site)
    assert node is not None
    return f"all that {node.op} reads is as predicted, so its operands are not independent as fresh weights make them"


def _try(case: Case, site: int) -> str:
    name = case.graph.sites[site].name
    return f"initialize it again, or leave it if it was loaded: model.get_parameter({name!r})"

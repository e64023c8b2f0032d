"""Signals, weights or data that are not what the architecture and its initializers say.

## What it does

Before a network is run, its signals are predicted from its operators and from the initializers of its parameters, each
with an interval in which 95 % of all networks lie that are built like this. This diagnostic compares the prediction
with what the run showed, names the place where they part, and says which of two causes it has:

* **The weights are not what this architecture's initializer says.** A parameter's own RMS is far from what its
  initializer draws; or an operator makes too much or too little of operands that are all as predicted, so that its
  weights are not independent of what they read.
* **The data are far from the assumed.** What parts reads nothing but the batch: values with a few outliers in a
  function that is no straight line, identifiers that pick unusual rows of a table, a few features that drown the
  others. Or the batch is another order of magnitude than the standard normal values that a prediction without it
  assumes, and no normalization takes that away.

What follows from the place that is named is not reported.

## Why is this bad

A prediction assumes what everybody assumes of a fresh network: weights drawn independently, at the scale that their
initializer says, and data of unit scale. Where that is not so, something happened to the weights that the code of the
initialization does not show (a rescaling, a checkpoint, a copy), or the batch is not what the initialization was made
for (a standardization left out, padding, outliers). Either may be meant: this is a note, and a warning only for a
parameter an order of magnitude away from its own initializer.

## How it is judged

Only predictions that can be relied on are compared, and only forward. A site is reported if its RMS is further from the
interval than a factor of 2; a parameter if its RMS is, and the interval of its recorded initializer is known. The
prediction that is compared knows the second moments of the batch, so its scale alone parts nothing; that is judged at
what the first weights read: a factor of 10 from one, over the values that are not zero.

## Example

    model = Net()  # whose initializer draws the head with std=0.02
    with torch.no_grad():
        model.head.weight.mul_(20)

## Fix

Look at the parameter, or at the weights that the operator reads: `justright predict` shows what they should make. Where
the data are named, standardize the batch, or predict with it: `jr.predict(model, batch)` takes its moments.

## References

[Hanin2018], [LeCun1998]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from justright.core.findings import Evidence, Finding, Severity
from justright.core.profile import TensorStatistics
from justright.diagnostics._data import entries, normalized_after
from justright.diagnostics._parted import Blame, Parted, picks
from justright.diagnostics.base import Case, diagnostic

__all__ = ["unlike_prediction"]

CLEAR = 10.0
"""Factor from which on a parameter is no longer a variant of its initializer, nor a batch of unit scale: an order of
magnitude. [ours]"""

WEIGHTS = "the weights are not what this architecture's initializer says"
DATA = "the data are far from the assumed"


@diagnostic("JR105", "unlike-prediction", rank=17, causes=("JR801", "JR304", "JR305", "JR306", "JR401"))
def unlike_prediction(case: Case) -> Iterator[Finding]:
    """Yield a finding for the parameters, for the signals and for the data, where they are not as predicted."""
    parted = Parted(case)
    if parted.parameters:
        yield _parameters(case, parted, parted.parameters)
    if made := parted.signals(Blame.WEIGHTS):
        yield _signals(case, parted, made)
    if picked := parted.signals(Blame.DATA):
        yield _shaped(case, parted, picked)
    yield from _scaled(case)


def _parameters(case: Case, parted: Parted, sites: tuple[int, ...]) -> Finding:
    severity = Severity.WARNING if parted.factor(sites[0]) > CLEAR else Severity.NOTE
    name = case.graph.sites[sites[0]].name
    initializer = case.graph.parameter_sites[sites[0]].initializer
    assert initializer is not None
    line = f" ({initializer.source})" if initializer.source else ""
    because = f"it was {initializer.name}{line}, and something else has changed the values since"
    return _finding(
        case, parted, sites, severity, f"{WEIGHTS}: {because}",
        f"initialize it again, or leave it if it was loaded: model.get_parameter({name!r})",
    )  # fmt: skip


def _signals(case: Case, parted: Parted, sites: tuple[int, ...]) -> Finding:
    return _finding(
        case, parted, sites, Severity.NOTE,
        f"{WEIGHTS}: all that {_operator(case, sites[0])} reads has the size that was predicted, so its operands are "
        "not independent as fresh weights make them",
        "compare with justright predict; look at the weights it reads",
    )  # fmt: skip


def _shaped(case: Case, parted: Parted, sites: tuple[int, ...]) -> Finding:
    node = case.graph.producer(sites[0])
    if node is not None and picks(node):
        because = "its table is as predicted, and the batch picks other rows of it than uniform identifiers would"
        try_ = "look at the identifiers: how many are padding, and how many differ"
    else:
        because = (
            f"{_operator(case, sites[0])} reads the batch and no learned signal, and its values are not spread as "
        )
        because += "the prediction assumes"
        try_ = "look at the batch for outliers and features of another scale; standardize it feature by feature"
    return _finding(case, parted, sites, Severity.NOTE, f"{DATA}: {because}", try_)


def _operator(case: Case, site: int) -> str:
    node = case.graph.producer(site)
    assert node is not None
    return node.op


def _finding(
    case: Case, parted: Parted, sites: tuple[int, ...], severity: Severity, because: str, try_: str
) -> Finding:
    first = sites[0]
    record, estimate = case.record(first), parted.estimate(first)
    assert record is not None
    assert record.forward is not None
    assert estimate is not None
    more = f" and {len(sites) - 1} more" if len(sites) > 1 else ""
    return Finding(
        "JR105",
        "unlike-prediction",
        severity,
        where=case.place(first) + more,
        got=f"RMS {record.forward.rms:.3g}, where {estimate.rms:.3g} was predicted",
        expected=f"an RMS from {estimate.low:.3g} to {estimate.high:.3g}",
        because=because,
        try_=try_,
        evidence=(Evidence("RMS", record.forward.rms, "root mean square", estimate.low, estimate.high),),
        sites=tuple(case.graph.sites[site].name for site in sites),
    )


def _scaled(case: Case) -> Iterator[Finding]:
    """Yield a finding for every input whose scale the first weights get, and which is not about one."""
    told: set[int] = set()
    for node, site in entries(case):
        record = case.record(site)
        if site in told or record is None or record.forward is None or normalized_after(case, node):
            continue
        told.add(site)
        if max(size := _size(record.forward), 1 / size if size else 1.0) > CLEAR:
            yield _scale(case, site, size)


def _size(statistics: TensorStatistics) -> float:
    """RMS of the values that are not zero: a one-hot code is of unit scale; 0 where there are none, or not finite."""
    kept = 1.0 - statistics.zeros
    return statistics.rms / math.sqrt(kept) if kept > 0 and math.isfinite(statistics.rms) else 0.0


def _scale(case: Case, site: int, size: float) -> Finding:
    names = (case.graph.sites[each].name for each in (case.graph.root(site), site))
    return Finding(
        "JR105",
        "unlike-prediction",
        Severity.NOTE,
        where=case.place(site),
        got=f"values of RMS {size:.3g} at the first weights",
        expected="about 1: a prediction without the batch assumes standard normal values",
        because=f"{DATA}: nothing normalizes them on the way, so signals are about {size:.3g} times as large "
        "as predicted without this batch",
        try_="x = (x - mean) / std with the statistics of the training set; jr.predict(model, batch) predicts with "
        "the batch as it is",
        evidence=(Evidence("RMS of what the first weights read", size, "input units", 1 / CLEAR, CLEAR),),
        sites=tuple(dict.fromkeys(names)),
    )

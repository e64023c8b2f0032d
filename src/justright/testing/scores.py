"""How good the diagnostics are: detections, misses and false alarms over networks whose verdict is known.

The zoo is split in two halves by the kind of network. Thresholds are set in sight of the first half only; what is
reported for the second half is what a network that nobody has looked at may expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from justright.checking import check
from justright.core.findings import Severity
from justright.core.graph import Graph
from justright.core.vocabulary import Kind
from justright.diagnostics.base import DIAGNOSTICS
from justright.testing.zoo import Network

__all__ = ["CALIBRATION", "Score", "Trial", "architecture", "scores", "trial"]

CALIBRATION: Final = frozenset({"dense", "recurrent"})
"""Kinds of network in whose sight thresholds are set; all others are the half that is reported."""


@dataclass(frozen=True)
class Trial:
    """What checking one network of the zoo gave.

    Parameters
    ----------
    name
        The network.
    architecture
        Its kind: ``"attention"``, ``"recurrent"``, ``"convolution"`` or ``"dense"``.
    fault
        Code of the diagnostic that must be the first error or warning; ``None`` for a healthy network.
    verdict
        The report's.
    alarms
        Codes of all errors and warnings, in the report's order.
    symptoms
        Codes that were folded into them.
    seconds
        Time that each diagnostic took, by code.
    """

    name: str
    architecture: str
    fault: str | None
    verdict: str
    alarms: tuple[str, ...]
    symptoms: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def first(self) -> str | None:
        """Code of the first error or warning, ``None`` without one."""
        return self.alarms[0] if self.alarms else None

    @property
    def calibration(self) -> bool:
        """Whether it belongs to the half in whose sight thresholds are set."""
        return self.architecture in CALIBRATION


@dataclass(frozen=True)
class Score:
    """How one diagnostic, or all of them, did on some trials.

    Parameters
    ----------
    code
        The diagnostic; empty for all.
    detected
        Sick networks whose fault it is and whose first alarm it was.
    missed
        Names of those whose first alarm it was not.
    false
        Names of healthy networks on which it raised an error or a warning.
    wrong
        Names of networks with another fault of which it was the first alarm.
    seconds
        Median time of one look; ``nan`` if it never ran.
    """

    code: str
    detected: int
    missed: tuple[str, ...]
    false: tuple[str, ...]
    wrong: tuple[str, ...]
    seconds: float

    @property
    def recall(self) -> float:
        """Share of the networks with this fault whose first alarm it was; ``nan`` if there are none."""
        total = self.detected + len(self.missed)
        return self.detected / total if total else float("nan")


def architecture(graph: Graph) -> str:
    """Say what kind of network a graph is, by what it does and by nobody's label.

    Parameters
    ----------
    graph
        Any traced graph.

    Returns
    -------
    str
        ``"attention"`` if a softmax's result is contracted with a signal, else ``"recurrent"`` if a weight is used at
        many steps or a recurrent layer stands in it, else ``"convolution"``, else ``"dense"``.
    """
    if any(node.kind is Kind.SOFTMAX and _contracted(graph, node.outputs[0]) for node in graph.nodes):
        return "attention"
    steps = max((len(parameter.uses) for parameter in graph.parameters), default=0)
    if steps >= FEWEST_STEPS or any(node.kind is Kind.RECURRENT for node in graph.nodes):
        return "recurrent"
    return "convolution" if any("convolution" in node.op for node in graph.nodes) else "dense"


FEWEST_STEPS: Final = 4
"""Uses of one weight that make a network recurrent: tied twins have two, an encoder, decoder and head three."""


KEEPING: Final = (Kind.VIEW, Kind.CAST, Kind.SELECTION, Kind.POINTWISE)
"""Kinds through which weights of positions stay weights of positions: views, and dropout however it is written."""


def _contracted(graph: Graph, site: int) -> bool:
    """Say whether a tensor is contracted with another signal."""
    pending, seen = [site], {site}
    while pending:
        for index in graph.consumers[pending.pop()]:
            node = graph.nodes[index]
            signals = [operand for operand in node.operands if not graph.parameter_only[operand.site]]
            if node.kind is Kind.CONTRACTION and len(signals) > 1:
                return True
            if node.kind in KEEPING:
                pending += [output for output in node.outputs if output not in seen]
                seen.update(node.outputs)
    return False


def trial(network: Network, seed: int = 0) -> Trial:
    """Check one network.

    Parameters
    ----------
    network
        One whose verdict is known.
    seed
        With which it is built.
    """
    model, batch, loss = network.build(seed)
    report = check(model, batch, loss=loss, optimizer=network.optimizer)
    alarms = [finding for finding in report.findings if finding.severity > Severity.NOTE]
    return Trial(
        network.name,
        architecture(report.graph),
        network.fault,
        report.verdict,
        tuple(finding.code for finding in alarms),
        tuple(each.code for finding in alarms for each in finding.symptoms),
        {ran.code: ran.seconds for ran in report.coverage.diagnostics},
    )


def scores(trials: Sequence[Trial]) -> dict[str, Score]:
    """Score every diagnostic on some trials, and all together under the empty code.

    Parameters
    ----------
    trials
        What `trial` gave.
    """
    each = {code: _score(code, trials) for code in DIAGNOSTICS}
    return {**each, "": _total(each.values(), trials)}


def _score(code: str, trials: Iterable[Trial]) -> Score:
    trials = list(trials)
    own = [each for each in trials if each.fault == code]
    seconds = [each.seconds[code] for each in trials if code in each.seconds]
    return Score(
        code,
        sum(each.first == code for each in own),
        tuple(each.name for each in own if each.first != code),
        tuple(each.name for each in trials if each.fault is None and code in each.alarms),
        tuple(each.name for each in trials if each.fault not in {None, code} and each.first == code),
        median(seconds) if seconds else float("nan"),
    )


def _total(found: Iterable[Score], trials: Sequence[Trial]) -> Score:
    found = list(found)
    return Score(
        "",
        sum(score.detected for score in found),
        tuple(name for score in found for name in score.missed),
        tuple(each.name for each in trials if each.fault is None and each.alarms),
        tuple(name for score in found for name in score.wrong),
        median([sum(each.seconds.values()) for each in trials]) if trials else float("nan"),
    )

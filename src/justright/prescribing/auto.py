"""Our own scheme: sizes of all weights solved for, so that signals keep their size and gradients theirs.

Every layer's output gets the same second moment. Over many layers without normalization that alone leaves gradients to
grow or shrink by a factor per layer that depends on this second moment (for tanh it falls to one as the second moment
goes to zero, for a sigmoid it rises with it), so several are tried, and the one of the most even gradients is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from justright.core.depth import layers
from justright.core.graph import Graph
from justright.core.layout import Kind
from justright.core.prescription import Line
from justright.initializers.parsing import scheme
from justright.initializers.target import SchemeError, Target
from justright.propagation.solved import NUDGE, Goal, Means, Solution, solve

__all__ = ["Found", "automatic"]

LENGTHS: Final = (1.0, 0.3, 0.1, 0.03, 0.01, 3.0, 10.0, 30.0)
"""Second moments of the layers' outputs that are tried, by half decades: for small tanh networks, for large sigmoid."""

EVEN: Final = math.log(2.0)
"""Largest factor between the first and the last layers' gradients that is even enough to try no further length."""

PREFERENCE: Final = 0.05
"""Weight of a length's own distance from one in nats, against that of gradients: a tie is for unit length."""

ISOMETRIC: Final = frozenset({"tanh", "softsign", "hardtanh", "erf", "sin", "tanhshrink"})
"""Activations that are odd and close to linear around zero."""

CHANCE: Final = 0.01
"""Second moment of the network's output: ln E[exp] is half of it, so the loss is at chance to half a hundredth."""


@dataclass(frozen=True)
class Found:
    """What was solved for.

    Parameters
    ----------
    lines
        One for each parameter that was read.
    said
        What holds for the whole.
    """

    lines: tuple[Line, ...]
    said: tuple[str, ...]


def automatic(means: Means, targets: Sequence[Target], growth: float) -> Found:
    """Solve for the sizes of all weights of a graph.

    Parameters
    ----------
    means
        The graph, and how its operators run.
    targets
        Its parameters, by the names that they have there.
    growth
        By which factor the second moment of a residual stream is to grow over all branches.
    """
    sites = {each.name: means.graph.by_name[each.name].index for each in targets if each.name in means.graph.by_name}
    used = [each for each in targets if each.name in sites]
    table = min((CHANCE / _width(each) for each in used if _tied(each)), default=1.0)
    zeros = [sites[each.name] for each in used if each.layout.kind is Kind.SHIFT and each.place.gates is None]
    best: tuple[float, float, Solution, dict[int, Goal]] | None = None
    for length in LENGTHS:
        goals = {sites[each.name]: goal for each in used if (goal := _goal(each, length, growth, table)) is not None}
        made = solve(means, goals, zeros)
        cost = _uneven(means.graph, made) + _unsteady(means.graph, made) + PREFERENCE * abs(math.log(length))
        if best is None or cost < best[0]:
            best = cost, length, made, goals
        if best[0] <= EVEN:
            break
    assert best is not None
    _, length, made, goals = best
    lines = tuple(_line(each, sites.get(each.name), made, goals, growth) for each in targets)
    return Found(lines, _said(length, _uneven(means.graph, made)))


def _said(length: float, uneven: float) -> tuple[str, ...]:
    factor = math.exp(uneven)
    said = f"outputs of layers: RMS {math.sqrt(length):.3g}; gradients differ by a factor of {factor:.3g} over depth"
    return (said,) if uneven <= math.log(10.0) else (said, "no size of the weights makes these gradients even")


def _goal(target: Target, length: float, growth: float, table: float) -> Goal | None:
    """Return what the output of a parameter is to be; ``None`` for one that is not solved for."""
    kind, place = target.layout.kind, target.place
    share = (growth - 1.0) / max(place.branches or 1, 1)
    if kind is Kind.LOOKUP:
        return Goal(table)
    if kind is Kind.SCALE:
        ends = place.role == "normalization" and place.ends_branch and place.branch is not None
        return Goal(0.0, 1.0, share, share=True, alone=1.0) if ends else None
    if kind is not Kind.MATRIX or place.gates is not None or 0 in target.shape:
        return None
    variance = 1.0 / target.layout.fans.fan_in
    if place.role == "output":
        return Goal(variance, second=CHANCE)
    if place.ends_branch and place.branch is not None:
        return Goal(variance, second=share, share=True, alone=length)
    return Goal(variance, second=length)


def _tied(target: Target) -> bool:
    """Say whether a table is the output layer too: all tables then have its small variance, for they are added."""
    return target.layout.kind is Kind.LOOKUP and any(each.kind is Kind.MATRIX for each in target.place.also)


def _width(target: Target) -> int:
    return target.shape[target.layout.outputs[0]]


def _uneven(graph: Graph, made: Solution) -> float:
    """Return by how much the logarithms of the gradients at hidden layers differ between the ends of the network."""
    hidden = [
        layer for layer in layers(graph) if layer.hidden and layer.outputs and layer.weights & made.factors.keys()
    ]
    sizes = [(layer.depth, made.found.gradient[site].rms) for layer in hidden for site in layer.outputs[:1]
             if site in made.found.gradient]  # fmt: skip
    logs = [math.log(size) for _, size in sorted(sizes) if 0.0 < size < math.inf]
    if len(logs) < len(sizes) or not logs:
        return math.inf if sizes else 0.0
    quarter = max(len(logs) // 4, 1)
    first, last = logs[:quarter], logs[-quarter:]
    return abs(sum(first) / quarter - sum(last) / quarter) if len(logs) > 1 else 0.0


def _unsteady(graph: Graph, made: Solution) -> float:
    """Return the logarithm of how much an error in the size of the first layer's output has grown at the last one.

    Where activations such as GELU meet small inputs their fixed point is unstable: the sizes that are right on average
    are those of no single draw.
    """
    if made.nudged is None:
        return 0.0
    hidden = [layer for layer in layers(graph) if layer.hidden and layer.outputs]
    last = max(hidden, key=lambda layer: layer.depth, default=None)
    site = None if last is None else last.outputs[0]
    if site is None or site not in made.nudged.forward or site not in made.found.forward:
        return 0.0
    ratio = made.nudged.forward[site].moments.second_moment / made.found.forward[site].moments.second_moment
    return max(math.log(max(abs(math.log(ratio)), 1e-300) / (2.0 * math.log(NUDGE))), 0.0)


def _line(target: Target, site: int | None, made: Solution, goals: Mapping[int, Goal], growth: float) -> Line:
    written, because = _written(target, site, made, goals, growth)
    line = Line(target.name, target.shape, "", because)
    if not written:
        return line
    std = scheme(written).declared(target).std
    return replace(line, scheme=written, layout=target.layout, place=target.place, std=std)


def _written(
    target: Target, site: int | None, made: Solution, goals: Mapping[int, Goal], growth: float
) -> tuple[str, str]:
    """Return a scheme as it is written, empty to leave the parameter, and the reason."""
    goal = goals.get(site) if site is not None else None
    if target.place.gates is not None:
        return _cell(target)
    if goal is not None and site is not None and (goal.second is None or site in made.factors):
        factor = made.factors.get(site, 1.0)
        reason = "output is normalized" if site in made.normalized else _reason(target, goal, growth)
        std = math.sqrt(goal.variance) * factor
        if std and _isometric(target):
            return f"scaled_orthogonal(gain={std * math.sqrt(target.layout.fans.fan_in):.5g})", reason
        if std:
            return f"normal(std={std:.5g})", reason
        return f"constant(value={goal.mean * factor:.5g})", reason
    return _otherwise(target)


def _isometric(target: Target) -> bool:
    """Say whether a matrix in a plain chain passes an activation that leaves singular values alike: then it begins so.

    With orthogonal weights fifty layers of tanh learn by plain SGD, with Gaussian ones of the same size they hardly do
    [Pennington2017]; a rectifier, which sets half of the slopes to zero, gains nothing.
    """
    dense = target.layout.kind is Kind.MATRIX and not target.layout.spatial and not target.layout.copies
    return dense and not target.place.branches and target.place.activation in ISOMETRIC


def _cell(target: Target) -> tuple[str, str]:
    if target.layout.kind is Kind.MATRIX:
        return "recurrent_orthogonal", "weights of a cell: the state is neither enlarged nor shrunk over time"
    if "f" in (target.place.gates or ()):
        return "forget_gate", "biases of a cell: it remembers before it has learned to"
    return "zeros", "biases of a cell"


def _reason(target: Target, goal: Goal, growth: float) -> str:
    rms = math.sqrt(goal.variance)
    if target.layout.kind is Kind.LOOKUP:
        return "table that is the output layer too: logits near zero" if _tied(target) else f"table of RMS {rms:.3g}"
    if goal.share:
        return f"ends a residual branch: {target.place.branches} of them make the stream {growth:g} times as large"
    if target.place.role == "output":
        return "output layer: the initial loss is at chance"
    return f"output of RMS {math.sqrt(goal.second or 1.0):.3g}"


def _otherwise(target: Target) -> tuple[str, str]:
    """Return what a parameter gets whose size was not solved for."""
    kind = target.layout.kind
    if kind is Kind.SHIFT:
        return "zeros", "bias"
    if kind is Kind.SCALE:
        if target.place.role in {None, "normalization"}:
            return "ones", "gain of a normalization"
        return "", "a factor whose size belongs to the design"
    try:
        scheme("activation_gain").declared(target)
    except SchemeError:
        return "", "its use is not known"
    return "activation_gain", "not predicted: by its fan and the activation that follows"

"""Precision: what narrower formats would do to the tensors of a network, and which loss scales suit its gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from justright.core.formats import (
    FORMATS,
    LOST,
    FloatFormat,
    LossScaleWindow,
    headroom,
    loss_scale_window,
    share_over,
    share_under,
)
from justright.report.plots.heatmap import SHOWN_FORMATS

if TYPE_CHECKING:
    from justright.core.profile import SiteRecord, TensorStatistics
    from justright.report.report import Report

__all__ = ["FormatFit", "Loss", "Scale", "format_fits", "loss_scales"]

Tensors = Sequence[tuple[str, "TensorStatistics"]]

NARROW: Final = tuple(FORMATS[name] for name in SHOWN_FORMATS)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a format takes from the tensors of one direction, at one of its ends.

    Parameters
    ----------
    sites
        Number of tensors that lose elements.
    worst
        Largest share of the elements of one of them.
    site
        Its name; empty if there is none.
    """

    sites: int = 0
    worst: float = 0.0
    site: str = ""


@dataclass(frozen=True, slots=True)
class FormatFit:
    """How the tensors of one direction fit into a format.

    Parameters
    ----------
    format
        The format.
    direction
        ``"forward"`` or ``"gradient"``.
    free
        Binades between the largest element and the end of the format; ``inf`` if all are zero, ``nan`` where unknown.
    free_site
        Site that has the largest element.
    over, under
        What would overflow; what would vanish, of tensors that lose more than `LOST` of their nonzero elements.
    tensors, unjudged
        Number of tensors, and of those without a histogram, which could not be judged.
    """

    format: FloatFormat
    direction: str
    free: float
    free_site: str
    over: Loss
    under: Loss
    tensors: int
    unjudged: int


@dataclass(frozen=True, slots=True)
class Scale:
    """The loss scales that suit the gradients in one format."""

    format: FloatFormat
    window: LossScaleWindow


def format_fits(records: Sequence[SiteRecord]) -> tuple[FormatFit, ...]:
    """Return how the tensors and their gradients fit into each narrow format.

    Parameters
    ----------
    records
        Sites with their statistics.
    """
    directions = {
        "forward": [(record.name, record.forward) for record in records if record.forward],
        "gradient": [(record.name, record.gradient) for record in records if record.gradient],
    }
    return tuple(_fit(known, name, tensors) for known in NARROW for name, tensors in directions.items() if tensors)


def loss_scales(report: Report) -> tuple[Scale, ...]:
    """Return the loss scales that suit all gradients, for each narrow format; nothing without gradients.

    Parameters
    ----------
    report
        Its gradients are those without a loss scale. That of the loss itself is left out: a loss is kept in float32.
    """
    graph = report.graph
    loss = "" if graph.loss is None else graph.sites[graph.loss].name
    gradients = {record.name: record.gradient for record in report.profile.sites if record.gradient}
    gradients.pop(loss, None)
    if not any(each.absmax > 0 or each.nonfinite for each in gradients.values()):
        return ()
    return tuple(Scale(known, loss_scale_window(gradients, known)) for known in NARROW)


def _fit(known: FloatFormat, direction: str, tensors: Tensors) -> FormatFit:
    free, site = min(((_free(each, known), name) for name, each in tensors), key=lambda pair: pair[0])
    over = _loss(_over(tensors, known), 0.0)
    under = _loss(_under(tensors, known), LOST)
    unjudged = sum(math.isnan(share_over(each, known)) for _, each in tensors)
    return FormatFit(known, direction, free, site if math.isfinite(free) else "", over, under, len(tensors), unjudged)


def _free(statistics: TensorStatistics, known: FloatFormat) -> float:
    above = headroom(statistics, known)[0]
    return -math.inf if math.isnan(above) else above


def _over(tensors: Tensors, known: FloatFormat) -> Iterator[tuple[float, str]]:
    """Yield the share that overflows of every tensor that reaches so far; the others need no look at a histogram."""
    for name, each in tensors:
        if not each.absmax < known.overflow:
            yield share_over(each, known), name


def _under(tensors: Tensors, known: FloatFormat) -> Iterator[tuple[float, str]]:
    for name, each in tensors:
        if each.min_nonzero <= known.underflow:
            yield share_under(each, known), name


def _loss(shares: Iterator[tuple[float, str]], allowed: float) -> Loss:
    lost = [(share, name) for share, name in shares if share > allowed]
    return Loss(len(lost), *max(lost, key=lambda pair: pair[0])) if lost else Loss()

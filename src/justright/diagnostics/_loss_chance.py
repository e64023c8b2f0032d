"""What guessing costs, and how far the first steps bring a loss down."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from justright.core.data import DataRecord
from justright.core.profile import TensorStatistics
from justright.diagnostics._loss import Form, Reading
from justright.diagnostics.base import Case

__all__ = ["ADAM", "Start", "start_of"]

ADAM = 1e-2
"""Largest step size that Adam is commonly used with; a step moves no weight further [Kingma2015]."""

SUM = 2
"""How PyTorch's losses write reduction="sum"."""


class Start(NamedTuple):
    """How a loss starts.

    Parameters
    ----------
    loss
        What it is, per compared element.
    chance
        What guessing costs: equal scores for all classes, probabilities of one half, the mean of the targets.
    known
        What the best answer costs that ignores the input; ``nan`` where that is not known.
    polyak
        Step of gradient descent that brings the loss to zero at first order: loss / |gradient|², Polyak's step.
    adam
        Number of Adam's largest steps that bring it to chance at first order, every weight moving as far as it can.
    summed
        Whether the loss is a sum over its elements.
    """

    loss: float
    chance: float
    known: float
    polyak: float
    adam: float
    summed: bool

    @property
    def ratio(self) -> float:
        """Loss over chance."""
        return self.loss / self.chance if self.chance else math.nan


def start_of(case: Case, reading: Reading) -> Start | None:
    """Say how the loss starts, ``None`` where that cannot be told."""
    record = reading.compared(case)
    chance = _chance(case, reading)
    loss = case.profile.loss
    gradients = [each.gradient for each in case.profile.parameters if each.trainable and each.gradient is not None]
    summed = reading.node.attributes.get("reduction") == SUM
    if chance is None or not math.isfinite(loss) or (summed and record is None):
        return None
    elements = max(record.count - record.ignored, 1) if summed and record is not None else 1
    square = sum(each.count * each.rms**2 for each in gradients)
    return Start(
        loss / elements,
        chance,
        _known(reading, record),
        polyak=loss * elements / square if square > 0 else math.inf,
        adam=(loss - chance * elements) / (ADAM * _sum_of_magnitudes(gradients)) if square > 0 else math.inf,
        summed=summed,
    )


def _chance(case: Case, reading: Reading) -> float | None:
    if reading.form in {Form.LOGITS, Form.PROBABILITIES} and reading.node.op.startswith("binary"):
        return math.log(2)
    if reading.form in {Form.SCORES, Form.PROBABILITIES} and reading.classes(case.graph) > 1:
        return math.log(reading.classes(case.graph))
    record = reading.compared(case)
    if reading.node.op == "mse_loss" and record is not None and record.std > 0:
        return record.std**2
    return None


def _known(reading: Reading, record: DataRecord | None) -> float:
    if record is None:
        return math.nan
    return record.entropy if record.integer else record.std**2 if reading.form is Form.VALUES else math.nan


def _sum_of_magnitudes(gradients: Iterable[TensorStatistics]) -> float:
    """Sum of |g|, from the histograms: spread evenly over an octave's logarithm, the mean of [1, 2) is 1 / ln 2."""
    return sum(
        count * math.ldexp(1.0, exponent) for each in gradients for exponent, count in each.histogram
    ) / math.log(2)

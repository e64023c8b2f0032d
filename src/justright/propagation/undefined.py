"""Saying where a function of predicted signals has no finite value."""

from __future__ import annotations

from typing import Final

import numpy as np

from justright.core.axes import Array
from justright.core.signals import Signal

__all__ = ["undefined"]

SPOTS: Final = np.linspace(-4.0, 4.0, 1601)
"""Standard deviations at which a function is tried; beyond lie 6e-5 of a Gaussian."""


def undefined(x: Signal) -> str:
    """Say for which values of its source a signal is not finite, if its moments are not; else nothing.

    Parameters
    ----------
    x
        A signal.

    Returns
    -------
    str
        A clause such as ``"it is not finite where what it reads is below 0.00 (50 % of it)"``.
    """
    moments = x.moments
    if np.all(np.isfinite(moments.mean)) and np.all(np.isfinite(moments.pairs)):
        return ""
    sources = [source for source in x.sources if not source.certain]
    if len(sources) != 1:
        return "it is not finite for a share of what it reads"
    mean, second = sources[0].moments.average_mean, sources[0].moments.second_moment
    deviation = np.sqrt(max(second - mean * mean, 0.0))
    fixed = {source: np.asarray(source.moments.average_mean) for source in x.sources if source.certain}
    spots = mean + deviation * SPOTS
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(np.broadcast_to(x.values({**fixed, sources[0]: spots}), spots.shape))
    if not bad.any():
        return "its second moment is not finite"
    share = float(bad @ np.exp(-0.5 * SPOTS**2) / np.exp(-0.5 * SPOTS**2).sum())
    return f"it is not finite where what it reads is {_where(bad, spots)} ({share:.2g} of it)"


def _where(bad: Array, spots: Array) -> str:
    """Describe the first range of spots that are bad."""
    start = int(np.argmax(bad))
    end = start + int(np.argmin(bad[start:])) if not bad[start:].all() else bad.size
    if end == bad.size:
        return f"above {spots[start]:.2f}" if start else "anything at all"
    return f"below {spots[end]:.2f}" if start == 0 else f"between {spots[start]:.2f} and {spots[end - 1]:.2f}"

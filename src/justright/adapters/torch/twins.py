"""Which parameters hold exactly the values of another one: cloned layers, reused seeds."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from justright.statistics.summary import Summary

__all__ = ["twins"]


def twins(parameters: Mapping[str, torch.Tensor], summaries: Mapping[str, Summary]) -> dict[str, str]:
    """Return for every parameter that repeats an earlier one the name of the first with these values.

    Only values that were drawn count: a tensor of one magnitude (and zeros), as a constant, an identity or a matrix of
    signs is, is equal to others on purpose. Summaries are compared first, so that tensors are read only where equality
    is likely.

    Parameters
    ----------
    parameters
        Different tensors by name, in the model's order.
    summaries
        Summary of each.
    """
    groups: dict[tuple[object, ...], list[str]] = {}
    found: dict[str, str] = {}
    for name, parameter in parameters.items():
        summary = summaries[name]
        if parameter.layout is not torch.strided or not summary.min_nonzero < summary.absmax:
            continue
        firsts = groups.setdefault(_key(parameter, summary), [])
        same = next((first for first in firsts if torch.equal(parameters[first], parameter)), None)
        if same is None:
            firsts.append(name)
        else:
            found[name] = same
    return found


def _key(parameter: torch.Tensor, summary: Summary) -> tuple[object, ...]:
    """Return what equal tensors have in common, whatever the order in which sums were taken."""
    extremes = (summary.absmax, summary.min_nonzero, summary.zeros)
    return (parameter.shape, parameter.dtype, parameter.device, *extremes, summary.histogram.tobytes())

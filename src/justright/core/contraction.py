"""Sums over products of two independent tensors: matrix products of every kind, in moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from justright.core.axes import Array, Axis
from justright.core.moments import Moments, align_dim

__all__ = ["contract"]


def contract(first: Moments, second: Moments, spec: str) -> Moments:
    """Return the moments of an einsum of two independent tensors.

    Where two elements of the result share an index that is summed over, so do both factors; so the second moments of
    the result are an einsum of those of the factors, in which every summed case counts as often as it occurs.

    Parameters
    ----------
    first, second
        Moments of the factors, independent of each other.
    spec
        As for `numpy.einsum`, one letter a dimension: ``"bti,oi->bto"``.

    Returns
    -------
    Moments
        Of the result.

    Examples
    --------
    >>> x, w = Moments.independent((16, 100), 0.0, 2.0), Moments.independent((30, 100), 0.0, 0.01)
    >>> contract(x, w, "bi,oi->bo").second_moment
    2.0
    """
    left, right, out = _parsed(spec)
    for letter in left:
        if letter in right:
            first, second = align_dim(first, left.index(letter), second, right.index(letter))
    axes = {letter: first.dims[at] for at, letter in enumerate(left)}
    axes |= {letter: second.dims[at] for at, letter in enumerate(right)}
    numbers = _numbered(axes)
    sides = [[number for letter in side for number in numbers[letter]] for side in (left, right, out)]
    counted = _counted(axes, numbers, out)
    mean = _einsum(
        first.mean, second.mean, sides, {number: axis.weights * axis.size for number, axis in counted.items()}
    )
    pairs = _einsum(first.pairs, second.pairs, sides, {number: axis.counts for number, axis in counted.items()})
    return Moments(tuple(axes[letter] for letter in out), mean, pairs)


def _parsed(spec: str) -> tuple[str, str, str]:
    operands, out = spec.split("->")
    left, right = operands.split(",")
    return left, right, out


def _numbered(axes: dict[str, tuple[Axis, ...]]) -> dict[str, list[int]]:
    """Give every axis of every letter a number of its own."""
    numbers: dict[str, list[int]] = {}
    for letter, each in axes.items():
        begun = sum(map(len, numbers.values()))
        numbers[letter] = list(range(begun, begun + len(each)))
    return numbers


def _counted(axes: dict[str, tuple[Axis, ...]], numbers: dict[str, list[int]], out: str) -> dict[int, Axis]:
    """Return the axes that are summed over, by number."""
    return {
        number: axis
        for letter, each in axes.items()
        if letter not in out
        for number, axis in zip(numbers[letter], each, strict=True)
    }


def _einsum(first: Array, second: Array, sides: list[list[int]], counts: dict[int, Array]) -> Array:
    left, right, out = sides
    for number, weights in counts.items():
        owner, side = (first, left) if number in left else (second, right)
        shape = [1] * owner.ndim
        shape[side.index(number)] = -1
        owner = owner * weights.reshape(shape)
        first, second = (owner, second) if number in left else (first, owner)
    operands: list[Any] = [first, left, second, right, out]  # NumPy's stubs know only the form with letters
    return np.asarray(np.einsum(*operands, optimize=True))

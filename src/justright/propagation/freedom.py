"""Dimensions along which an operator treats every element for itself, found by running it on small tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.graph import Node
from justright.ops.rule import Unpredictable

__all__ = ["Places", "free_dimensions", "is_elementwise"]

Places = tuple[tuple[int, int], ...]
"""Dimensions of several tensors that belong together: pairs of the tensor's number and the dimension."""

Run = Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any] | None]]
Make = Callable[[int, tuple[int, ...]], NDArray[Any]]

SMALL: Final = 4
"""Length of a dimension in a trial: what is left without the first and the last element is still a pair."""


def free_dimensions(node: Node, shapes: Sequence[tuple[int, ...]], make: Make, run: Run) -> list[tuple[Places, Places]]:
    """Find dimensions along which an operator commutes with taking some elements of its operands.

    Parameters
    ----------
    node
        The node, whose attributes may name lengths: such dimensions are not touched.
    shapes
        Shapes of its operands.
    make
        Makes an operand of a smaller shape, given its number and that shape.
    run
        Runs the operator; raises `Unpredictable` where that fails.

    Returns
    -------
    list
        Pairs: dimensions of operands, and the dimensions of outputs that follow them.
    """
    small = [make(at, shape) for at, shape in enumerate(_small(node, shapes))]
    try:
        outputs = run(small)
    except Unpredictable:
        return []
    found: list[tuple[Places, Places]] = []
    for places in _candidates(shapes):
        used = {place for free, _ in found for place in free}
        if not used.isdisjoint(places) or any(small[at].shape[dim] < SMALL for at, dim in places):
            continue
        following = _following(small, outputs, places, run)
        if following:
            found.append((places, following))
    return found


def is_elementwise(operand: NDArray[Any], run: Run) -> bool:
    """Say whether every element of an operator's only output is a function of one element of its only operand."""
    small = operand[tuple(slice(0, SMALL) for _ in operand.shape)]
    try:
        whole = run([small])
        if len(whole) != 1 or whole[0] is None or whole[0].shape != small.shape or not small.size:
            return False
        alone = [run([each.reshape((1,) * small.ndim)])[0] for each in small.ravel()]
    except Unpredictable:
        return False
    same = [each is not None and each.size == 1 for each in alone]
    return all(same) and np.allclose(np.ravel(alone), whole[0].ravel(), rtol=1e-12, atol=0.0, equal_nan=True)  # type: ignore[arg-type]


def _small(node: Node, shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Shorten the dimensions whose lengths no attribute names."""
    named = set(_integers(node.attributes))
    return [tuple(length if length in named else min(length, SMALL) for length in shape) for shape in shapes]


def _integers(value: Any) -> Iterator[int]:  # noqa: ANN401
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _integers(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _integers(each)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def _candidates(shapes: Sequence[tuple[int, ...]]) -> Iterator[Places]:
    """Yield dimensions that may belong together: of one length, of one length and position, one alone."""
    every = [(at, dim, length) for at, shape in enumerate(shapes) for dim, length in enumerate(shape) if length > 1]
    for length in dict.fromkeys(each for _, _, each in every):
        yield tuple((at, dim) for at, dim, each in every if each == length)
    for position in dict.fromkeys((dim, length) for _, dim, length in every):
        yield tuple((at, dim) for at, dim, length in every if (dim, length) == position)
    for at, dim, _ in every:
        yield ((at, dim),)


def _following(
    small: Sequence[NDArray[Any]], outputs: Sequence[NDArray[Any] | None], places: Places, run: Run
) -> Places:
    """Return the dimensions of the outputs that lose the same elements; none unless the operator commutes."""
    part = list(small)
    for at, dim in places:
        part[at] = _inner(part[at], dim)
    try:
        found = run(part)
    except Unpredictable:
        return ()
    following = []
    for number, (before, after) in enumerate(zip(outputs, found, strict=True)):
        if before is None or after is None:
            return ()
        changed = [dim for dim, (one, two) in enumerate(zip(before.shape, after.shape, strict=False)) if one != two]
        if len(changed) != 1 or before.ndim != after.ndim:
            return ()
        expected = _inner(before, changed[0])
        if expected.shape != after.shape or not np.allclose(expected, after, rtol=1e-9, atol=1e-12, equal_nan=True):
            return ()
        following.append((number, changed[0]))
    return tuple(following)


def _inner(values: NDArray[Any], dim: int) -> NDArray[Any]:
    """Leave out the first and the last element along a dimension."""
    return np.take(values, range(1, values.shape[dim] - 1), dim)

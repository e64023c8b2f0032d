"""Weights whose elements depend on each other: identities, orthogonal matrices, single taps, repeated rows, sequences.

Each look at a weight gets its matrices ``[copies, outputs, inputs, taps]`` and returns what it found, or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.layout import Kind, WeightLayout

__all__ = ["Structure", "matrices", "structure_of"]

Array = NDArray[Any]

ORTHOGONAL: Final = 0.01
"""Of independent rows' departure from orthogonality: rounding to bfloat16 leaves a quarter of it, chance one in 1e4."""

FIRST: Final = 64  # rows: enough to refuse most weights without a pass over all of them

LOOSE: Final = 1e-4  # of the diagonal: IDInit moves it by 1e-6 a standard deviation, to tell units apart

SHORTEST: Final = 4
"""Elements of a sequence: three on a line are not yet one."""


@dataclass(frozen=True)
class Structure:
    """What holds of a weight as a whole.

    Parameters
    ----------
    family
        ``"identity"``, ``"dirac"``, ``"orthogonal"``, ``"delta_orthogonal"``, ``"delta"``, ``"repeated"``,
        ``"bilinear"``, ``"hippo"`` or ``"sequence"``.
    text
        In words, with its factor.
    rest
        Numbers that the structure leaves free, if any: those of one tap, or of the rows that are repeated.
    """

    family: str
    text: str
    rest: Array | None = None


Look = Callable[[Array, float], Structure | None]


def matrices(values: Array, layout: WeightLayout | None) -> Array | None:
    """Return the matrices of a weight as ``[copies, outputs, inputs, taps]``; nothing for what is no weight.

    Without a layout the first axis is taken for the outputs, the second for the inputs.
    """
    if layout is not None and layout.kind is Kind.MATRIX and len(layout.order) == values.ndim:
        whole = layout.canonical(values)
        return np.asarray(whole.reshape(-1, *whole.shape[2:]))
    if values.ndim < 2 or (layout is not None and layout.kind in {Kind.SCALE, Kind.SHIFT}):  # noqa: PLR2004
        return None
    return values.reshape(1, *values.shape[:2], -1)


def structure_of(values: Array, layout: WeightLayout | None, epsilon: float) -> Structure | None:
    """Return the structure of a parameter that is neither constant nor independent numbers, if it has a known one.

    Parameters
    ----------
    values
        Finite, not all equal, in the shape that is stored.
    layout
        Which axis is what, where that is known.
    epsilon
        Relative rounding of the numbers.
    """
    found = _sequence(values, epsilon)
    weight = matrices(values, layout)
    if found or weight is None:
        return found
    parts = layout.parts if layout is not None else ()
    looks: list[Look] = [_hippo, _identity, _repeated, _bilinear(values, layout), _delta, _blocks(parts), _orthogonal]
    for look in looks:
        found = found or look(weight, epsilon)
    return found or (_stored_orthogonal(values, epsilon) if values.ndim > 2 else None)  # noqa: PLR2004  seen above


def _sequence(values: Array, epsilon: float) -> Structure | None:
    """Return the sequence that every row holds, as the decay rates of a state-space model."""
    rows = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    row, n = rows[0], rows.shape[1]
    if n < SHORTEST or np.any(rows != row):
        return None
    numbers = np.arange(1.0, n + 1.0)
    known = {f"log(1..{n})": np.log(numbers), f"-log(1..{n})": -np.log(numbers)}
    evenly = {f"evenly spaced from {row[0]:.4g} to {row[-1]:.4g}": np.linspace(row[0], row[-1], n)}
    for text, sequence in (known | evenly).items():
        if np.ptp(row) > 0.0 and np.allclose(row, sequence, rtol=epsilon, atol=epsilon * np.abs(row).max()):
            return Structure("sequence", text)
    return None


def _hippo(weight: Array, epsilon: float) -> Structure | None:
    """Return the matrix HiPPO-LegS [Gu2020]."""
    n = weight.shape[1]
    if weight.shape[0] * weight.shape[3] != 1 or n != weight.shape[2] or n < SHORTEST:
        return None
    roots = np.sqrt(2.0 * np.arange(n) + 1.0)
    legs = -np.tril(np.outer(roots, roots), -1) - np.diag(np.arange(1.0, n + 1.0))
    same = np.allclose(weight[0, :, :, 0], legs, rtol=2.0 * epsilon, atol=0.0)
    return Structure("hippo", f"HiPPO-LegS of {n} states") if same else None


def _identity(weight: Array, epsilon: float) -> Structure | None:  # noqa: ARG001  every look has one signature
    """Return an identity, also of a rectangle, where it may go on past the square."""
    _, outputs, inputs, taps = weight.shape
    first, second = float(weight[0, 0, 0, 0]), weight[:, :1, 1:2, 0]
    if min(outputs, inputs) < 2 or taps != 1 or not np.all(np.abs(second) <= LOOSE * abs(first)):  # noqa: PLR2004  a row
        return None
    rows, columns = np.indices((outputs, inputs), sparse=True)
    square, wrapped = rows == columns, (rows - columns) % min(outputs, inputs) == 0
    for mask in (square, wrapped):
        off = float(np.max(np.abs(weight[..., 0] - first * mask)))
        if first and off <= LOOSE * abs(first):
            return Structure("identity", f"{_factor(first)}identity{' and a little noise' if off else ''}")
    return None


def _repeated(weight: Array, epsilon: float) -> Structure | None:  # noqa: ARG001  every look has one signature
    """Return rows that come several times in a row, or copies that are all the same."""
    copies, outputs, *_ = weight.shape
    rows = weight.reshape(copies, outputs, -1)
    if rows.shape[2] < 2:  # noqa: PLR2004  equal single numbers are few values, and no equal rows
        return None
    if copies > 1 and np.all(rows == rows[0]):
        return Structure("repeated", f"the same numbers in each of {copies} copies", rows[0])
    differs = np.any(rows[0] != rows[0, 0], axis=1)
    times = int(np.argmax(differs)) if np.any(differs) else outputs
    if times < 2 or outputs % times:  # noqa: PLR2004  once is not repeated
        return None
    grouped = rows.reshape(copies, outputs // times, times, -1)
    same = np.all(grouped == grouped[:, :, :1])
    return Structure("repeated", f"every row {times} times", grouped[:, :, 0]) if same else None


def _bilinear(values: Array, layout: WeightLayout | None) -> Look:
    """Return the look for kernels of linear interpolation, which needs the sides of the receptive field."""
    sides = [values.shape[axis] for axis in layout.spatial] if layout is not None else list(values.shape[2:])

    def look(weight: Array, epsilon: float) -> Structure | None:
        if weight.shape[3] < SHORTEST or max(sides) < 3:  # noqa: PLR2004  no slope to see
            return None
        kernels = weight.reshape(-1, weight.shape[3])
        kernels = kernels[np.any(kernels != 0.0, axis=1)]
        for form in (_tents(sides, shifted=False), _tents(sides, shifted=True)):
            scale = kernels[0] @ form / (form @ form)
            if np.allclose(kernels, scale * form, rtol=0.0, atol=4.0 * epsilon * abs(scale)):
                return Structure("bilinear", f"{_factor(scale)}linear interpolation")
        return None

    return look


def _tents(sides: Sequence[int], *, shifted: bool) -> Array:
    """Return the flat product of one tent a side; MXNet's lies half a step late where a side has odd half."""
    form = np.ones(1)
    for side in sides:
        half = math.ceil(side / 2)
        middle = 0.5 * (2 * half - 1 - half % 2) if shifted else 0.5 * (side - 1)
        form = np.outer(form, 1.0 - np.abs(np.arange(side) - middle) / half).ravel()
    return form


def _delta(weight: Array, epsilon: float) -> Structure | None:
    """Return a kernel with a single tap, and what stands there."""
    if weight.shape[3] < 2:  # noqa: PLR2004  one tap alone is no choice
        return None
    taps = np.flatnonzero(np.any(weight != 0.0, axis=(0, 1, 2)))
    if taps.size != 1:
        return None
    alone = weight[..., taps]
    found = _identity(alone, epsilon) or _orthogonal(alone, epsilon)
    if found is None:
        return Structure("delta", "one tap", alone)
    family = "dirac" if found.family == "identity" else "delta_orthogonal"
    return Structure(family, f"{found.text} at one tap")


def _blocks(parts: Sequence[int]) -> Look:
    """Return the look for matrices packed along the outputs, each orthogonal or an identity, as of a recurrent cell."""

    def look(weight: Array, epsilon: float) -> Structure | None:
        _, outputs, inputs, taps = weight.shape
        count = len(parts) if len(set(parts)) == 1 else outputs // max(inputs, 1)
        if count < 2 or outputs % count or taps != 1 or outputs // count < 2:  # noqa: PLR2004  a single matrix
            return None
        blocks = weight.reshape(-1, outputs // count, inputs, 1)
        found = _identity(blocks, epsilon) or _orthogonal(blocks, epsilon)
        return Structure(found.family, f"{count} times {found.text}") if found else None

    return look


def _orthogonal(weight: Array, epsilon: float) -> Structure | None:  # noqa: ARG001  every look has one signature
    """Return matrices with orthogonal rows of equal length; or columns, if there are more rows."""
    flat = weight.reshape(*weight.shape[:2], -1)
    wide = flat if flat.shape[1] <= flat.shape[2] else np.swapaxes(flat, 1, 2)
    if min(wide.shape[1:]) < 2 or not _far_less(wide[:, :FIRST]):  # noqa: PLR2004  a single row has no angle
        return None
    length = float(np.sqrt(np.mean(np.square(wide[:, 0], dtype=np.float64)) * wide.shape[2]))
    return Structure("orthogonal", f"{_factor(length)}orthogonal") if _far_less(wide) else None


def _far_less(wide: Array) -> bool:
    """Say whether ``[copies, few, many]`` rows are far nearer to orthogonal and of one length than independent ones."""
    few, many = wide.shape[1:]
    exact = wide.astype(np.float64)
    square = float(np.mean(np.square(exact))) * many
    if not 0.0 < square < math.inf:
        return False
    probes = np.random.default_rng(few).standard_normal((few, 2))
    back = exact @ (np.swapaxes(exact, 1, 2) @ probes) / square
    far = np.linalg.norm(back - probes, axis=1) / np.linalg.norm(probes, axis=0)
    return float(np.max(far)) <= ORTHOGONAL * math.sqrt(few / many)


def _stored_orthogonal(values: Array, epsilon: float) -> Structure | None:
    """Return an orthogonal matrix of the stored order: frameworks flatten all axes but the first, or but the last."""
    first = values.reshape(1, values.shape[0], -1, 1)
    last = values.reshape(1, -1, values.shape[-1], 1)
    return _orthogonal(first, epsilon) or _orthogonal(last, epsilon)


def _factor(value: Any) -> str:  # noqa: ANN401  a number of any kind
    return "" if abs(value - 1.0) < 1e-3 else f"{value:.4g} times "  # noqa: PLR2004  nearer than is shown

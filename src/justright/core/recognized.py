"""What numbers look like: from which distribution, or with which structure, a parameter was filled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from justright.core.fitted import Fit, Summary, fit, p_value
from justright.core.lattice import Lattice, sample, spread_out
from justright.core.layout import WeightLayout
from justright.core.structures import structure_of
from justright.errors import InputError

__all__ = ["Recognized", "recognize"]

Array = NDArray[Any]

FEWEST: Final = 30  # below it the likelihoods of a uniform and a normal differ by less than exp(3) more often than not
REFUSED: Final = 1e-5  # p-value: of a hundred thousand tensors of the family, one is taken for something else
SPARSE: Final = 0.05  # share of zeros: a low-precision draw has at most 1/128 of them, a padding row less
CENTRED: Final = 4.0  # standard errors: of sixteen thousand means of zero, one is farther off


@dataclass(frozen=True, slots=True)
class Recognized:
    """What the numbers of a tensor look like.

    Parameters
    ----------
    family
        ``"uniform"``, ``"normal"``, ``"truncated_normal"``; ``"zeros"``, ``"ones"``, ``"constant"``, ``"signs"`` (of
        one size); ``"orthogonal"``, ``"delta_orthogonal"``, ``"delta"`` (a single tap), ``"identity"``, ``"dirac"``,
        ``"sparse"``, ``"repeated"`` (rows that come several times, as after ICNR), ``"bilinear"``, ``"hippo"``,
        ``"sequence"`` (such as ``log(1..16)``); ``"mixture"`` (its packed parts differ), ``"too_few"``,
        ``"non_finite"``, ``"empty"`` or ``"other"``.
    text
        The same in words, such as ``"U(-0.0442, 0.0442)"``.
    size, examined
        Elements, and those of them that distinct values were counted on and the distribution was tested on: a fixed
        choice of a large tensor. Moments and extremes are of all that are finite.
    mean, std, kurtosis, low, high
        Of all finite elements; the kurtosis is that in excess of a normal's.
    bound
        Half of the width between the bounds of a uniform or truncated normal, estimated.
    truncation, scale
        Of a truncated normal: where it is cut, in standard deviations before truncation, and that standard deviation.
    p_value
        Of the Kolmogorov-Smirnov test of the family; uniform between 0 and 1 if the family is right. Bounds: given the
        extremes; mean and standard deviation: estimated from half of the elements [DAgostino1986].
    distinct, resolution, precision
        How many of the examined elements differ, the step of the grid that they lie on, if they are few and do, and
        the coarsest number format that holds them all.
    non_finite, zeros
        Shares of elements that are NaN or infinite, and exactly zero.
    pieces
        What the numbers look like that a structure leaves free (those that are not zero, or one of the repeated rows),
        or the parts of a mixture.
    """

    family: str
    text: str
    size: int
    examined: int = 0
    mean: float = math.nan
    std: float = math.nan
    kurtosis: float = math.nan
    low: float = math.nan
    high: float = math.nan
    bound: float | None = None
    truncation: float | None = None
    scale: float | None = None
    p_value: float | None = None
    distinct: int = 0
    resolution: float | None = None
    precision: str = ""
    non_finite: float = 0.0
    zeros: float = 0.0
    pieces: tuple[Recognized, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, with the pieces as dictionaries."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the words."""
        return self.text


def recognize(values: ArrayLike, layout: WeightLayout | None = None) -> Recognized:
    """Say which distribution or structure the numbers of a parameter have.

    Parameters
    ----------
    values
        Real numbers in the shape that is stored.
    layout
        Which axis is output and which is input. Without it the first two axes are taken for these.

    Returns
    -------
    Recognized
        With ``"too_few"`` as family where fewer than about thirty numbers cannot tell.

    Raises
    ------
    InputError
        The values are not real numbers, or the layout is of another shape.

    Examples
    --------
    >>> draws = np.random.default_rng(0).uniform(-0.25, 0.25, (64, 16))
    >>> print(recognize(draws))
    U(-0.25, 0.25)
    >>> print(recognize(np.eye(4)))
    identity
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"values of type {array.dtype}", where="recognize", expected="real numbers")
    if layout is not None and layout.shape != array.shape:
        expected = f"the shape of the layout, {list(layout.shape)}"
        raise InputError(f"the shape {list(array.shape)}", where="recognize", expected=expected)
    wide = array.astype(np.float32 if array.dtype in {np.dtype(np.float16), np.dtype(np.float32)} else np.float64)
    valid = np.isfinite(wide)
    finite = wide.ravel() if valid.all() else wide[valid]
    if not finite.size:
        return Recognized(
            "non_finite" if wide.size else "empty", "no finite number" if wide.size else "empty", wide.size
        )
    known = _described(wide, finite)
    whole = finite.size == wide.size
    return _mixed(_told(known, wide if whole else finite, layout if whole else None), wide, layout)


def _described(wide: Array, finite: Array) -> Recognized:
    """Return moments, extremes and resolution; the family is still open."""
    summary, looked = Summary.of(finite), sample(finite)
    lattice = Lattice.of(looked.astype(np.float64))
    return Recognized(
        "other", "", wide.size, looked.size, summary.mean, summary.std, summary.kurtosis, summary.low, summary.high,
        distinct=lattice.distinct, resolution=lattice.step, precision=lattice.precision,
        non_finite=1.0 - finite.size / wide.size, zeros=1.0 - np.count_nonzero(finite) / finite.size,
    )  # fmt: skip


def _told(known: Recognized, values: Array, layout: WeightLayout | None) -> Recognized:
    if known.low == known.high:
        return _constant(known)
    epsilon = Lattice(known.precision, known.distinct).epsilon
    structure = structure_of(values, layout, max(epsilon, 2.0**-23))  # a formula is computed in float32 at best
    if structure is not None:
        pieces = () if structure.rest is None else (recognize(structure.rest.ravel()),)
        text = ", ".join([structure.text, *(piece.text for piece in pieces)])
        return replace(known, family=structure.family, text=text, pieces=pieces)
    flat = values.ravel()
    nonzero = flat[flat != 0.0] if known.zeros else flat
    return _sparse(known, nonzero) if known.zeros >= SPARSE else _independent(known, nonzero)


def _constant(known: Recognized) -> Recognized:
    family = {0.0: "zeros", 1.0: "ones"}.get(known.low, "constant")
    return replace(known, family=family, text=family if family != "constant" else f"constant {known.low:.4g}")


def _sparse(known: Recognized, flat: Array) -> Recognized:
    rest = recognize(flat)
    return replace(known, family="sparse", text=f"{known.zeros:.0%} zeros, else {rest.text}", pieces=(rest,))


def _independent(known: Recognized, flat: Array) -> Recognized:
    """Return the distribution of numbers that are not zero; single zeros of a draw in low precision do not count."""
    if flat.size < FEWEST:
        return replace(known, family="too_few", text=f"{flat.size} numbers, too few to tell")
    summary = Summary.of(flat)
    if known.distinct < min(FEWEST, flat.size / 2):
        return _few_values(known, summary)
    if not 0.0 < summary.std < math.inf or summary.half / summary.std > math.sqrt(flat.size):
        return replace(known, text=_unknown(known))
    found, *others = fit(summary)
    p = p_value(found, spread_out(sample(flat).astype(np.float64)), summary)
    if others and p > REFUSED:
        return replace(known, family="too_few", text=f"{flat.size} numbers, too few to tell uniform from normal")
    if not p > REFUSED:
        return replace(known, p_value=p, text=_unknown(known))
    truncated = found.family == "truncated_normal"
    return replace(
        known, family=found.family, text=_words(found, summary), p_value=p,
        bound=found.half if math.isfinite(found.half) else None,
        truncation=found.truncation if truncated else None, scale=found.scale if truncated else None,
    )  # fmt: skip


def _few_values(known: Recognized, summary: Summary) -> Recognized:
    """Return signs, or that there are few values; these come from no distribution that is rounded."""
    if summary.low == -summary.high and known.distinct == 2:  # noqa: PLR2004  plus and minus
        return replace(known, family="signs", text=f"±{summary.high:.4g}")
    text = f"{known.distinct} distinct numbers, mean {known.mean:.3g}, standard deviation {known.std:.3g}"
    return replace(known, text=text)


def _words(found: Fit, summary: Summary) -> str:
    centred = abs(summary.mean) <= CENTRED * summary.std / math.sqrt(summary.size)
    centre = 0.0 if centred else found.centre
    if found.family == "uniform":
        return f"U({centre - found.half:.3g}, {centre + found.half:.3g})"
    normal = f"N({centre:.3g}, {found.scale:.3g}²)"
    cut = f" cut at {found.truncation:.3g} sigmas, ±{found.half:.3g}"
    return normal if found.family == "normal" else normal + cut


def _unknown(known: Recognized) -> str:
    return f"no known distribution, mean {known.mean:.3g}, standard deviation {known.std:.3g}"


def _mixed(known: Recognized, values: Array, layout: WeightLayout | None) -> Recognized:
    """Return what the packed parts look like, one by one, where the whole has no known distribution."""
    parts = layout.parts if layout is not None else ()
    if known.family != "other" or len(parts) < 2 or layout is None:  # noqa: PLR2004  one part is the whole
        return known
    pieces = tuple(recognize(part.ravel()) for part in _split(values, layout, parts))
    if all(piece.family in {"other", "too_few"} for piece in pieces):
        return known
    return replace(known, family="mixture", text="parts: " + "; ".join(piece.text for piece in pieces), pieces=pieces)


def _split(values: Array, layout: WeightLayout, parts: Sequence[int]) -> Sequence[Array]:
    axis = layout.outputs[0]
    return np.split(values, np.cumsum(parts)[:-1], axis=axis)

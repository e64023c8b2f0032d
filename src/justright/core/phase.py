"""What mean-field theory says of an activation: one point, a critical point, a plane of points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from justright.core.profile import Provenance

__all__ = ["CRITICAL", "SCALES", "Critical", "Phase", "Plane", "depth_scale", "name_of"]

CRITICAL: Final = 1e-6
"""A chi this near to one is called critical: its depth scale is a million layers."""

ROUNDING: Final = 1e-12
"""A chi this near to one is one: expectations are exact to 1e-14, and a few of them are multiplied."""

SCALES: Final = 6.0
"""Depth scales up to which networks train [Schoenholz2017, figure 5]."""


def depth_scale(chi: float) -> float:
    """Return the number of layers over which chi changes a quantity by a factor of e: ``1 / |ln |chi||``.

    Parameters
    ----------
    chi
        Factor per layer.

    Returns
    -------
    float
        Infinite at one, 0 at zero, ``nan`` where chi is not a number.

    Examples
    --------
    >>> depth_scale(1.0), depth_scale(0.0), round(depth_scale(0.5), 4)
    (inf, 0.0, 1.4427)
    """
    if math.isnan(chi):
        return math.nan
    if chi == 0.0 or math.isinf(chi):
        return 0.0
    rate = abs(math.log(abs(chi)))
    return 1.0 / rate if rate > ROUNDING else math.inf


def name_of(chi: float) -> str:
    """Name the phase that a gradient factor belongs to: ordered, critical, chaotic, or unknown where it is no number.

    Parameters
    ----------
    chi
        chi_1, the growth of squared gradients a layer.
    """
    if math.isnan(chi):
        return "unknown"
    if abs(chi - 1.0) <= CRITICAL:
        return "critical"
    return "ordered" if chi < 1.0 else "chaotic"


@dataclass(frozen=True, repr=False)
class _Numbers:
    """Named numbers that show themselves, and become plain data."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; numbers that JSON does not have become strings."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    def to_pandas(self) -> Any:  # noqa: ANN401  pandas is optional, so its type cannot be named here
        """Return one row as a `pandas.DataFrame`; needs pandas."""
        import pandas

        return pandas.DataFrame([self.to_dict()])

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, value and meaning of each number, to be read by people."""
        raise NotImplementedError

    def remarks(self) -> tuple[str, ...]:
        """Return what is to be said in words."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return a table of the numbers with what each one means."""
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines = [f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {meaning}".rstrip() for name, value, meaning in rows]
        return "\n".join([str(self), *lines, *(f"  {note}" for note in self.remarks())])

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields for rich."""
        for each in fields(self):
            yield each.name, getattr(self, each.name)


@dataclass(frozen=True, repr=False)
class Phase(_Numbers):
    """A fully connected network of one activation, far from its input, at infinite width.

    Weights have the variance ``sigma_w² / fan_in``, biases ``sigma_b²``. Formulas are those of [Poole2016] and
    [Schoenholz2017].

    Parameters
    ----------
    activation
        Its name.
    sigma_w, sigma_b
        Standard deviations of the weights, times the root of fan in, and of the biases.
    keep
        Probability with which dropout keeps an activation; 1 without dropout.
    q
        Second moment of the preactivations, q*, that layers converge to; infinite where they grow without bound.
    chi_1
        Growth of squared gradients a layer, ``sigma_w² E[phi'²] / keep`` at q*.
    chi_q
        Slope of the length map at q*: how fast the second moment converges.
    c
        Correlation of two inputs, c*, that layers converge to.
    chi_c
        Slope of the correlation map at c*: how fast correlations converge.
    fixed_points
        Every q that the length map leaves as it is, ascending.
    provenance
        Numerical, or unknown where there is no fixed point.
    notes
        What does not exist or is not stable, in words.
    """

    activation: str
    sigma_w: float
    sigma_b: float
    keep: float = 1.0
    q: float = math.nan
    chi_1: float = math.nan
    chi_q: float = math.nan
    c: float = math.nan
    chi_c: float = math.nan
    fixed_points: tuple[float, ...] = ()
    provenance: Provenance = Provenance.NUMERICAL
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The phase: ``"ordered"``, ``"chaotic"``, ``"critical"``, or ``"unknown"``."""
        return name_of(self.chi_1)

    @property
    def xi_q(self) -> float:
        """Layers over which the second moment comes nearer to q* by a factor of e."""
        return depth_scale(self.chi_q)

    @property
    def xi_c(self) -> float:
        """Layers over which a correlation comes nearer to c* by a factor of e."""
        return depth_scale(self.chi_c)

    @property
    def xi_gradient(self) -> float:
        """Layers over which squared gradients change by a factor of e: above zero they explode, below they vanish."""
        scale = depth_scale(self.chi_1)
        return -scale if self.chi_1 < 1.0 else scale

    @property
    def depth(self) -> float:
        """Depth up to which such a network trains: six times the shorter of the scales of correlation and gradient."""
        return SCALES * min(self.xi_c, abs(self.xi_gradient))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, the depth scales included; numbers that JSON does not have become strings."""
        derived = {name: _plain(getattr(self, name)) for name in ("xi_q", "xi_c", "xi_gradient", "depth")}
        return {**super().to_dict(), **derived, "phase": self.name}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, value and meaning of each number, to be read by people."""
        change = {"ordered": "; they vanish", "chaotic": "; they explode"}.get(self.name, "")
        return [
            ("q*", _short(self.q), "second moment of preactivations"),
            ("chi_1", _short(self.chi_1), f"growth of squared gradients a layer{change}"),
            ("chi_q", _short(self.chi_q), "slope of the length map at q*"),
            ("c*", _short(self.c), "correlation that any two inputs end at"),
            ("chi_c", _short(self.chi_c), "slope of the correlation map at c*"),
            ("xi_q", _short(self.xi_q), "layers, depth scale of the second moment"),
            ("xi_c", _short(self.xi_c), "layers, depth scale of correlations"),
            ("xi_gradient", _short(self.xi_gradient), "layers, depth scale of squared gradients"),
            ("depth", _short(self.depth), "layers to which it trains: 6 xi, the shorter of xi_c and |xi_gradient|"),
        ]

    def remarks(self) -> tuple[str, ...]:
        """Return what is to be said in words."""
        return self.notes

    def __str__(self) -> str:
        """Return activation, point and phase on one line."""
        dropout = f", keep {self.keep:g}" if self.keep < 1.0 else ""
        return f"{self.activation} at sigma_w {self.sigma_w:.6g}, sigma_b {self.sigma_b:.6g}{dropout}: {self.name}"


@dataclass(frozen=True, repr=False)
class Critical(_Numbers):
    """A point at which gradients neither grow nor shrink: chi_1 = 1 at a fixed point of the length map.

    Parameters
    ----------
    activation
        Its name.
    q
        Second moment of the preactivations at the point.
    sigma_w, sigma_b
        Standard deviations of the weights, times the root of fan in, and of the biases.
    chi_q
        Slope of the length map: below one the fixed point is stable.
    rate
        Correlations approach one as ``1 - c ~ rate / depth``, for a smooth activation (Hayou et al. 2019,
        arXiv:1902.06853); ``nan`` for one with kinks, where it is another law.
    notes
        In words: instability, or other critical points of the same bias.
    """

    activation: str
    q: float
    sigma_w: float
    sigma_b: float
    chi_q: float
    rate: float = math.nan
    notes: tuple[str, ...] = ()

    @property
    def stable(self) -> bool:
        """Whether q comes back to the fixed point from nearby; at a slope of one it need not leave it either."""
        return self.chi_q <= 1.0 + CRITICAL

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, and whether the point is stable."""
        return {**super().to_dict(), "stable": self.stable}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, value and meaning of each number, to be read by people."""
        return [
            ("sigma_w", f"{self.sigma_w:.10g}", "standard deviation of weights, times the root of fan in"),
            ("sigma_b", f"{self.sigma_b:.10g}", "standard deviation of biases"),
            ("q*", _short(self.q), "second moment of preactivations"),
            ("chi_q", _short(self.chi_q), "slope of the length map at q*"),
            *([] if math.isnan(self.rate) else [("rate", _short(self.rate), "1 - c approaches rate / depth")]),
        ]

    def remarks(self) -> tuple[str, ...]:
        """Return what is to be said in words."""
        return self.notes

    def __str__(self) -> str:
        """Return the activation and whether the point is stable on one line."""
        marginal = abs(self.chi_q - 1.0) <= CRITICAL
        return f"{self.activation}: critical, {'marginal' if marginal else 'stable' if self.stable else 'unstable'}"


@dataclass(frozen=True)
class Plane:
    """The plane of sigma_w and sigma_b of one activation.

    Parameters
    ----------
    activation
        Its name.
    sigma_w, sigma_b
        The axes, of lengths W and B.
    q, chi_1, xi_c, depth
        What `Phase` calls so, at every point: shape (B, W), ``nan`` or infinite where there is no fixed point.
    line
        Points of the critical line, shape (points, 3): sigma_w, sigma_b, and chi_q, which is above one where the fixed
        point of q is unstable; empty if there is no line.
    notes
        What does not exist, in words.
    """

    activation: str
    sigma_w: NDArray[np.float64]
    sigma_b: NDArray[np.float64]
    q: NDArray[np.float64]
    chi_1: NDArray[np.float64]
    xi_c: NDArray[np.float64]
    depth: NDArray[np.float64]
    line: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; numbers that JSON does not have become strings."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    def to_pandas(self) -> Any:  # noqa: ANN401  pandas is optional, so its type cannot be named here
        """Return one row a point as a `pandas.DataFrame`; needs pandas."""
        import pandas

        bias, weight = np.meshgrid(self.sigma_b, self.sigma_w, indexing="ij")
        columns = {name: getattr(self, name).ravel() for name in ("q", "chi_1", "xi_c", "depth")}
        phases = [name_of(chi) for chi in self.chi_1.ravel()]
        return pandas.DataFrame({"sigma_w": weight.ravel(), "sigma_b": bias.ravel(), **columns, "phase": phases})


def _short(value: float) -> str:
    return f"{value:.6g}"


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Make plain data that JSON can hold of a number, an array or a tuple."""
    if isinstance(value, np.ndarray | tuple | list):
        return [_plain(each) for each in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, Provenance):
        return value.name.lower()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

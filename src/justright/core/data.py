"""The data: what stands in the batch, in the classes a loss reads, and at the values where a function has its edge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["DataRecord", "DataSummary", "Features", "summarize_data"]

MANY = 256
"""Distinct integers up to which all of them are kept in a record: bytes, and more classes than most tasks have."""

LARGEST = 1 << 22
"""Elements that are looked at feature by feature, examples evenly spaced: some ten milliseconds."""

RANGES: Mapping[str, tuple[float, float]] = {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0), "positive": (0.0, math.inf)}
"""Ranges of output activations, sigmoid, tanh and ReLU, by name."""


@dataclass(frozen=True, slots=True)
class DataRecord:
    """One tensor of the batch, or the target as it came to a loss; the first axis counts examples.

    Parameters
    ----------
    name
        Name of its site: ``"input[0]"``, ``"target"``.
    part
        ``"input"``, ``"target"``, or ``"label"`` for what a loss compares with where that is no tensor of the batch.
    dtype, shape
        Of the first batch.
    rows, count
        Examples and elements of all batches together.
    nonfinite
        Elements that are not finite; all that follows is over the finite ones.
    minimum, maximum, mean, std, rms
        Of the elements; ``nan`` if there are none.
    distinct
        Number of different values of a tensor of integers; 0 for other dtypes.
    values
        How often each of them occurs, if they are at most 256; else empty.
    entropy
        Entropy of their shares, in nats: the loss of the best answer that ignores the input. ``nan`` for other dtypes.
    ignored
        Elements that the loss leaves out, no part of the above.
    constant
        Share of the features that are the same for every example.
    spread
        Standard deviation of the largest feature over that of the middle one; ``nan`` with fewer than two features.
    alike
        Whether all examples are the same.
    beyond
        Mean squared distance of the elements to ``"unit"`` [0, 1], ``"symmetric"`` [-1, 1] and ``"positive"`` [0, ∞):
        the squared error that an output confined to that range cannot go below.
    """

    name: str
    part: str
    dtype: str
    shape: tuple[int, ...]
    rows: int
    count: int
    nonfinite: int
    minimum: float
    maximum: float
    mean: float
    std: float
    rms: float
    distinct: int
    values: tuple[tuple[int, int], ...]
    entropy: float
    ignored: int
    constant: float
    spread: float
    alike: bool
    beyond: Mapping[str, float]

    @property
    def integer(self) -> bool:
        """Whether its values are integers or booleans."""
        return self.dtype.startswith(("int", "uint", "bool"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; values that JSON cannot hold become strings."""
        made = {name: _plain(getattr(self, name)) for name in self.__slots__ if name not in {"values", "beyond"}}
        beyond = {name: _plain(value) for name, value in self.beyond.items()}
        return {**made, "shape": list(self.shape), "values": [*map(list, self.values)], "beyond": beyond}


@dataclass(frozen=True, slots=True)
class Features:
    """Count, mean and sum of squared deviations of every feature; shapes ``[features]``. They merge."""

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Features:
        """Summarize rows of shape ``[examples, features]``."""
        mean = rows.mean(0)
        return cls(len(rows), mean, np.square(rows - mean).sum(0))

    def merge(self, other: Features) -> Features | None:
        """Combine two parts; ``None`` if they have other features (Chan's update for the squares)."""
        if self.mean.shape != other.mean.shape:
            return None
        count = self.count + other.count
        step = other.mean - self.mean
        squares = self.squares + other.squares + step**2 * (self.count * other.count / count)
        return Features(count, self.mean + step * (other.count / count), squares)

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of every feature."""
        return np.sqrt(self.squares / self.count)


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What several batches showed of one tensor of the data; a mergeable `DataRecord`.

    Parameters
    ----------
    part, dtype, shape
        As in `DataRecord`.
    rows, count, nonfinite, ignored
        Examples, elements, elements that are not finite, and those that the loss leaves out.
    low, high
        Least and greatest finite element.
    sums
        Sums over the finite elements: of themselves, of squares, and of squared distances to each of the `RANGES`.
    values
        How often each integer occurs.
    features
        Moments of every feature; ``None`` if they were not looked at.
    first
        The first example, and whether all others are the same.
    """

    part: str
    dtype: str
    shape: tuple[int, ...]
    rows: int
    count: int
    nonfinite: int
    ignored: int
    low: float
    high: float
    sums: np.ndarray
    values: Mapping[int, int]
    features: Features | None
    first: np.ndarray
    alike: bool

    def merge(self, other: DataSummary) -> DataSummary:
        """Combine two batches; the form is that of the first."""
        both = self.features is not None and other.features is not None
        return replace(
            self,
            rows=self.rows + other.rows,
            count=self.count + other.count,
            nonfinite=self.nonfinite + other.nonfinite,
            ignored=self.ignored + other.ignored,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            sums=self.sums + other.sums,
            values={key: self.values.get(key, 0) + other.values.get(key, 0) for key in {*self.values, *other.values}},
            features=self.features.merge(other.features) if both else None,  # type: ignore[union-attr, arg-type]
            alike=self.alike and other.alike and np.array_equal(self.first, other.first),
        )

    def finish(self, name: str) -> DataRecord:
        """Make the record of the tensor of this name."""
        finite = self.count - self.nonfinite - self.ignored
        mean, square, *beyond = (self.sums / finite if finite else np.full_like(self.sums, math.nan)).tolist()
        return DataRecord(
            name,
            self.part,
            self.dtype,
            self.shape,
            self.rows,
            self.count,
            self.nonfinite,
            minimum=self.low if finite else math.nan,
            maximum=self.high if finite else math.nan,
            mean=mean,
            std=math.sqrt(max(square - mean * mean, 0.0)) if finite else math.nan,
            rms=math.sqrt(square) if finite else math.nan,
            distinct=len(self.values),
            values=tuple(sorted(self.values.items())) if len(self.values) <= MANY else (),
            entropy=_entropy(self.values),
            ignored=self.ignored,
            constant=float(np.mean(self.features.std == 0)) if self.features else math.nan,
            spread=_spread(self.features),
            alike=self.alike,
            beyond=dict(zip(RANGES, beyond, strict=True)),
        )


def summarize_data(values: np.ndarray, part: str, dtype: str, ignore: int | None = None) -> DataSummary:
    """Summarize one tensor of the data.

    Parameters
    ----------
    values
        Its values, examples along the first axis.
    part, dtype
        As in `DataRecord`.
    ignore
        The integer that a loss leaves out, ``None`` if it has none.

    Examples
    --------
    >>> labels = np.array([0, 2, 2, -100])
    >>> record = summarize_data(labels, "target", "int64", ignore=-100).finish("target")
    >>> record.ignored, record.values, record.minimum
    (1, ((0, 1), (2, 2)), 0.0)
    """
    rows = values.reshape(values.shape[0], -1) if values.ndim else values.reshape(1, 1)
    integer = values.dtype.kind in "iub"
    kept = values.reshape(-1)
    kept = kept[kept != ignore] if integer and ignore is not None else kept
    finite = kept if integer else kept[np.isfinite(kept)]
    numbers = finite.astype(np.float64)
    return DataSummary(
        part,
        dtype,
        tuple(values.shape),
        rows=len(rows),
        count=values.size,
        nonfinite=kept.size - finite.size,
        ignored=values.size - kept.size,
        low=float(numbers.min(initial=math.inf)),
        high=float(numbers.max(initial=-math.inf)),
        sums=_sums(numbers),
        values=_counts(finite) if integer else {},
        features=_features(rows) if finite.size == values.size else None,
        first=rows[0].copy(),
        alike=bool((rows == rows[0]).all()),
    )


def _sums(numbers: np.ndarray) -> np.ndarray:
    distances = (np.square(numbers - np.clip(numbers, *each)).sum() for each in RANGES.values())
    return np.array([numbers.sum(), np.square(numbers).sum(), *distances])


def _counts(integers: np.ndarray) -> dict[int, int]:
    found, counts = np.unique(integers, return_counts=True)
    return dict(zip(map(int, found), map(int, counts), strict=True))


def _features(rows: np.ndarray) -> Features:
    step = max(1, math.ceil(rows.size / LARGEST))
    return Features.of(rows[::step].astype(np.float64))


def _entropy(values: Mapping[int, int]) -> float:
    counts = np.array(list(values.values()), np.float64)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum()) if values else math.nan


def _spread(features: Features | None) -> float:
    """Largest over middle standard deviation of the features that vary."""
    std = features.std[features.std > 0] if features else np.empty(0)
    return float(std.max() / np.median(std)) if std.size > 1 else math.nan


def _plain(value: Any) -> Any:  # noqa: ANN401
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

"""Input specifications: the shapes, dtypes and ranges from which an adapter makes a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from justright.errors import InputError

__all__ = ["InputSpec", "TensorSpec", "parse_input"]

_SHORT = re.compile(r"(?:(?P<dtype>[a-z]+\d*):)?(?P<shape>\d+(?:,\d+)*)(?::(?P<low>-?\d+)\.\.(?P<high>-?\d+))?")

_FORM = (
    '"8,3,224,224" (float32), "int64:2,128:0..50257" (integers from 0 to 50256), or a mapping with shape, dtype, '
    "low, high"
)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor to be made.

    Parameters
    ----------
    shape
        Sizes.
    dtype
        ``"float32"``: standard normal values; an integer dtype: uniform integers in ``[low, high)``.
    low, high
        Range of integers, ``high`` excluded.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: int = 0
    high: int = 2

    def __str__(self) -> str:
        """Return the short form that `parse_input` reads."""
        shape = ",".join(map(str, self.shape))
        integer = self.dtype.startswith(("int", "uint"))
        return f"{self.dtype}:{shape}:{self.low}..{self.high}" if integer else f"{self.dtype}:{shape}"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Everything a forward needs, by position or by keyword, and a target for the loss if there is one."""

    args: tuple[TensorSpec, ...] = ()
    kwargs: tuple[tuple[str, TensorSpec], ...] = ()
    target: TensorSpec | None = None

    def __str__(self) -> str:
        """Describe the tensors on one line."""
        parts = [str(spec) for spec in self.args] + [f"{name}={spec}" for name, spec in self.kwargs]
        return "; ".join(parts + ([f"target={self.target}"] if self.target else []))


def parse_input(value: Any) -> InputSpec:  # noqa: ANN401
    """Read an input specification.

    Parameters
    ----------
    value
        A short form for one tensor (several separated by ``;``), a list of them, or a mapping from the forward's
        argument names to short forms or to mappings with ``shape``, ``dtype``, ``low``, ``high``. The key ``target``
        is what the loss gets beside the output.

    Raises
    ------
    InputError
        If a part cannot be read.

    Examples
    --------
    >>> parse_input("8,3,32,32").args[0].shape
    (8, 3, 32, 32)
    >>> str(parse_input({"input_ids": "int64:2,16:0..100", "target": "2"}))
    'input_ids=int64:2,16:0..100; target=float32:2'
    """
    if isinstance(value, InputSpec):
        return value
    if isinstance(value, str):
        return InputSpec(args=tuple(_tensor(part.strip()) for part in value.split(";")))
    if isinstance(value, Mapping):
        specs = {str(name): _tensor(part) for name, part in value.items()}
        target = specs.pop("target", None)
        return InputSpec(kwargs=tuple(specs.items()), target=target)
    if isinstance(value, list | tuple):
        return InputSpec(args=tuple(_tensor(part) for part in value))
    raise InputError(f"a {type(value).__name__}", where="input specification", expected=_FORM)


def _tensor(value: Any) -> TensorSpec:  # noqa: ANN401
    if isinstance(value, TensorSpec):
        return value
    if isinstance(value, Mapping):
        return _from_mapping(value)
    match = _SHORT.fullmatch(str(value))
    if match is None:
        raise InputError(repr(value), where="input specification", expected=_FORM)
    found = match.groupdict()
    shape = tuple(int(length) for length in found["shape"].split(","))
    return _made(shape, found["dtype"] or "float32", found["low"], found["high"])


def _from_mapping(value: Mapping[str, Any]) -> TensorSpec:
    unknown = set(value) - {"shape", "dtype", "low", "high"}
    if unknown or "shape" not in value:
        got = f"keys {sorted(map(str, value))}"
        raise InputError(got, where="input specification", expected="shape, and perhaps dtype, low, high")
    try:
        shape = tuple(int(length) for length in value["shape"])
    except (TypeError, ValueError):
        raise InputError(repr(value["shape"]), where="shape", expected="a list of whole numbers") from None
    return _made(shape, str(value.get("dtype", "float32")), value.get("low"), value.get("high"))


def _made(shape: tuple[int, ...], dtype: str, low: Any, high: Any) -> TensorSpec:  # noqa: ANN401
    if 0 in shape or any(length < 0 for length in shape):
        raise InputError(f"shape {shape}", where="input specification", expected="sizes of at least 1")
    try:
        start, stop = int(low or 0), int(2 if high is None else high)
    except (TypeError, ValueError):
        raise InputError(f"{low!r}..{high!r}", where="input specification", expected="whole numbers") from None
    if stop <= start:
        raise InputError(f"{start}..{stop}", where="input specification", expected="a range that is not empty")
    return TensorSpec(shape, dtype, start, stop)

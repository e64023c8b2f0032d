"""An operator that neither its rule nor its samples can follow is not predicted; the prediction goes on and says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from justright.ops.rule import Unpredictable

__all__ = ["followed"]

SURPRISES: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What arrays raise that are not as a rule expects them, as where data decide on a shape."""


@contextmanager
def followed(who: str) -> Iterator[None]:
    """Turn what a rule, or sampling, stumbles over into the reason why there is no prediction.

    Parameters
    ----------
    who
        Who follows the operator, in words.
    """
    try:
        yield
    except SURPRISES as surprise:
        words = f"{type(surprise).__name__}: {surprise}"
        raise Unpredictable(f"{who} does not fit what arrives here ({words})") from surprise

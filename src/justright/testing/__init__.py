"""For contributors and for users' own tests: networks with known verdicts, laws of diagnostics, and an assertion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from justright.testing.assertions import assert_just_right

__all__ = ["assert_just_right"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load the assertion at its first use: the pytest plugin lies here, and must not slow every start of pytest."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from justright.testing.assertions import assert_just_right

    return assert_just_right

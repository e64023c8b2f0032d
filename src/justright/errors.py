"""One tree of errors. Each one says where, what was found, what was expected, and what to type next."""

from __future__ import annotations

__all__ = [
    "BackendError",
    "CatalogueError",
    "DataDependentError",
    "ForwardError",
    "InputError",
    "JustRightError",
    "LossError",
    "ModelError",
    "TraceError",
]


class JustRightError(Exception):
    """Base of every error that justright raises on purpose.

    Parameters
    ----------
    got
        What was found.
    where
        Module path, source line or argument at which it was found.
    expected
        What would have been right.
    try_
        What to type next.

    Examples
    --------
    >>> error = JustRightError("a list", where="model", expected="a torch.nn.Module", try_="return the model itself")
    >>> print(error)
    model: got a list
      expected: a torch.nn.Module
      try: return the model itself
    """

    def __init__(self, got: str, *, where: str = "", expected: str = "", try_: str = "") -> None:
        self.where = where
        self.got = got
        self.expected = expected
        self.try_ = try_
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [f"{self.where}: got {self.got}" if self.where else f"got {self.got}"]
        lines += [f"  expected: {self.expected}"] if self.expected else []
        lines += [f"  try: {self.try_}"] if self.try_ else []
        return "\n".join(lines)


class ModelError(JustRightError):
    """What was given as a model is none, cannot be built, or has nothing to examine."""


class InputError(JustRightError):
    """The batch or the input specification does not fit the model."""


class ForwardError(JustRightError):
    """The model's own forward or backward raised; `where` is the module and the source line."""


class LossError(JustRightError):
    """The loss is missing, is no scalar, or cannot be computed from this output."""


class TraceError(JustRightError):
    """The model's structure could not be traced without data."""


class DataDependentError(TraceError):
    """The forward asks for a value that only real data can give."""


class BackendError(JustRightError):
    """No adapter knows this model, or an optional package is missing."""


class CatalogueError(JustRightError, LookupError):
    """A name is not in a catalogue; the message suggests near ones."""

"""Optional packages: an import that fails says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from justright.errors import BackendError

__all__ = ["optional"]


@contextmanager
def optional(package: str, *, try_: str = "pip install 'justright[report]'") -> Iterator[None]:
    """Import a package inside this context; where it is missing, say what to type.

    Parameters
    ----------
    package
        Name of the package as it is imported.
    try_
        Command that installs it.

    Raises
    ------
    BackendError
        If an import inside the context failed.

    Examples
    --------
    >>> with optional("math"):
    ...     import math
    """
    try:
        yield
    except ImportError as error:
        raise BackendError(
            f"no package {package!r} ({error})", where="justright.report", expected=f"{package} installed", try_=try_
        ) from error

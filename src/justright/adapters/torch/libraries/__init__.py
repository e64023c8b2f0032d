"""Models of libraries, built from a name or a configuration alone; no weight is ever downloaded."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from typing import Any

from justright.adapters.base import Target
from justright.adapters.torch.libraries.options import split_options
from justright.errors import BackendError

__all__ = ["load"]

LOADERS = {
    "timm": "justright.adapters.torch.libraries.timm_models",
    "transformers": "justright.adapters.torch.libraries.transformers_models",
}
"""Prefix of a source, which is the library's package, to the module that builds its models."""


def load(source: Any, *, values: bool = True) -> Target | None:  # noqa: ANN401
    """Build a model, and a batch for it, from a library source.

    Parameters
    ----------
    source
        A configuration object of transformers; or ``"timm:NAME"``; or ``"transformers:"`` with a model class, a
        configuration class, a model type or the path of a ``config.json``. Options of the model follow after a
        question mark: ``"transformers:gpt2?n_layer=4"``.
    values
        Whether its parameters have values, and not a shape alone.

    Returns
    -------
    Target or None
        ``None`` if the source is neither, and does not start with the name of a library.

    Raises
    ------
    BackendError
        If the library, or a package that it needs, is not installed.
    ModelError
        If the library has no such model, or refuses its options.
    InputError
        If the options cannot be read.

    Examples
    --------
    >>> load("net.py:make") is None
    True
    """
    if not isinstance(source, str):
        return _configured(source, values=values)
    library, colon, rest = source.partition(":")
    if not colon or library not in LOADERS:
        return None
    name, options = split_options(rest)
    loader = importlib.import_module(LOADERS[library])
    try:
        target: Target = loader.load(name, options, values=values)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        hint = f"pip install 'justright[{library}]'" if missing == library else f"pip install {missing}"
        raise BackendError(
            f"no package {missing!r}", where=source, expected=f"{missing} installed", try_=hint
        ) from error
    return replace(target, title=source)


def _configured(config: Any, *, values: bool) -> Target | None:  # noqa: ANN401
    """Build a model from a configuration; whoever has one has imported its library."""
    if "transformers" not in sys.modules:
        return None
    from justright.adapters.torch.libraries.transformers_models import configured

    target = configured(config, values=values)
    return None if target is None else replace(target, title=type(config).__name__)

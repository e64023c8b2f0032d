"""What may follow a library model's name: ``?key=value&key=value``, typed by what the option replaces."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from typing import Any

from justright.errors import InputError, ModelError

__all__ = ["check_known", "literal", "near", "split_options", "typed"]

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def split_options(text: str) -> tuple[str, dict[str, str]]:
    """Split a name from the options after its question mark.

    Raises
    ------
    InputError
        If an option is no ``key=value``, or is given twice.

    Examples
    --------
    >>> split_options("gpt2?n_layer=4&n_embd=128")
    ('gpt2', {'n_layer': '4', 'n_embd': '128'})
    """
    name, _, query = text.partition("?")
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise InputError(f"option {part!r}", where=text, expected="key=value", try_=f"{name}?{key or 'key'}=value")
        if key in options:
            raise InputError(f"option {key!r} twice", where=text, expected="each option once")
        options[key] = value
    return name, options


def literal(text: str) -> Any:  # noqa: ANN401
    """Read a value as Python would; what is no literal is text.

    Examples
    --------
    >>> [literal(text) for text in ("4", "0.5", "true", "none", "gelu", "[1, 2]")]
    [4, 0.5, True, None, 'gelu', [1, 2]]
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def typed(key: str, text: str, present: Any) -> Any:  # noqa: ANN401
    """Read a value in the type of the one that it replaces; a value that is ``None`` so far takes any type.

    Parameters
    ----------
    key
        Name of the option, for the message.
    text
        What was typed.
    present
        The value so far.

    Raises
    ------
    InputError
        If the text cannot be of that type.

    Examples
    --------
    >>> typed("n_layer", "4", 12), typed("dropout", "0", 0.1), typed("act", "1", "gelu"), typed("tie", "0", True)
    (4, 0.0, '1', False)
    """
    value = literal(text)
    if isinstance(present, str):
        return None if value is None else text
    if isinstance(present, bool) and value in (0, 1):
        return bool(value)
    if isinstance(present, float) and type(value) is int:
        return float(value)
    if isinstance(present, list | tuple) and isinstance(value, list | tuple):
        return type(present)(value)
    if present is None or value is None or type(value) is type(present):
        return value
    raise InputError(f"{text!r}", where=f"option {key}", expected=f"{type(present).__name__}, such as {present!r}")


def near(wanted: str, names: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the names most like a wanted one, case not counted.

    Examples
    --------
    >>> near("resnet1", ["ResNet18", "vgg16"])
    ['ResNet18']
    """
    spelled = {name.lower(): name for name in names}
    return [spelled[name] for name in difflib.get_close_matches(wanted.lower(), spelled, n=count, cutoff=0.5)]


def check_known(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse an option that the model does not have.

    Raises
    ------
    ModelError
        With the nearest names.
    """
    names = sorted(known)
    for key in given:
        if key not in names:
            hint = ", ".join(near(key, names)) or ", ".join(names[:8])
            raise ModelError(f"option {key!r}", where=where, expected="an option of this model", try_=hint)
